"""How large a defect must be to be seen: psychometric curves of two-alternative choices.

    P(right | x) = 1/2 + (1/2 - lapse) (1 - exp(-(x / scale)^slope))

is the Weibull function for two alternatives (Wichmann and Hill 2001, "The psychometric function: I", eq. 1,
guessing rate 1/2): chance for defects too small to see, 1 - lapse for large ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from verdict3d.records import certificates
from verdict3d.stats.intervals import Estimate

DETECTED = 0.75
"""Half way between chance and certainty: a defect counts as seen from here."""
MOST_LAPSES = 0.2

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A fitted curve.

    Attributes:
        scale: Where the curve has risen by 63%, in the unit of the severities.
        slope: Steepness.
        lapse: Share of wrong answers about defects that cannot be missed, in [0, 0.2].
        threshold: Severity at which 75% of the answers are right, with bounds; the smallest severity shown
            where it lies below that, None where the curve does not reach it within those shown.
        points: Severity, share of right answers and number of answers, by severity.
    """

    scale: float
    slope: float
    lapse: float
    threshold: Estimate
    points: tuple[tuple[float, float, int], ...]

    def record(self) -> certificates.Curve:
        """Return the curve as it is written."""
        return certificates.Curve(
            scale=self.scale,
            slope=self.slope,
            lapse=self.lapse,
            threshold=self.threshold.record(),
            points=list(self.points),
        )


def weibull(severity: Array, scale: float, slope: float, lapse: float) -> Array:
    """Return the chance of a right answer at each severity (N,)."""
    return 0.5 + (0.5 - lapse) * -np.expm1(-((severity / scale) ** slope))


def fit_curve(
    severities: Sequence[float],
    scores: Sequence[float],
    objects: Sequence[str],
    rng: np.random.Generator,
    resamples: int = 200,
    confidence: float = 0.95,
) -> Curve | None:
    """Fit the curve by maximum likelihood; the bounds of the threshold come from resampled objects.

    Args:
        severities: Severity of each answer, > 0.
        scores: 1 for a right answer, 0 for a wrong one, 1/2 for none.
        objects: The object of each answer; whole objects are resampled (percentile interval).
        rng: Generator for the resamples.
        resamples: How many.
        confidence: Two-sided level in (0, 1).

    Returns:
        The curve, or None with fewer than two severities. The threshold's upper bound is None where more
        resamples than the tail allows do not reach 75%.
    """
    levels = np.array(sorted(set(severities)), dtype=np.float64)
    if len(levels) < 2:
        return None
    names = sorted(set(objects))
    tables = np.zeros((len(names), len(levels), 2))
    for severity, score, name in zip(severities, scores, objects, strict=True):
        tables[names.index(name), int(np.searchsorted(levels, severity))] += (score, 1.0)
    whole = tables.sum(axis=0)
    fitted = _fit(levels, whole)
    threshold = _find_threshold(levels, fitted)
    low, high = _find_threshold_bounds(levels, tables, rng, resamples, confidence)
    if threshold is not None:  # resamples are fitted on a grid, the estimate is not
        low = None if low is None else min(low, threshold)
        high = None if high is None else max(high, threshold)
    return Curve(
        scale=float(fitted[0]),
        slope=float(fitted[1]),
        lapse=float(fitted[2]),
        threshold=Estimate(threshold, low, high),
        points=tuple(
            (float(level), float(right / count), int(count))
            for level, (right, count) in zip(levels, whole, strict=True)
        ),
    )


def _fit(levels: Array, table: Array) -> Array:
    """Return scale, slope and lapse for right answers and answers (L, 2): the best on the grid, refined."""
    right, wrong = table[:, 0], table[:, 1] - table[:, 0]

    def cost(values: Array) -> float:
        chance = _clip(weibull(levels, *values))
        return -float(right @ np.log(chance) + wrong @ np.log1p(-chance))

    (start,) = _search_grid(levels, table[None])
    fit = minimize(
        cost, start, method="L-BFGS-B", bounds=[(axis[0], axis[-1]) for axis in _make_axes(levels)]
    )
    return np.asarray(fit.x if fit.fun <= cost(start) else start)


def _make_axes(levels: Array) -> tuple[Array, Array, Array]:
    """Return the values of scale, slope and lapse on the grid."""
    scales = np.geomspace(levels[0] / 4, levels[-1] * 4, 60)
    return scales, np.geomspace(0.5, 8.0, 12), np.linspace(0.0, MOST_LAPSES, 6)


def _search_grid(levels: Array, tables: Array) -> Array:
    """Return the likeliest scale, slope and lapse (R, 3) on the grid for each table (R, L, 2)."""
    grid = np.stack(np.meshgrid(*_make_axes(levels), indexing="ij"), axis=-1).reshape(-1, 3)
    chance = _clip(weibull(levels[:, None], *grid.T))
    right, wrong = tables[..., 0], tables[..., 1] - tables[..., 0]
    likeliest = np.argmax(right @ np.log(chance) + wrong @ np.log1p(-chance), axis=1)
    found: Array = grid[likeliest]
    return found


def _clip(chance: Array) -> Array:
    return np.clip(chance, 1e-9, 1 - 1e-9)


def _find_threshold(levels: Array, fitted: Array) -> float | None:
    """Invert the curve at 75%; the smallest level where it lies below, None beyond the largest."""
    scale, slope, lapse = (float(value) for value in fitted)
    at = scale * (-np.log1p(-(DETECTED - 0.5) / (0.5 - lapse))) ** (1.0 / slope)
    return max(float(at), float(levels[0])) if at <= levels[-1] else None


def _find_threshold_bounds(
    levels: Array, tables: Array, rng: np.random.Generator, resamples: int, confidence: float
) -> tuple[float | None, float | None]:
    """Return percentile bounds of the threshold over resampled objects; never reached counts as infinite."""
    clusters = len(tables)
    if clusters < 2:
        return None, None
    times = rng.multinomial(clusters, np.full(clusters, 1.0 / clusters), size=resamples).astype(np.float64)
    fitted = _search_grid(levels, np.einsum("rc,clk->rlk", times, tables))
    drawn = (_find_threshold(levels, row) for row in fitted)
    values = np.array([np.inf if value is None else value for value in drawn])
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail], method="nearest")
    return (float(low) if np.isfinite(low) else None, float(high) if np.isfinite(high) else None)
