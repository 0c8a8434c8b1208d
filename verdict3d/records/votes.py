"""What people answered when they were shown two meshes and did not know whose they were."""

from __future__ import annotations

from typing import ClassVar, Literal

from verdict3d.records.names import Outcome, Side
from verdict3d.records.numbers import Kappa, Summary
from verdict3d.records.record import Record, RecordPart
from verdict3d.records.verdicts import Compared

Choice = Literal["x", "y", "tie", "unsure"]
Tag = Literal["holes", "floaters", "wrong_shape", "blurry"]
OUTCOMES: dict[Choice, Outcome] = {"x": "win", "y": "loss", "tie": "close", "unsure": "invalid"}


class PairAbout(RecordPart):
    """Which two meshes are compared, and where they come from.

    Attributes:
        place: Which question of the run the pair belongs to, as on the page of pairs.
        group: Name of the comparison it belongs to; empty in a run.
        arm: The arm or side that X is of; empty in labels and known answers.
        against: What it is compared with; likewise.
        regime: Regime of the input; empty where there is none.
        object: Id of the asset, or name of the photo.
        category: Its category or tag.
        x: The side that outcomes are seen from.
        y: The other.
    """

    place: str
    group: str
    arm: str
    against: str
    regime: str
    object: str
    category: str
    x: Compared
    y: Compared


class Vote(PairAbout, Record):
    """One person's answer about a pair in one order: a line of ``votes.jsonl``.

    Attributes:
        id: Unique name.
        person: Random name of who answered.
        at: When, in UTC, as ``2026-01-31T12:00:00Z``.
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


class Rater(RecordPart):
    """One person's care.

    Attributes:
        person: Random name.
        votes: Answers that count, those about known and repeated pairs too.
        known: Answers about pairs with a known better side.
        known_right: Those that name it.
        again: Answers about pairs that this person had answered about before.
        again_same: Those that say the same as before.
        median_seconds: Of all answers.
        left: Answers that name the left side.
        named: Answers that name a side.
        careless: Why nothing of this person is counted; empty where it is.
    """

    person: str
    votes: int
    known: int
    known_right: int
    again: int
    again_same: int
    median_seconds: float
    left: int
    named: int
    careless: list[str]


class PeopleRate(RecordPart):
    """Who is better by people, and by the judges on the same pairs.

    Attributes:
        place: Which question of the run the pairs belong to.
        group: Name of the comparison; empty in a run.
        arm: The arm or side that is counted.
        against: What it is compared with.
        regime: Regime of the input.
        pairs: Pairs there are.
        voted: Those that somebody has answered about.
        counted: Pairs that the rates are of: the first ones of an order drawn beforehand that were all seen
            in both orders.
        people: What people say, an answer in each order of every pair.
        judges: What each judge says of the same pairs, by role.
        x_tags: How often each fault was found in the arm's meshes, in all answers.
        y_tags: How often in the others.
    """

    place: str
    group: str
    arm: str
    against: str
    regime: str
    pairs: int
    voted: int
    counted: int
    people: Summary
    judges: dict[str, Summary]
    x_tags: dict[Tag, int]
    y_tags: dict[Tag, int]


class PeopleReport(Record):
    """What people answered, and how judges stand to it.

    Attributes:
        votes: Answers that were not taken back.
        counted: Those of people who are not careless, about pairs that are reported on.
        raters: Everybody, by name.
        ceiling: Agreement of two people about one pair: no judge can be expected to agree more with one.
        judges: Agreement of each judge with one person, by role.
        rates: Win rates, by comparison, arm and regime.
    """

    SCHEMA: ClassVar[str] = "verdict3d/people/1"

    votes: int
    counted: int
    raters: list[Rater]
    ceiling: Kappa
    judges: dict[str, Kappa]
    rates: list[PeopleRate]
