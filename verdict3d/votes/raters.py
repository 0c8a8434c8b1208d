"""Who votes without care: by known answers, by repeated pairs, by time, and by the side that is named.

Each rule asks whether so bad a result would come from an attentive person in fewer than one case of forty
(the side: of a thousand), so that few votes condemn nobody.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from verdict3d.records.votes import Rater, Vote
from verdict3d.votes.pairs import name_voted

ATTENTIVE_RIGHT = 0.8
"""Least share of known answers that an attentive person gets right."""
ATTENTIVE_SAME = 0.5
"""Least share of repeated pairs about which an attentive person says the same: pairs may be close."""
LEVEL, SIDE_LEVEL = 0.025, 0.001
QUICK_S, QUICK_VOTES = 1.0, 10
"""Nobody turns two meshes in less; asked of so many votes at least."""


def rate_people(votes: Sequence[Vote]) -> list[Rater]:
    """Return everybody who voted, by name, with what speaks against counting them.

    Args:
        votes: Answers that were not taken back.
    """
    people: dict[str, list[Vote]] = {}
    for vote in votes:
        people.setdefault(vote.person, []).append(vote)
    return [_rate(name, mine) for name, mine in sorted(people.items())]


def find_careless(votes: Sequence[Vote]) -> set[str]:
    """Return the names of the people whose answers are not counted."""
    return {rater.person for rater in rate_people(votes) if rater.careless}


def _rate(name: str, mine: Sequence[Vote]) -> Rater:
    known = [vote for vote in mine if vote.known is not None]
    first = {name_voted(vote): vote.choice for vote in mine if not vote.again}
    again = [vote for vote in mine if vote.again and name_voted(vote) in first]
    named = [vote for vote in mine if vote.choice in ("x", "y")]
    rater = Rater(
        person=name,
        votes=len(mine),
        known=len(known),
        known_right=sum(vote.choice == vote.known for vote in known),
        again=len(again),
        again_same=sum(vote.choice == first[name_voted(vote)] for vote in again),
        median_seconds=statistics.median(vote.seconds for vote in mine),
        left=sum(vote.choice == vote.first for vote in named),
        named=len(named),
        careless=[],
    )
    return rater.model_copy(update={"careless": _find_reasons(rater)})


def _find_reasons(rater: Rater) -> list[str]:
    from scipy.stats import binom

    reasons = []
    if rater.known and binom.cdf(rater.known_right, rater.known, ATTENTIVE_RIGHT) < LEVEL:
        reasons.append(f"{rater.known_right} of {rater.known} known answers right")
    if rater.again and binom.cdf(rater.again_same, rater.again, ATTENTIVE_SAME) < LEVEL:
        reasons.append(f"the same about {rater.again_same} of {rater.again} repeated pairs")
    if rater.votes >= QUICK_VOTES and rater.median_seconds < QUICK_S:
        reasons.append(f"{rater.median_seconds:.1f} s for half of the answers")
    seldom = min(rater.left, rater.named - rater.left)
    if rater.named and 2 * binom.cdf(seldom, rater.named, 0.5) < SIDE_LEVEL:
        reasons.append(f"the left side in {rater.left} of {rater.named} answers that name one")
    return reasons
