"""From the challenge of the champion to the decision: what the gate is given, and what it says."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Strict

from verdict3d.records.holdout import HoldoutSet, HoldoutUse
from verdict3d.records.names import Regime
from verdict3d.records.numbers import Standing
from verdict3d.records.record import Record, RecordPart

ConditionState = Literal["met", "failed", "open"]
Word = Literal["PROMOTE", "HOLD", "REJECT"]
Counts = Annotated[tuple[int, int, int], Strict(False)]
"""Wins, losses and ties of an object's pairs; all 0 where nothing was measured."""
Total = Annotated[tuple[float, int], Strict(False)]
"""Sum of a difference over an object's pairs, and their number."""
ObjectTally = Annotated[tuple[str, int, int, int], Strict(False)]
"""Object, wins, losses, ties."""
Measured = float | int | str | None | dict[str, float | int | None]
"""A number, a word, or an estimate with its bounds."""


class Champion(Record):
    """Who has to be beaten: ``data/registry/champion/champion.json``, which is not there for the base.

    Attributes:
        name: What people call it.
        version: Version in the model registry; None for the base generator.
        arm: Arm that made its adapter.
        adapter: Identity of its adapter.
    """

    SCHEMA: ClassVar[str] = "verdict3d/champion/1"

    name: str
    version: int | None
    arm: str | None
    adapter: str | None


class Challenger(RecordPart):
    """One candidate's challenge.

    Attributes:
        adapter: Identity of its adapter.
        objects: Held-out objects that were looked at, in order.
        looks: Number of times that a sequential test looked.
        texture: Whether montages in colour were compared.
    """

    adapter: str
    objects: list[str]
    looks: int
    texture: bool


class Challenge(Record):
    """Every candidate against the champion: ``data/challenge/challenge.json``.

    Attributes:
        champion: Who was challenged.
        regimes: Regimes of the inputs.
        holdout: What its run has used the held-out objects for.
        judge: Digest of the evaluation judge.
        arms: By candidate.
    """

    SCHEMA: ClassVar[str] = "verdict3d/challenge/2"

    champion: Champion
    regimes: list[Regime]
    holdout: HoldoutSet
    judge: str
    arms: dict[str, Challenger]


class ObjectEvidence(RecordPart):
    """What one held-out object says of a candidate against the champion.

    Attributes:
        object: Id of the asset.
        category: Its category.
        primary: Verdicts in the regime of the first condition.
        clean: Verdicts on clean inputs.
        texture: Verdicts on montages in colour.
        validity: Who has a mesh where the other has none.
        f_score: F-score of the candidate minus the champion's, in that regime.
        clean_f_score: The same on clean inputs.
        gap: Credit by the training judge minus credit by the evaluation judge, arm against base, in that
            regime.
    """

    object: str
    category: str
    primary: Counts
    clean: Counts
    texture: Counts
    validity: Counts
    f_score: Total
    clean_f_score: Total
    gap: Total


class CertificateState(RecordPart):
    """What is known of a judge's certificate; ``digest`` is its digest where it is valid."""

    state: ConditionState
    words: str
    digest: str | None


class Evidence(RecordPart):
    """What the gate knows of one candidate.

    Attributes:
        champion: Whom it challenges.
        adapter: Identity of its adapter.
        objects: Held-out objects, in the order in which they were looked at.
        untested: Why there is no condition, by what it would be about: ``texture``, ``truth``.
        certificates: By role of the judge.
        holdout: Use of the held-out objects.
        people: What people say of each object in the regime of the first condition, an answer in each order
            of every pair, in an order drawn beforehand; None where nobody was asked.
    """

    champion: Champion
    adapter: str
    objects: list[ObjectEvidence]
    untested: dict[str, str]
    certificates: dict[str, CertificateState]
    holdout: HoldoutUse
    people: list[ObjectTally] | None


class EvidenceByArm(Record):
    """What the gate decided on: ``data/gate/evidence.json``."""

    SCHEMA: ClassVar[str] = "verdict3d/evidence/3"

    arms: dict[str, Evidence]


class Margins(RecordPart):
    """How much half-credit may be below 1/2, and F-score on clean inputs (``f_score``) below the champion's.

    A win of ``validity`` is a valid mesh against a failed one, so that 0.05 is 10% more failed meshes.
    """

    clean: float
    category: float
    texture: float
    validity: float
    f_score: float
    people: float


class Rule(RecordPart):
    """What is fixed before any candidate is seen: the section ``promotion`` of the parameters.

    Attributes:
        regime: Regime of the first condition.
        bar: What the candidate has to do there: ``beats``, ``reaches`` (the target) or ``clears`` (it).
        target: Decisive win-rate aimed at.
        test: ``fixed`` number of objects or ``sequential``.
        alpha: One-sided level of the whole run.
        looks: How often a candidate may be decided on as objects are added; each look has its share of alpha.
        objects: Held-out objects that a test at a fixed number needs.
        margins: How much half-credit may be below 1/2.
        f_score_gain: What the gain of F-score in the regime is shown to be above.
        category_objects: Categories with fewer objects are not tested alone.
        gap_limit: Largest over-optimisation gap.
        candidates_limit: Most candidates that one held-out set may decide on.
        queries_limit: Most questions to the evaluation judge about one held-out set.
        resamples: Number of bootstrap resamples.
    """

    regime: Regime
    bar: Literal["beats", "reaches", "clears"]
    target: float
    test: Literal["fixed", "sequential"]
    alpha: float
    looks: int
    objects: int
    margins: Margins
    f_score_gain: float
    category_objects: int
    gap_limit: float
    candidates_limit: int
    queries_limit: int
    resamples: int


class Requirement(RecordPart):
    """One condition of promotion: its state, in words, with the numbers it rests on.

    Attributes:
        name: Identifier.
        state: ``met``, ``failed`` or ``open``.
        words: One sentence.
        measured: What it rests on.
        by_objects: Whether more objects can change its state.
    """

    name: str
    state: ConditionState
    words: str
    measured: dict[str, Measured]
    by_objects: bool


class Chance(RecordPart):
    """How often the gate would say each word with so many new held-out objects, as shares of simulations."""

    objects: int
    promote: float
    hold: float
    reject: float


class Outlook(RecordPart):
    """What would decide on a held candidate (:func:`verdict3d.stats.outlook.foresee`).

    Attributes:
        chances: By number of objects in all, ascending; empty when no number of objects helps.
        kept: How many of the objects seen are among these; 0 where the test has been looked at as often as
            was fixed, so that all of them have to be new.
        blocks: Condition that is in the way most often with the first number of objects; without chances,
            one that objects do not change.
        blocked: How often it is, as a share of the simulations.
    """

    chances: list[Chance]
    kept: int
    blocks: str
    blocked: float


class ArmDecision(RecordPart):
    """The gate's word on one candidate.

    Attributes:
        decision: The word.
        standing: Which claim its win-rate supports.
        reasons: Why it is not promoted.
        outlook: What would decide; None unless it is held.
        conditions: What it has to show.
        untested: What was not tested, a sentence each.
    """

    decision: Word
    standing: Standing
    reasons: list[str]
    outlook: Outlook | None
    conditions: list[Requirement]
    untested: list[str]


class Decision(Record):
    """The gate's word on every candidate: ``data/gate/decision.json``.

    Attributes:
        champion: Who was challenged.
        holdout: What its run has used the held-out objects for.
        rule: By which it was decided.
        evidence: Digest of what it was decided on.
        adapters: Identity of each candidate's adapter.
        arms: By candidate.
        chosen: The one to promote, if any.
    """

    SCHEMA: ClassVar[str] = "verdict3d/decision/3"

    champion: Champion
    holdout: HoldoutSet
    rule: Rule
    evidence: str
    adapters: dict[str, str]
    arms: dict[str, ArmDecision]
    chosen: str | None
