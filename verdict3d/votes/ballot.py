"""Who is asked what next, on which side each mesh stands, and how an answer is kept."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from verdict3d.errors import ItemFailure
from verdict3d.randomness import numpy_generator
from verdict3d.records.names import Side
from verdict3d.records.votes import Choice, Tag, Vote
from verdict3d.votes.counted import drop_replaced
from verdict3d.votes.journal import VoteJournal
from verdict3d.votes.pairs import PURPOSE, AskedPair, name_voted, order_pairs
from verdict3d.votes.raters import find_careless

Pick = Literal["a", "b", "tie", "unsure"]
"""An answer as it is given: A is the left side."""
KNOWN_EVERY, AGAIN_EVERY = 10, 20
"""Of so many questions to a person one has a known answer, and one is asked again in the other order."""
AGAIN_AFTER = 8
"""Questions between a pair and itself."""
AHEAD = 2
"""Questions that a person has open: the one that is seen, and the next, which is loaded beforehand."""
HELD_S = 600.0
"""How long a question that was handed out counts as good as answered."""
LONGEST_S = 3600.0


@dataclass(frozen=True)
class Question:
    """A pair in one order, as one person is asked about it.

    Attributes:
        token: Its name in addresses; says nothing.
        pair: The pair.
        first: The side on the left.
        again: Whether this person has answered about the pair before.
        handed_s: When it was handed out, in seconds of a clock that only goes on.
    """

    token: str
    pair: AskedPair
    first: Side
    again: bool
    handed_s: float


@dataclass
class _Person:
    """What is known of one person.

    Attributes:
        seen: Sides on the left so far, by pair, in the order of the first time.
        repeated: Pairs that were asked about again.
        handed: Questions that were handed out, in all.
        open: Those that are not answered.
        answered: Answers that count, in all.
    """

    seen: dict[str, list[Side]] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)
    handed: int = 0
    open: list[Question] = field(default_factory=list)
    answered: int = 0


class Ballot:
    """Asks people about pairs and keeps their answers; safe to use from several threads.

    Every pair is asked in both orders, of different people where there are several: whoever comes next sees
    the order that was seen less often. A pair comes up again for others until ``people`` have answered, and
    only when all have that many for further ones.

    Args:
        pairs: What people are asked about.
        known: Pairs with a known answer, mixed in.
        journal: Where answers are kept; those that are there are taken into account.
        seed: Of orders and sides.
        people: How many people each pair needs.
    """

    def __init__(
        self,
        pairs: Sequence[AskedPair],
        known: Sequence[AskedPair],
        journal: VoteJournal,
        seed: int,
        people: int = 2,
    ) -> None:
        self.pairs, self.known = order_pairs(pairs, seed), order_pairs(known, seed)
        self._by_key = {pair.key: pair for pair in (*self.known, *self.pairs)}
        self._journal, self._seed, self._wanted = journal, seed, people
        self._lock = threading.Lock()
        self._people: dict[str, _Person] = {}
        self._questions: dict[str, tuple[str, Question]] = {}
        self._votes: dict[str, str] = {}
        self._sides: dict[str, list[Side]] = {}
        self._remember(drop_replaced(journal.read()))

    def open_questions(self, name: str) -> list[Question]:
        """Return what a person is asked now and next; fewer than two where nothing is left."""
        with self._lock:
            person = self._people.setdefault(name, _Person())
            while len(person.open) < AHEAD and (found := self._choose(name, person)):
                pair, again = found
                question = Question(
                    secrets.token_hex(10),
                    pair,
                    self._choose_side(name, person, pair),
                    again,
                    time.monotonic(),
                )
                self._questions[question.token] = name, question
                person.seen.setdefault(pair.key, []).append(question.first)
                person.handed += 1
                person.open.append(question)
                if again:
                    person.repeated.add(pair.key)
            return list(person.open)

    def count_answers(self, name: str) -> tuple[int, int]:
        """Return how many questions a person has answered, and about how many pairs there are to answer."""
        with self._lock:
            person = self._people.get(name)
            return (person.answered if person else 0), len(self.pairs)

    def answer(
        self,
        name: str,
        token: str,
        pick: Pick,
        left_tags: Iterable[Tag] = (),
        right_tags: Iterable[Tag] = (),
        seconds: float = 0.0,
    ) -> Vote:
        """Keep a person's answer; a second one to the same question takes the first one back.

        Args:
            name: The person.
            token: The question.
            pick: The answer.
            left_tags: What is wrong with the mesh on the left.
            right_tags: Likewise on the right.
            seconds: From the moment both meshes were seen to the answer.

        Raises:
            ItemFailure: ``no_question``: nobody has asked this person that.
            Verdict3DError: The answer could not be recorded.
        """
        with self._lock:
            asked, question = self._questions.get(token, (None, None))
            if question is None or asked != name:
                raise ItemFailure("no_question", "this question is not open any more")
            left, right = sorted(set(left_tags)), sorted(set(right_tags))
            pair, mirrored = question.pair, question.first == "y"
            vote = Vote(
                id=secrets.token_hex(8),
                person=name,
                at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                **pair.about,
                first=question.first,
                choice=_read_pick(pick, question.first),
                x_tags=right if mirrored else left,
                y_tags=left if mirrored else right,
                seconds=round(min(max(seconds, 0.0), LONGEST_S), 2),
                known=pair.known,
                again=question.again,
                replaces=self._votes.get(token),
            )
            self._journal.append([vote])
            person = self._people[name]
            if token not in self._votes:
                person.answered += 1
                person.open = [one for one in person.open if one.token != token]
                if not question.again:
                    self._sides.setdefault(pair.key, []).append(question.first)
            self._votes[token] = vote.id
            return vote

    def _remember(self, votes: Sequence[Vote]) -> None:
        """Take earlier answers into account; those of careless people do not spare others the pair."""
        careless = find_careless(votes)
        for vote in votes:
            key, person = name_voted(vote), self._people.setdefault(vote.person, _Person())
            if key not in self._by_key:
                continue
            mine = vote.first if self._by_key[key].x == vote.x else _turn_side(vote.first)
            person.seen.setdefault(key, []).append(mine)
            person.handed, person.answered = person.handed + 1, person.answered + 1
            if vote.again:
                person.repeated.add(key)
            elif vote.person not in careless:
                self._sides.setdefault(key, []).append(mine)

    def _choose(self, name: str, person: _Person) -> tuple[AskedPair, bool] | None:
        """Return the next pair of a person, and whether it was asked before; None where nothing is left."""
        block, place = divmod(person.handed, KNOWN_EVERY)
        drawn = numpy_generator(self._seed, PURPOSE, "places", name, block).permutation(KNOWN_EVERY)
        if place == drawn[0] and (rest := [pair for pair in self.known if pair.key not in person.seen]):
            order = numpy_generator(self._seed, PURPOSE, "known", name).permutation(len(rest))
            return rest[int(order[0])], False
        if place == drawn[1] and block % (AGAIN_EVERY // KNOWN_EVERY):
            earlier = list(person.seen)[: max(0, len(person.seen) - AGAIN_AFTER)]
            for key in earlier:
                if key not in person.repeated and self._by_key[key].known is None:
                    return self._by_key[key], True
        taken = self._count_taken(name)
        fresh = [pair for pair in self.pairs if pair.key not in person.seen]
        if not fresh:
            return None
        return min(fresh, key=lambda pair: taken[pair.key] // self._wanted), False

    def _choose_side(self, name: str, person: _Person, pair: AskedPair) -> Side:
        """Return the side that stands on the left: the one that stood there less often, else a drawn one."""
        own = person.seen.get(pair.key)
        if own:
            return _turn_side(own[-1])
        sides = Counter([*self._sides.get(pair.key, ()), *self._find_held(name, pair.key)])
        if sides["x"] != sides["y"]:
            return "x" if sides["x"] < sides["y"] else "y"
        # of a known answer every person draws anew, for it is asked of all
        who = [name] if pair.known else []
        return "x" if numpy_generator(self._seed, PURPOSE, "sides", pair.key, *who).random() < 0.5 else "y"

    def _find_held(self, name: str, key: str) -> list[Side]:
        """Return the sides on the left in questions about a pair that others have open."""
        now = time.monotonic()
        return [
            question.first
            for other, person in self._people.items()
            if other != name
            for question in person.open
            if question.pair.key == key and now - question.handed_s < HELD_S
        ]

    def _count_taken(self, name: str) -> Counter[str]:
        """Return how many people have answered about each pair, or are being asked about it."""
        now = time.monotonic()
        taken = Counter({key: len(sides) for key, sides in self._sides.items()})
        for other, person in self._people.items():
            if other != name:
                taken.update(
                    question.pair.key for question in person.open if now - question.handed_s < HELD_S
                )
        return taken


def _read_pick(pick: Pick, first: Side) -> Choice:
    if pick == "a":
        return first
    return _turn_side(first) if pick == "b" else pick


def _turn_side(side: Side) -> Side:
    return "y" if side == "x" else "x"
