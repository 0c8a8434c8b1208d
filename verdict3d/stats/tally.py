"""A tally of verdicts by object, and one test for all questions: is a mean over objects above a bound?

A tally is a list of ``[object, wins, losses, ties]`` (ties of all kinds) from the side of the candidate, in
the order in which the objects were looked at. It is also used for what no judge decides, such as which side
has a valid mesh.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from verdict3d.records.decisions import Counts, ObjectTally
from verdict3d.records.names import Outcome
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.stats.betting import compute_anytime_p_values, find_confidence_sequence
from verdict3d.stats.bootstrap import Array, cluster_bootstrap, divide
from verdict3d.stats.intervals import compute_sign_flip_p_value, unanimous_interval
from verdict3d.stats.winrate import COLUMNS, Answered, Scored

Tally = Sequence[ObjectTally]
Method = Literal["fixed", "sequential"]
CLASSES: tuple[Outcome, ...] = ("win", "loss", "close")
"""A class that stands for each of a tally's counts; which tie it was is not in them."""
BoundSide = Literal["above", "below", "undecided", "undefined"]


@dataclass(frozen=True)
class Bounded:
    """A mean over objects against a bound.

    Attributes:
        objects: Objects with at least one valid pair.
        null: The bound.
        value: Mean over pairs.
        low: Lower bound at one-sided level alpha.
        high: Upper bound at one-sided level alpha.
        p_value: Of "half-credit <= 1/2" (at a fixed number: exact sign-flip test; in sequence: betting);
            None when it is no half-credit, or the bound is not 1/2.
        side: On which side of the bound the interval lies.
    """

    objects: int
    null: float
    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    side: BoundSide

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return asdict(self)


def tally_rows(rows: Iterable[Answered], order: Sequence[str]) -> list[ObjectTally]:
    """Count pairs by object, in ``order``; leave out those without any."""
    counts = {name: [0, 0, 0] for name in order}
    for row in rows:
        if row.outcome != "invalid":
            counts[row.object][COLUMNS.get(row.outcome, 2)] += 1
    return [(name, found[0], found[1], found[2]) for name, found in counts.items() if any(found)]


def tally_sets(rows: Iterable[HeldoutVerdict], order: Sequence[str], views: int) -> list[ObjectTally]:
    """Count single verdicts by object, in ``order``: one for each view set of each pair.

    The mean of several single verdicts says more than the class of their mean: 7 of 8 sets is not 5 of 8.

    Args:
        rows: Verdicts; invalid ones, and sets without an answer, are left out.
        order: Objects.
        views: View sets a verdict; a pair that was not asked about (:func:`count_sets`) has so many.
    """
    counts = {name: [0, 0, 0] for name in order}
    for row in rows:
        if row.outcome != "invalid":
            for place, number in enumerate(count_sets(row, views)):
                counts[row.object][place] += number
    return [(name, found[0], found[1], found[2]) for name, found in counts.items() if any(found)]


def count_sets(row: HeldoutVerdict, views: int) -> Counts:
    """Return from how many view sets both orders name X, name Y, and disagree.

    A pair that nobody was asked about is the same from all of them: two equal meshes, or a missing one.
    """
    if not row.sets:
        return (
            (views, 0, 0)
            if row.outcome == "win"
            else (0, views, 0)
            if row.outcome == "loss"
            else (0, 0, views)
        )
    sets = [one for one in row.sets if one is not None]
    wins = sum(m1 > 0 > m2 for m1, m2 in sets)
    losses = sum(m1 < 0 < m2 for m1, m2 in sets)
    return wins, losses, len(sets) - wins - losses


def rows_of(tally: Tally) -> list[Scored]:
    """Return the pairs that a tally counts."""
    return [
        Scored(name, outcome)
        for name, *counts in tally
        for outcome, times in zip(CLASSES, counts, strict=True)
        for _ in range(times)
    ]


def count_half_credit(
    tally: Tally, null: float, *, alpha: float, method: Method, rng: np.random.Generator, resamples: int
) -> Bounded:
    """Test half-credit against ``null``.

    Args:
        tally: Counts by object; for ``sequential`` in the order the objects were looked at.
        null: Bound in (0, 1).
        alpha: One-sided level of each bound.
        method: As in :func:`average_against`.
        rng: For the bootstrap.
        resamples: Number of bootstrap resamples.
    """
    counts = np.array([row[1:] for row in tally], dtype=np.float64).reshape(-1, 3)
    totals = np.stack([counts[:, 0] + 0.5 * counts[:, 2], counts.sum(axis=1)], axis=1)
    found = average_against(totals, null, alpha=alpha, method=method, rng=rng, resamples=resamples)
    if null != 0.5:
        return found
    if method == "fixed":
        p_value = compute_sign_flip_p_value([wins - losses for _, wins, losses, _ in tally], "greater")
    else:
        scores = score_objects(totals)
        p_value = float(compute_anytime_p_values(scores, 0.5)[-1]) if scores.size else None
    return replace(found, p_value=p_value)


def average_against(
    totals: Array,
    null: float,
    *,
    alpha: float,
    method: Method,
    rng: np.random.Generator,
    resamples: int,
    span: tuple[float, float] = (0.0, 1.0),
    counted: bool = True,
) -> Bounded:
    """Test a mean over pairs against ``null``.

    Args:
        totals: (N, 2) sum and number of pairs by object; objects without pairs are left out.
        null: Bound inside ``span``.
        alpha: One-sided level of each bound.
        method: ``fixed``: BCa interval over objects, for a number of objects that was fixed beforehand;
            ``sequential``: confidence sequence by betting, for a number that was not.
        rng: For the bootstrap.
        resamples: Number of bootstrap resamples.
        span: Smallest and largest value of one pair.
        counted: Whether values are counts of verdicts, which may all agree by chance. Measures do not: where
            all differences are 0 the same meshes were made.
    """
    totals = totals[totals[:, 1] > 0]
    least, width = span[0], span[1] - span[0]
    scores = (score_objects(totals) - least) / width
    bounds: tuple[float, float] | None = None
    value = float(totals[:, 0].sum() / totals[:, 1].sum()) if scores.size else None
    if method == "sequential" and scores.size:
        value = least + width * float(scores.mean())
        lower, upper = (float(ends[-1]) for ends in find_confidence_sequence(scores, alpha))
        bounds = least + width * lower, least + width * upper
    elif scores.size > 1 and counted and np.ptp(scores) == 0:
        lower, upper = unanimous_interval(float(scores[0]), scores.size, 1 - 2 * alpha)
        bounds = least + width * lower, least + width * upper
    elif scores.size > 1:
        bounds = cluster_bootstrap(totals, divide, rng, resamples, 1 - 2 * alpha)
    low, high = bounds or (None, None)
    return Bounded(scores.size, null, value, low, high, None, _find_side(null, low, high))


def score_objects(totals: Array) -> Array:
    """Return (N,) each object's mean over its pairs, in order; ``totals`` as in :func:`average_against`."""
    return totals[:, 0] / totals[:, 1]


def _find_side(null: float, low: float | None, high: float | None) -> BoundSide:
    if low is None or high is None:
        return "undefined"
    return "above" if low > null else "below" if high < null else "undecided"
