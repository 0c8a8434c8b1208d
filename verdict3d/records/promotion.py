"""From the challenge of the champion to the decision, and the record of what was done about it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Strict

from verdict3d.records.names import Regime
from verdict3d.records.numbers import Interval, Standing
from verdict3d.records.record import Part, Record

ConditionState = Literal["met", "failed", "open"]
Word = Literal["PROMOTE", "HOLD", "REJECT"]
TallyRow = Annotated[tuple[str, int, int, int], Strict(False)]
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


class Challenger(Part):
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
        holdout: Identity of the held-out set.
        judge: Digest of the evaluation judge.
        arms: By candidate.
    """

    SCHEMA: ClassVar[str] = "verdict3d/challenge/1"

    champion: Champion
    regimes: list[Regime]
    holdout: str
    judge: str
    arms: dict[str, Challenger]


class Tallies(Part):
    """Verdicts by object, in the order in which these were looked at; None: not measured.

    Attributes:
        primary: In the regime of the first condition.
        clean: On clean inputs.
        texture: Of montages in colour.
        validity: Who has a mesh where the other has none.
    """

    primary: list[TallyRow] | None
    clean: list[TallyRow] | None
    texture: list[TallyRow] | None
    validity: list[TallyRow] | None


class CertificateState(Part):
    """What is known of a judge's certificate; ``digest`` is its digest where it is valid."""

    state: ConditionState
    words: str
    digest: str | None


class HoldoutUse(Part):
    """What a held-out set has been used for.

    Attributes:
        candidates: Candidates that it has decided on, this one counted.
        queries: Answers of the evaluation judge in all.
        own: Those about this candidate.
    """

    candidates: int
    queries: int
    own: int


class Evidence(Part):
    """What the gate knows of one candidate.

    Attributes:
        champion: Whom it challenges.
        adapter: Identity of its adapter.
        categories: Category of each object.
        tallies: Verdicts against the champion.
        certificates: By role of the judge.
        gap: Over-optimisation gap.
        holdout: Use of the held-out set.
    """

    champion: Champion
    adapter: str
    categories: dict[str, str]
    tallies: Tallies
    certificates: dict[str, CertificateState]
    gap: Interval | None
    holdout: HoldoutUse


class EvidenceByArm(Record):
    """What the gate decided on: ``data/gate/evidence.json``."""

    SCHEMA: ClassVar[str] = "verdict3d/evidence/1"

    arms: dict[str, Evidence]


class Margins(Part):
    """How much half-credit may be below 1/2.

    A win of ``validity`` is a valid mesh against a failed one, so that 0.05 is 10% more failed meshes.
    """

    clean: float
    category: float
    texture: float
    validity: float


class Rule(Part):
    """What is fixed before any candidate is seen: the section ``promotion`` of the parameters.

    Attributes:
        regime: Regime of the first condition.
        bar: What the candidate has to do there: ``beats``, ``reaches`` (the target) or ``certified``.
        target: Decisive win-rate aimed at.
        test: ``fixed`` number of objects or ``sequential``.
        alpha: One-sided level.
        objects: Held-out objects that a test at a fixed number needs.
        margins: How much half-credit may be below 1/2.
        category_objects: Categories with fewer objects are tested together.
        gap_limit: Largest over-optimisation gap.
        candidates_limit: Most candidates that one held-out set may decide on.
        queries_limit: Most questions to the evaluation judge about one held-out set.
        confidence: Two-sided level of the over-optimisation gap's interval.
        resamples: Number of bootstrap resamples.
    """

    regime: Regime
    bar: Literal["beats", "reaches", "certified"]
    target: float
    test: Literal["fixed", "sequential"]
    alpha: float
    objects: int
    margins: Margins
    category_objects: int
    gap_limit: float
    candidates_limit: int
    queries_limit: int
    confidence: float
    resamples: int


class Requirement(Part):
    """One condition of promotion: its state, in words, with the numbers it rests on.

    Attributes:
        name: Identifier.
        state: ``met``, ``failed`` or ``open``.
        words: One sentence.
        measured: What it rests on.
        objects_to_decide: Objects in all that would decide it, when more objects can.
    """

    name: str
    state: ConditionState
    words: str
    measured: dict[str, Measured]
    objects_to_decide: int | None


class ArmDecision(Part):
    """The gate's word on one candidate.

    Attributes:
        decision: The word.
        standing: What its win-rate entitles one to say.
        reasons: Why it is not promoted.
        more_objects: About how many more objects would decide; None when these would not help.
        conditions: What it has to show.
    """

    decision: Word
    standing: Standing
    reasons: list[str]
    more_objects: int | None
    conditions: list[Requirement]


class Decision(Record):
    """The gate's word on every candidate: ``data/gate/decision.json``.

    Attributes:
        champion: Who was challenged.
        holdout: Identity of the held-out set.
        rule: By which it was decided.
        evidence: Digest of what it was decided on.
        adapters: Identity of each candidate's adapter.
        arms: By candidate.
        chosen: The one to promote, if any.
    """

    SCHEMA: ClassVar[str] = "verdict3d/decision/1"

    champion: Champion
    holdout: str
    rule: Rule
    evidence: str
    adapters: dict[str, str]
    arms: dict[str, ArmDecision]
    chosen: str | None


class Candidate(Part):
    """An arm and the identity of its adapter."""

    arm: str
    adapter: str


class BoundTo(Part):
    """What a decision rests on.

    Attributes:
        git_commit: Commit of the code; None outside git.
        git_dirty: Whether the tree differed from it.
        dvc_lock: Digest of ``dvc.lock``.
        stages: Digest of each stage's entry in it: command, code, data, parameters, outputs.
        certificates: Digest of each judge's certificate, by role.
        adapter: Identity of the adapter.
        base: Digest of the base generator.
        parameters: Digest of the parameters.
    """

    git_commit: str | None
    git_dirty: bool | None
    dvc_lock: str
    stages: dict[str, str]
    certificates: dict[str, str | None]
    adapter: str
    base: str
    parameters: str


class PromotionRecord(Record):
    """The record of a decision, bound to everything it rests on.

    Attributes:
        candidate: Whom it is about.
        decision: The gate's word on every candidate.
        forced: Why the champion was moved whatever the gate says; None when it was not.
        bound_to: What it rests on.
    """

    SCHEMA: ClassVar[str] = "verdict3d/promotion/2"

    candidate: Candidate
    decision: Decision
    forced: str | None
    bound_to: BoundTo
