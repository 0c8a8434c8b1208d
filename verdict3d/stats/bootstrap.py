"""Resampling whole objects: intervals for statistics of sums over clusters (BCa; Efron 1987)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""Maps summed totals (R, K) to values (R,); NaN where the statistic is undefined."""

_ELEMENTS_AT_ONCE = 1_000_000
"""Counts that are drawn together, 16 bytes each: many clusters take no more memory than few."""


def divide(totals: Array) -> Array:
    """Return numerator / denominator of totals (R, 2); NaN where the denominator is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(totals[:, 1] > 0, totals[:, 0] / totals[:, 1], np.nan)


def cluster_bootstrap(
    totals: Array, statistic: Statistic, rng: np.random.Generator, resamples: int, confidence: float
) -> tuple[float, float] | None:
    """Return a two-sided BCa interval for ``statistic`` of the summed cluster totals.

    Whole clusters (objects) are drawn with replacement, so that seeds, views and regimes of one object stay
    together. Resamples in which the statistic is undefined are left out.

    Args:
        totals: (N, K) one row of additive totals for each cluster.
        statistic: Function of summed totals.
        rng: Generator that the resamples are drawn from.
        resamples: How many resamples to draw, at least 1.
        confidence: Two-sided level in (0, 1).

    Returns:
        Lower and upper bound; None with fewer than two clusters, with an undefined estimate, or when most
        resamples are undefined.
    """
    clusters = len(totals)
    if clusters < 2:
        return None
    whole = totals.sum(axis=0)
    estimate = float(statistic(whole[None])[0])
    if not np.isfinite(estimate):
        return None
    at_once = max(1, _ELEMENTS_AT_ONCE // clusters)
    shares = np.full(clusters, 1.0 / clusters)
    parts = []
    for start in range(0, resamples, at_once):
        times = rng.multinomial(clusters, shares, size=min(at_once, resamples - start))
        parts.append(statistic(times.astype(np.float64) @ totals))
    draws = np.concatenate(parts)
    draws = draws[np.isfinite(draws)]
    if 2 * draws.size < resamples:
        return None
    return find_bca_bounds(estimate, draws, statistic(whole - totals), confidence)


def find_bca_bounds(
    estimate: float, draws: Array, jackknife: Array, confidence: float
) -> tuple[float, float]:
    """Return bias-corrected and accelerated bounds (Efron 1987, "Better bootstrap confidence intervals").

    Args:
        estimate: The statistic on all data.
        draws: (R,) finite bootstrap values, R >= 1.
        jackknife: (N,) the statistic with one cluster left out each; NaN where undefined.
        confidence: Two-sided level in (0, 1).
    """
    equal = np.isclose(draws, estimate, rtol=1e-12, atol=1e-12)
    if equal.all():
        return estimate, estimate
    below = ((draws < estimate) & ~equal).mean() + 0.5 * equal.mean()
    smallest = 0.5 / draws.size
    bias = ndtri(np.clip(below, smallest, 1 - smallest))
    left_out = jackknife[np.isfinite(jackknife)]
    deviations = left_out.mean() - left_out if left_out.size else np.zeros(1)
    spread = float((deviations**2).sum())
    acceleration = float((deviations**3).sum()) / (6 * spread**1.5) if spread > 1e-20 else 0.0
    tail = (1 - confidence) / 2
    moved = bias + ndtri(np.array([tail, 1 - tail]))
    levels = ndtr(bias + moved / (1 - acceleration * moved))
    low, high = np.quantile(draws, np.clip(levels, 0.0, 1.0))
    return float(low), float(high)
