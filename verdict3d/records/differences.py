"""What changed between two runs: ``difference.json`` of ``verdict3d diff``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Strict

from verdict3d.records.names import Outcome, Split
from verdict3d.records.numbers import Interval, Summary
from verdict3d.records.record import Record, RecordPart
from verdict3d.records.recorded_runs import PastRate, RunNamed
from verdict3d.records.results import JudgeUsed

DIFFERENCE = "difference.json"
Feature = Literal["number", "class"]
"""What is compared of old and new: values by their order, or the shares of names."""


class ChangedValue(RecordPart):
    """A value in both runs, as text; None where a run has none."""

    name: str
    before: str | None
    after: str | None


class AssetNamed(RecordPart):
    """An asset and, where it changed, what of it did: ``mesh``, ``photo`` or ``split``."""

    id: str
    category: str
    split: Split
    changed: list[str]


class AssetChanges(RecordPart):
    """Which assets came, went and changed; ``both`` counts those that are the same."""

    before: int
    after: int
    both: int
    came: list[AssetNamed]
    went: list[AssetNamed]
    changed: list[AssetNamed]


class JudgeChange(RecordPart):
    """A judge in both runs.

    Attributes:
        role: Its role.
        before: Its identity; None where the run has no certificate of it that can be read.
        after: The same.
        changed: Names of the fields of the identity that differ; empty where one is not known.
        certified_before: Whether its certificate passed; None where there is none.
        certified_after: The same.
        certificate_before: Digest of the certificate.
        certificate_after: The same.
        reasons: Why the later one did not pass.
    """

    role: str
    before: JudgeUsed | None
    after: JudgeUsed | None
    changed: list[str]
    certified_before: bool | None
    certified_after: bool | None
    certificate_before: str | None
    certificate_after: str | None
    reasons: list[str]


class Paired(Interval):
    """A number of the later run minus that of the earlier one, on what both have.

    Attributes:
        before: The earlier run's number there.
        after: The later run's.
        p_value: Of "no difference"; None where it is not tested.
        p_adjusted: The same after Holm's procedure over the whole page.
    """

    before: float | None
    after: float | None
    p_value: float | None
    p_adjusted: float | None


class RateDifference(RecordPart):
    """An arm in one regime in both runs.

    Attributes:
        arm: The arm.
        regime: The regime.
        before: The earlier run's own numbers, over all its pairs; None where the arm is not there.
        after: The later run's.
        objects: Objects that both compared.
        pairs: Pairs of these.
        half_credit: Difference on these pairs.
        decisive: The same, of the share of decided pairs that the arm won.
        f_score: The same, of the arm's mean F-score; undefined without true meshes.
        tie_rate: The same, of the share of pairs without a winner.
        flip_rate: The same, of the share of flips.
    """

    arm: str
    regime: str
    before: Summary | None
    after: Summary | None
    objects: int
    pairs: int
    half_credit: Paired
    decisive: Paired
    f_score: Paired
    tie_rate: Paired
    flip_rate: Paired


class PairChange(RecordPart):
    """A pair with another verdict; ``d_before`` and ``d_after`` are preferences for the arm."""

    arm: str
    regime: str
    object: str
    category: str
    seed: int
    before: Outcome
    after: Outcome
    d_before: float | None
    d_after: float | None


class DriftTest(RecordPart):
    """One property of the new assets beside the old ones.

    Attributes:
        name: What is compared, in words.
        kind: Values, or names.
        old: Number of old items.
        new: Number of new ones.
        old_median: Median of the old values; None for names.
        new_median: The same of the new ones.
        statistic: Kolmogorov-Smirnov's D, or chi-squared.
        p_value: Of "one population".
        p_adjusted: The same after Holm's procedure over all tests of this table.
        psi: Population stability index.
        psi_by_chance: What it is on average where nothing has drifted.
        shares: Of names: (old share, new share).
    """

    name: str
    kind: Feature
    old: int
    new: int
    old_median: float | None
    new_median: float | None
    statistic: float
    p_value: float
    p_adjusted: float
    psi: float
    psi_by_chance: float
    shares: dict[str, Annotated[tuple[float, float], Strict(False)]]


class DecisionChange(RecordPart):
    """The gate's word on a candidate in both runs; None where there is none."""

    arm: str
    before: str | None
    after: str | None


class Difference(Record):
    """What changed between two runs.

    Attributes:
        before: The earlier run.
        after: The later one.
        confidence: Two-sided level of all intervals.
        parameters: Parameters that differ.
        assets: Which assets came, went and changed; None where a run's assets are not kept.
        judges: Every judge.
        rates: Every win-rate.
        pairs: Pairs whose verdict changed.
        decisions: The gate's words.
        drift: New assets beside old ones; empty where none came.
        history: Ties and flips of the recorded runs, oldest first.
        left_out: What could not be compared, a sentence each.
    """

    SCHEMA: ClassVar[str] = "verdict3d/difference/1"

    before: RunNamed
    after: RunNamed
    confidence: float
    parameters: list[ChangedValue]
    assets: AssetChanges | None
    judges: list[JudgeChange]
    rates: list[RateDifference]
    pairs: list[PairChange]
    decisions: list[DecisionChange]
    drift: list[DriftTest]
    history: list[PastRate]
    left_out: list[str]
