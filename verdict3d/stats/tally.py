"""A tally of verdicts by object, and one test for all questions asked of it: is half-credit above a bound?

A tally is a list of ``[object, wins, losses, ties]`` (ties of all kinds) from the side of the candidate, in
the order in which the objects were looked at. It is also used for what no judge decides, such as which side
has a valid mesh.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from verdict3d.records.names import Outcome
from verdict3d.records.promotion import TallyRow
from verdict3d.stats.betting import Array, anytime_p_values, confidence_sequence
from verdict3d.stats.intervals import sign_flip_p_value
from verdict3d.stats.power import objects_for_mean, pairs_to_beat
from verdict3d.stats.winrate import COLUMNS, Answered, Scored, win_rate

Tally = Sequence[TallyRow]
Method = Literal["fixed", "sequential"]
CLASSES: tuple[Outcome, ...] = ("win", "loss", "close")
"""A class that stands for each of a tally's counts; which tie it was is not in them."""
BoundSide = Literal["above", "below", "undecided", "undefined"]

PEEKING = 1.8
"""Objects that the betting test needs for 80% power, relative to the test at a fixed number (simulated)."""


@dataclass(frozen=True)
class Bounded:
    """Half-credit of a tally against a bound.

    Attributes:
        objects: Objects with at least one valid pair.
        null: The bound.
        value: Mean over pairs of win 1, tie 1/2, loss 0.
        low: Lower bound at one-sided level alpha.
        high: Upper bound at one-sided level alpha.
        p_value: Of "half-credit <= 1/2" (at a fixed number: exact sign-flip test; in sequence: betting);
            None when the bound is not 1/2.
        side: On which side of the bound the interval lies.
        objects_to_decide: Objects in all that would decide with 80% power, if what was seen is the truth;
            None when no number would: what was seen lies on the bound, or too near it to name one.
    """

    objects: int
    null: float
    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    side: BoundSide
    objects_to_decide: int | None

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return asdict(self)


def tally_rows(rows: Iterable[Answered], order: Sequence[str]) -> list[TallyRow]:
    """Count pairs by object, in ``order``; leave out those without any."""
    counts = {name: [0, 0, 0] for name in order}
    for row in rows:
        if row.outcome != "invalid":
            counts[row.object][COLUMNS.get(row.outcome, 2)] += 1
    return [(name, found[0], found[1], found[2]) for name, found in counts.items() if any(found)]


def rows_of(tally: Tally) -> list[Scored]:
    """Return the pairs that a tally counts."""
    return [
        Scored(name, outcome)
        for name, *counts in tally
        for outcome, times in zip(CLASSES, counts, strict=True)
        for _ in range(times)
    ]


def half_credit_against(
    tally: Tally, null: float, *, alpha: float, method: Method, rng: np.random.Generator, resamples: int
) -> Bounded:
    """Test half-credit against ``null``.

    Args:
        tally: Counts by object; for ``sequential`` in the order the objects were looked at.
        null: Bound in (0, 1).
        alpha: One-sided level of each bound.
        method: ``fixed``: BCa interval over objects, for a number of objects that was fixed beforehand;
            ``sequential``: confidence sequence by betting, for a number that was not.
        rng: For the bootstrap.
        resamples: Number of bootstrap resamples.
    """
    scores = object_scores(tally)
    if method == "fixed":
        half = win_rate(rows_of(tally), rng, resamples, 1 - 2 * alpha).half_credit
        value, low, high = half.value, half.low, half.high
        p_value = sign_flip_p_value([wins - losses for _, wins, losses, _ in tally], "greater")
    else:
        value = float(scores.mean()) if scores.size else None
        bounds = confidence_sequence(scores, alpha)
        low, high = (float(bound[-1]) if scores.size else None for bound in bounds)
        p_value = float(anytime_p_values(scores, 0.5)[-1]) if scores.size else None
    return Bounded(
        objects=len(tally),
        null=null,
        value=value,
        low=low,
        high=high,
        p_value=p_value if null == 0.5 else None,
        side=_side(null, low, high),
        objects_to_decide=_objects_to_decide(tally, null, alpha, method),
    )


def object_scores(tally: Tally) -> Array:
    """Return each object's mean score in [0, 1], in order."""
    return np.array([(wins + 0.5 * ties) / (wins + losses + ties) for _, wins, losses, ties in tally])


def _side(null: float, low: float | None, high: float | None) -> BoundSide:
    if low is None or high is None:
        return "undefined"
    return "above" if low > null else "below" if high < null else "undecided"


def _objects_to_decide(tally: Tally, null: float, alpha: float, method: Method) -> int | None:
    """Plan with what was seen: exactly for one pair an object against 1/2, else by a normal approximation.

    Equal scores have no spread to plan with: then it is the number from which their own interval decides.
    """
    scores = object_scores(tally)
    number: int | None
    wins, losses = sum(row[1] for row in tally), sum(row[2] for row in tally)
    ties = sum(row[3] for row in tally)
    if null == 0.5 and all(row[1] + row[2] + row[3] == 1 for row in tally) and wins != losses:
        pairs = pairs_to_beat(min(max(wins, losses) / (wins + losses), 0.99), alpha)
        number = None if pairs is None else int(np.ceil(pairs * (wins + losses + ties) / (wins + losses)))
    elif not scores.size or scores[0] == null == scores.mean():
        return None
    elif method == "fixed" and np.ptp(scores) == 0:
        score, bound = (scores[0], null) if scores[0] > null else (1 - scores[0], 1 - null)
        return int(math.log(alpha) / math.log(bound / score)) + 1
    elif scores.size < 2:
        return None
    else:
        number = objects_for_mean(float(scores.mean()) - null, max(float(scores.std(ddof=1)), 0.05), alpha)
    if number is None:
        return None
    return int(np.ceil(PEEKING * number)) if method == "sequential" else number
