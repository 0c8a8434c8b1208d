"""What people say beside what judges say: agreement, its ceiling, and win-rates on the same pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from verdict3d.randomness import numpy_generator
from verdict3d.records.names import Outcome, Side
from verdict3d.records.numbers import Kappa
from verdict3d.records.votes import PeopleRate, PeopleReport, Tag, Vote
from verdict3d.stats.agreement import measure_agreement
from verdict3d.stats.winrate import Scored, summarise, turn
from verdict3d.votes.counted import drop_replaced
from verdict3d.votes.pairs import draw_rank, name_pair, name_voted
from verdict3d.votes.raters import rate_people

ORDERS: tuple[Side, Side] = ("x", "y")
VotesByPair = Mapping[str, Sequence[Vote]]


@dataclass(frozen=True)
class JudgedPair:
    """A pair with the outcome of every judge that was asked.

    Attributes:
        object: Id of the asset, or name of the photo.
        x: Digest of X's mesh; None where there is none.
        y: Digest of Y's.
        outcomes: By role of the judge, seen from X; the judge that the pair is about comes first.
        place: Which question of the run it belongs to.
        group: Name of the comparison; empty in a run.
        arm: The arm or side that X is of.
        against: What it is compared with.
        regime: Regime of the input.
    """

    object: str
    x: str | None
    y: str | None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    place: str = ""
    group: str = ""
    arm: str = ""
    against: str = ""
    regime: str = ""

    @property
    def key(self) -> str:
        """Return its name (:func:`verdict3d.votes.pairs.name_pair`)."""
        return name_pair(self.object, self.x, self.y)

    @property
    def decided(self) -> Outcome | None:
        """Return the outcome of a pair that nobody needs to be asked about; None where people are."""
        first: Outcome = next(iter(self.outcomes.values()), "invalid")
        return first if not self.key or self.x == self.y or first == "same" else None


def report_people(
    votes: Sequence[Vote], pairs: Sequence[JudgedPair], seed: int, resamples: int, confidence: float
) -> PeopleReport:
    """Return what people say and how judges stand to it.

    Args:
        votes: All answers.
        pairs: What judges were asked about, people or not; answers about others count nowhere.
        seed: Of the drawn order (:func:`verdict3d.votes.pairs.draw_rank`) and of the resamples.
        resamples: Bootstrap resamples.
        confidence: Two-sided level in (0, 1).
    """
    current = drop_replaced(votes)
    raters = rate_people(current)
    careful = group_votes(current, {rater.person for rater in raters if rater.careless})
    answers = {pair.key: careful[pair.key] for pair in pairs if pair.key in careful}

    def agree(name: str, both: Sequence[tuple[Outcome, Outcome, str]]) -> Kappa:
        first, second, objects = ([row[place] for row in both] for place in range(3))
        rng = numpy_generator(seed, "people_agreement", name)
        return measure_agreement(first, second, objects, rng, resamples, confidence).record()

    ceiling = agree("people", list(_pair_people(answers)))
    roles = dict.fromkeys(role for pair in pairs for role in pair.outcomes)
    strata: dict[tuple[str, ...], list[JudgedPair]] = {}
    for pair in pairs:
        if pair.arm:
            key = (pair.place, pair.group, pair.arm, pair.against, pair.regime)
            strata.setdefault(key, []).append(pair)
    return PeopleReport(
        votes=len(current),
        counted=sum(map(len, answers.values())),
        raters=raters,
        ceiling=ceiling.model_copy(update={"pairs": ceiling.pairs // 2}),
        judges={role: agree(role, list(_pair_judge(role, pairs, answers))) for role in roles},
        rates=[
            _measure_rate(members, answers, seed, resamples, confidence)
            for members in strata.values()
            if any(pair.key in answers for pair in members)
        ],
    )


def group_votes(votes: Iterable[Vote], careless: set[str]) -> dict[str, list[Vote]]:
    """Return the answers that count by pair: first answers of careful people where nothing is known.

    Args:
        votes: Answers that were not taken back.
        careless: Names of people who are not counted.
    """
    found: dict[str, list[Vote]] = {}
    for vote in votes:
        if vote.person not in careless and vote.known is None and not vote.again:
            found.setdefault(name_voted(vote), []).append(vote)
    return found


def view_from(vote: Vote, x: str | None) -> Outcome:
    """Return what an answer says, seen from the side whose mesh has the digest ``x``."""
    return vote.outcome if vote.x.mesh_digest == x else turn(vote).outcome


def count_along(
    pairs: Sequence[JudgedPair], answers: VotesByPair, seed: int
) -> list[tuple[JudgedPair, Outcome]]:
    """Return two outcomes of each pair that counts: the first answer in each order.

    Objects count in an order drawn beforehand, up to the first with a pair that was not seen in both orders:
    so which pairs count does not depend on what people or judges say of them. A pair of one mesh, or without
    one, needs no answer.

    Args:
        pairs: All pairs of one arm in one regime.
        answers: By pair.
        seed: Of the order.
    """
    objects: dict[str, list[JudgedPair]] = {}
    for pair in pairs:
        objects.setdefault(pair.object, []).append(pair)
    about = pairs[0] if pairs else JudgedPair("", None, None)
    counted: list[tuple[JudgedPair, Outcome]] = []
    for name in sorted(objects, key=lambda name: (draw_rank(seed, about.arm, about.regime, name), name)):
        for pair in objects[name]:
            both = _answer_both_orders(pair, answers.get(pair.key, ()))
            if both is None:
                return [row for row in counted if row[0].object != name]
            counted += [(pair, outcome) for outcome in both]
    return counted


def _answer_both_orders(pair: JudgedPair, votes: Sequence[Vote]) -> list[Outcome] | None:
    if pair.decided is not None:
        return [pair.decided] * len(ORDERS)
    first = {side: next((vote for vote in votes if _find_left(vote, pair) == side), None) for side in ORDERS}
    said = [view_from(vote, pair.x) for vote in first.values() if vote is not None]
    return said if len(said) == len(ORDERS) else None


def _find_left(vote: Vote, pair: JudgedPair) -> Side:
    same = vote.x.mesh_digest == pair.x
    return vote.first if same else "y" if vote.first == "x" else "x"


def _pair_people(answers: VotesByPair) -> Iterable[tuple[Outcome, Outcome, str]]:
    """Yield what each two people say of a pair, both ways round: neither is the first."""
    for votes in answers.values():
        for one, other in permutations(votes, 2):
            if one.person != other.person:
                yield one.outcome, view_from(other, one.x.mesh_digest), one.object


def _pair_judge(
    role: str, pairs: Iterable[JudgedPair], answers: VotesByPair
) -> Iterable[tuple[Outcome, Outcome, str]]:
    """Yield what a judge and each person say of a pair, which may belong to several questions once."""
    once = {pair.key: pair for pair in pairs if role in pair.outcomes and pair.key in answers}
    for key, pair in once.items():
        for vote in answers[key]:
            yield pair.outcomes[role], view_from(vote, pair.x), pair.object


def _measure_rate(
    pairs: Sequence[JudgedPair], answers: VotesByPair, seed: int, resamples: int, confidence: float
) -> PeopleRate:
    about = pairs[0]
    rows = count_along(pairs, answers, seed)
    counted = list(dict.fromkeys(id(pair) for pair, _ in rows))
    shown = [pair for pair in pairs if id(pair) in set(counted)]
    names = (about.place, about.group, about.arm, about.regime)
    scored = {"people": [Scored(pair.object, outcome) for pair, outcome in rows]}
    for role in dict.fromkeys(role for pair in pairs for role in pair.outcomes):
        scored[role] = [Scored(pair.object, pair.outcomes[role]) for pair in shown if role in pair.outcomes]
    rates = {
        who: summarise(mine, numpy_generator(seed, "people_rate", who, *names), resamples, confidence)
        for who, mine in scored.items()
    }
    tags: dict[Side, Counter[Tag]] = {"x": Counter(), "y": Counter()}
    for pair in pairs:
        for vote in answers.get(pair.key, ()):
            same = vote.x.mesh_digest == pair.x
            tags["x"].update(vote.x_tags if same else vote.y_tags)
            tags["y"].update(vote.y_tags if same else vote.x_tags)
    return PeopleRate(
        place=about.place,
        group=about.group,
        arm=about.arm,
        against=about.against,
        regime=about.regime,
        pairs=len(pairs),
        voted=sum(pair.key in answers for pair in pairs),
        counted=len(counted),
        people=rates.pop("people"),
        judges=rates,
        x_tags=dict(sorted(tags["x"].items())),
        y_tags=dict(sorted(tags["y"].items())),
    )
