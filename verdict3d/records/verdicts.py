"""Pairs that a judge has compared, and the preferences that follow."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Strict

from verdict3d.records.generations import Truth
from verdict3d.records.names import Outcome, PairKind, Regime, Side, Split
from verdict3d.records.record import Record, RecordPart


class Judged(Record):
    """What every verdict on disk says (:class:`verdict3d.judge.verdict.Verdict`).

    Attributes:
        outcome: Seen from X.
        m1: Mean margin for the first slot with X first; None where nothing was asked, as the next four.
        m2: Mean margin for the first slot with Y first.
        d: Preference for X; 0 where X and Y are the same.
        b: Bias towards the first slot.
        r: Reliability.
        se: Standard error of d over the view sets; None with fewer than two.
        sets: (m1, m2) of each view set, in the order of the list; None where a set has no answer.
        reason: Why there is no verdict, as a short code; empty when there is one.
        message: The same for people.
    """

    outcome: Outcome
    m1: float | None
    m2: float | None
    d: float | None
    b: float | None
    r: float | None
    se: float | None
    sets: list[Annotated[tuple[float, float], Strict(False)] | None]
    reason: str
    message: str


class Compared(RecordPart):
    """A generation that a verdict is about."""

    generation: str
    mesh_digest: str | None


class PairVerdict(Judged):
    """The training judge on a pair: ``data/label/verdicts.jsonl``; fields as in :class:`Pair`."""

    SCHEMA: ClassVar[str] = "verdict3d/pair-verdict/2"

    id: str
    kind: PairKind
    asset: str
    category: str
    split: Split
    expected: Side | None
    x: Compared
    y: Compared


class Preference(Record):
    """A decisive verdict of the training judge: ``data/label/preferences.jsonl``.

    Attributes:
        id: Of the pair.
        kind: Of the pair.
        asset: Id of the asset.
        split: Its split.
        chosen: Id of the preferred generation.
        rejected: Id of the other.
    """

    SCHEMA: ClassVar[str] = "verdict3d/preference/2"

    id: str
    kind: PairKind
    asset: str
    split: Split
    chosen: str
    rejected: str


class ControlVerdict(Judged):
    """A judge on a control pair: ``data/audit/<role>/verdicts.jsonl``; fields as in :class:`ControlPair`.

    Attributes:
        panel: How the pair was shown.
        mode: What the montages show.
        truth: Of both sides, where the control is about it.
    """

    SCHEMA: ClassVar[str] = "verdict3d/control-verdict/2"

    id: str
    control: str
    pair: str
    object: str
    category: str
    defect: str | None
    grade: int | None
    panel: str
    mode: str
    truth: Annotated[tuple[Truth | None, Truth | None], Strict(False)] | None


class Contender(RecordPart):
    """A held-out generation that a verdict is about; fields as in :class:`Generation` and :class:`Truth`."""

    generation: str
    mesh: str | None
    mesh_digest: str | None
    montage: str | None
    failure: str | None
    f_score: float | None
    normal_consistency: float | None
    floating_share: float | None


class HeldoutVerdict(Judged):
    """A judge on an arm against the base or the champion: ``verdicts.jsonl`` below evaluate and challenge.

    Attributes:
        object: Id of the asset.
        category: Its category.
        regime: Regime of the condition.
        seed: Which of several equal generations this is.
        arm: The arm's side, X; of controls, the second sample.
        base: The other, Y.
    """

    SCHEMA: ClassVar[str] = "verdict3d/heldout-verdict/2"

    object: str
    category: str
    regime: Regime
    seed: int
    arm: Contender
    base: Contender
