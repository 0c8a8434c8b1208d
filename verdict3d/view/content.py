"""Content of the report page as plain records, so that the page can be made from any source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from verdict3d.records.assets import Quarantined
from verdict3d.records.certificates import Certificate, Stratum
from verdict3d.records.decisions import Decision
from verdict3d.records.names import Outcome, PairKind
from verdict3d.records.numbers import Summary
from verdict3d.records.results import Results
from verdict3d.records.votes import PeopleReport

REGIMES = ("clean", "mild", "medium", "severe")
Control = Literal["base_again", "random_pick", "oracle", "oracle_stage"]


@dataclass(frozen=True)
class Illustration:
    """A picture on a page: data URI or path beside it, sizes in px, ``alt`` says what it shows."""

    uri: str
    width_px: int
    height_px: int
    alt: str


@dataclass(frozen=True)
class Exhibit:
    """One held-out pair in the gallery.

    Attributes:
        object: Asset id.
        category: Its category.
        arm: The arm that was compared with the base.
        regime: Degradation regime of the input.
        outcome: Class of the verdict, seen from the arm.
        m1: Mean margin for the first slot with the arm first; None where nothing was asked.
        m2: Mean margin for the first slot with the base first; None where nothing was asked.
        se: Standard error of the preference over view sets; None with fewer than two.
        views: Number of view sets that were asked.
        clean: The clean input picture.
        degraded: The input that the generator was given, when it is not the clean one.
        base: Montage of the base generation; None when it failed.
        adapted: Montage of the arm's generation; None when it failed.
        base_f_score: F-score of the base mesh against the asset, in [0, 1].
        arm_f_score: F-score of the arm's mesh against the asset, in [0, 1].
    """

    object: str
    category: str
    arm: str
    regime: str
    outcome: Outcome
    m1: float | None
    m2: float | None
    se: float | None
    views: int
    clean: Illustration | None
    degraded: Illustration | None
    base: Illustration | None
    adapted: Illustration | None
    base_f_score: float | None = None
    arm_f_score: float | None = None


@dataclass(frozen=True)
class LossCurve:
    """Losses of one arm's training: ``series`` maps a name to values at ``x`` (named ``x_name``)."""

    arm: str
    x_name: str
    x: tuple[float, ...]
    series: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Failures:
    """How many items failed for one reason in one place.

    Attributes:
        place: For people.
        arm: The arm whose verdicts they are; None for items that are no pairs.
        reason: As a short code.
        count: How many.
        items: Names of items that are no pairs.
    """

    place: str
    arm: str | None
    reason: str
    count: int
    items: Sequence[str] = ()


@dataclass(frozen=True)
class StageOutputs:
    """One stage of the run, and the digest of its outputs."""

    name: str
    digest: str | None


@dataclass(frozen=True)
class Audit:
    """A judge's audit.

    Attributes:
        role: Its role.
        certificate: Its certificate.
        pictures: Of an example, by name.
        arms_by_gap: Right answers about arms against their base, by gap of F-score.
    """

    role: str
    certificate: Certificate
    pictures: Mapping[str, Illustration] = field(default_factory=dict)
    arms_by_gap: Sequence[Stratum] = ()


@dataclass(frozen=True)
class Report:
    """Everything on the page; an empty or None part is reported as missing.

    Attributes:
        arms: Names of the configured arms.
        target: The win-rate to reach.
        confidence: Level of the intervals.
        evaluations: ``results.json`` of each evaluated arm.
        controls: Which control an arm is, for arms that are not meant to win.
        least_headroom: Half-credit of an oracle below which a regime says nothing about methods.
        rankings: All arms in one model, by regime (:func:`verdict3d.view.arms.rank_arms`).
        preflight: What preflight said, sentence by sentence; empty when it has not run.
        labels: Win-rate summary of each pair kind by the training judge.
        curves: Loss curves.
        exhibits: The gallery.
        exhibits_of: Number of held-out pairs that the gallery was drawn from.
        quarantine: Quarantined files; None when the assets stage left no record.
        noted: Assets in which each kind of note stands: what was changed while their files were read.
        failures: Failed items by place and reason; None when no record was found.
        stages: Stages with the digests of their outputs.
        promotion: The gate's decision; None when it has not decided.
        audits: The audited judges.
        agreements: Cohen's kappa of each two judges on the controls (``one``, ``other``, ``value``, ...).
        people: What people say and how judges stand to it; None where nobody has voted.
        stopped: Why the run has stopped before its end, the first sentence where; empty where it has not.
        warnings: What a reader must know about the run, such as judges that share a language model.
        provenance: Names and values that identify the run.
        parameters: The parameters as text.
    """

    arms: tuple[str, ...]
    target: float
    confidence: float = 0.95
    evaluations: Mapping[str, Results] = field(default_factory=dict)
    controls: Mapping[str, Control] = field(default_factory=dict)
    least_headroom: float = 0.7
    rankings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    preflight: tuple[str, ...] = ()
    labels: Mapping[PairKind, Summary] = field(default_factory=dict)
    curves: tuple[LossCurve, ...] = ()
    exhibits: tuple[Exhibit, ...] = ()
    exhibits_of: int = 0
    quarantine: tuple[Quarantined, ...] | None = None
    noted: Mapping[str, Sequence[str]] = field(default_factory=dict)
    failures: tuple[Failures, ...] | None = None
    stages: tuple[StageOutputs, ...] = ()
    promotion: Decision | None = None
    audits: tuple[Audit, ...] = ()
    agreements: tuple[Mapping[str, Any], ...] = ()
    people: PeopleReport | None = None
    stopped: str = ""
    warnings: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    parameters: str = ""
