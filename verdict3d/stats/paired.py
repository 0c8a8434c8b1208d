"""Differences between two sets of answers about the same pairs, with intervals over objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from verdict3d.stats.bootstrap import Array, cluster_bootstrap
from verdict3d.stats.intervals import compute_sign_flip_p_value, unanimous_interval
from verdict3d.stats.winrate import SCORES, Answered


@dataclass(frozen=True)
class PairedEstimate:
    """After minus before, on the same pairs; a number is None where it is undefined.

    Attributes:
        before: The earlier number.
        after: The later one.
        value: Their difference.
        low: Lower bound over objects.
        high: Upper bound.
        p_value: Exact two-sided sign-flip test of "no difference" over objects; None where not tested.
    """

    before: float | None = None
    after: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class PairedRates:
    """Two runs' verdicts on the same pairs."""

    objects: int
    pairs: int
    half_credit: PairedEstimate
    decisive: PairedEstimate
    tie_rate: PairedEstimate
    flip_rate: PairedEstimate


def compare_rates(
    rows: Sequence[tuple[Answered, Answered]],
    generator_for: Callable[[str], np.random.Generator],
    resamples: int,
    confidence: float,
) -> PairedRates:
    """Compare two runs' verdicts on the same pairs.

    Pairs without a verdict in either run are left out. The bootstrap draws objects, and takes both runs'
    verdicts on a drawn object together, so that what makes an object easy cancels.

    Args:
        rows: Verdicts of the earlier and of the later run on each pair.
        generator_for: Gives each number a generator of its own.
        resamples: Bootstrap resamples.
        confidence: Two-sided level in (0, 1).
    """
    valid = [pair for pair in rows if all(row.outcome != "invalid" for row in pair)]
    names = sorted({before.object for before, _ in valid})
    index = {name: place for place, name in enumerate(names)}
    # before and after: half-credit, wins, decided pairs, flips; then pairs
    totals = np.zeros((len(names), 9))
    for pair in valid:
        place = index[pair[0].object]
        for side, row in enumerate(pair):
            decided = row.outcome in ("win", "loss")
            values = (SCORES[row.outcome], row.outcome == "win", decided, row.outcome == "flip")
            totals[place, 4 * side : 4 * side + 4] += values
        totals[place, 8] += 1
    balances = [round(2 * float(row[4] - row[0])) for row in totals]

    def measure(name: str, top: tuple[int, int], bottom: tuple[int, int]) -> PairedEstimate:
        return _estimate(totals, top, bottom, generator_for(name), resamples, confidence)

    half = measure("half credit", (0, 4), (8, 8))
    undecided = measure("ties", (2, 6), (8, 8))
    return PairedRates(
        objects=len(names),
        pairs=len(valid),
        half_credit=replace(half, p_value=compute_sign_flip_p_value(balances)),
        decisive=measure("decisive", (1, 5), (2, 6)),
        tie_rate=_complement(undecided),
        flip_rate=measure("flips", (3, 7), (8, 8)),
    )


def compare_means(
    rows: Sequence[tuple[str, float, float]],
    rng: np.random.Generator,
    resamples: int,
    confidence: float,
) -> PairedEstimate:
    """Compare the means of a measure of the same pairs.

    Args:
        rows: Object, earlier and later value of each pair.
        rng: For the bootstrap.
        resamples: Bootstrap resamples.
        confidence: Two-sided level in (0, 1).
    """
    names = sorted({name for name, _, _ in rows})
    totals = np.zeros((len(names), 3))
    for name, before, after in rows:
        totals[names.index(name)] += (before, after, 1)
    return _estimate(totals, (0, 1), (2, 2), rng, resamples, confidence, counted=False)


def _estimate(
    totals: Array,
    top: tuple[int, int],
    bottom: tuple[int, int],
    rng: np.random.Generator,
    resamples: int,
    confidence: float,
    *,
    counted: bool = True,
) -> PairedEstimate:
    """Return the difference of two ratios of totals; ``top`` and ``bottom`` are columns before and after."""

    def ratio(sums: Array, side: int) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(sums[:, bottom[side]] > 0, sums[:, top[side]] / sums[:, bottom[side]], np.nan)

    def difference(sums: Array) -> Array:
        return ratio(sums, 1) - ratio(sums, 0)

    whole = totals.sum(axis=0)[None]
    before, after = (float(ratio(whole, side)[0]) for side in (0, 1))
    value = after - before
    if not np.isfinite(value):
        return PairedEstimate(*(number if np.isfinite(number) else None for number in (before, after)))
    unmoved = all(np.array_equal(totals[:, old], totals[:, new]) for old, new in (top, bottom))
    if counted and unmoved and len(totals) > 1:
        return PairedEstimate(before, after, value, *_bounds_of_none(len(totals), confidence))
    bounds = cluster_bootstrap(totals, difference, rng, resamples, confidence)
    return PairedEstimate(before, after, value, *(bounds or (None, None)))


def _bounds_of_none(objects: int, confidence: float) -> tuple[float, float]:
    """Return bounds where no object differs, of which resampling knows nothing; the span is 2 wide."""
    low, high = unanimous_interval(0.5, objects, confidence)
    return 2 * low - 1, 2 * high - 1


def _complement(found: PairedEstimate) -> PairedEstimate:
    """Return the same of the other share of the pairs."""

    def turned(value: float | None, one: float = 0.0) -> float | None:
        return None if value is None else one - value

    return PairedEstimate(
        turned(found.before, 1.0),
        turned(found.after, 1.0),
        turned(found.value),
        turned(found.high),
        turned(found.low),
    )
