"""What people answered when they were shown two meshes and did not know whose they were."""

from __future__ import annotations

from typing import ClassVar, Literal

from verdict3d.records.names import Outcome, Side
from verdict3d.records.record import Record
from verdict3d.records.verdicts import Compared

Choice = Literal["x", "y", "tie", "unsure"]
Tag = Literal["holes", "floaters", "wrong_shape", "blurry"]
OUTCOMES: dict[Choice, Outcome] = {"x": "win", "y": "loss", "tie": "close", "unsure": "invalid"}


class Vote(Record):
    """One person's answer about a pair in one order: a line of ``votes.jsonl``.

    Attributes:
        id: Unique name.
        person: Random name of who answered.
        at: When, in UTC, as ``2026-01-31T12:00:00Z``.
        place: Which question of the run the pair belongs to, as on the page of pairs.
        group: Name of the comparison it belongs to; empty in a run.
        arm: The arm or side that X is of; empty in labels and known answers.
        against: What it is compared with; likewise.
        regime: Regime of the input; empty where there is none.
        object: Id of the asset, or name of the photo.
        category: Its category or tag.
        x: The side that outcomes are seen from.
        y: The other.
        first: The side that was shown on the left.
        choice: The better side, ``tie`` for equally good ones, ``unsure`` for "cannot tell".
        x_tags: What is wrong with X.
        y_tags: What is wrong with Y.
        seconds: From the moment both meshes were seen to the answer.
        known: The better side where it was known beforehand.
        again: Whether this person had answered about this pair before, in the other order.
        replaces: Id of the answer that this one takes back; None for none.
    """

    SCHEMA: ClassVar[str] = "verdict3d/vote/1"

    id: str
    person: str
    at: str
    place: str
    group: str
    arm: str
    against: str
    regime: str
    object: str
    category: str
    x: Compared
    y: Compared
    first: Side
    choice: Choice
    x_tags: list[Tag]
    y_tags: list[Tag]
    seconds: float
    known: Side | None
    again: bool
    replaces: str | None

    @property
    def outcome(self) -> Outcome:
        """Return the class of a verdict that the answer amounts to."""
        return OUTCOMES[self.choice]

    @property
    def m1(self) -> float | None:
        """Return 1, 0 or -1 for or against the left side with X on the left; None in the other order."""
        return self._margin if self.first == "x" else None

    @property
    def m2(self) -> float | None:
        """Return the same with Y on the left."""
        return self._margin if self.first == "y" else None

    @property
    def _margin(self) -> float | None:
        if self.choice == "unsure":
            return None
        return 0.0 if self.choice == "tie" else 1.0 if self.choice == self.first else -1.0
