"""Tests that may be looked at after every object: betting on the mean of bounded scores.

Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (arXiv 2010.09686). A
player starts with 1 and bets, before each score is seen, that the mean lies above ``null``. Under the
hypothesis "mean <= null" the fortune is a supermartingale, so the chance that it *ever* reaches 1 / alpha is
at most alpha (Ville's inequality): one may stop whenever one likes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BOLDNESS = 0.75
"""Largest bet as a share of the one that could lose everything."""

GRID = np.linspace(0.0, 1.0, 1001)[1:-1]
"""Means that a confidence sequence is asked about; its bounds are accurate to 0.001."""


def compute_fortunes(scores: Sequence[float] | Array, nulls: Array) -> Array:
    """Return the fortune of the player against each null after each score.

    E_n(m) = prod_{i <= n} (1 + lam_i (x_i - m)) with the bet
    lam_i = clip((mu - m) / (s2 + (mu - m)^2), 0, 0.75 / m), where the running mean mu and variance s2 are
    those of the scores before i, started with one imagined score (mean 1/2, variance 1/4).

    Args:
        scores: (N,) scores in [0, 1], in an order fixed before any was seen; or (N, M), a sequence of its
            own for each null.
        nulls: (M,) means in (0, 1).

    Returns:
        (N, M); a large value speaks against "mean <= null".

    Raises:
        ValueError: A score is outside [0, 1] or a null outside (0, 1).
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.size and (values.min() < 0 or values.max() > 1):
        raise ValueError(f"scores reach from {values.min()} to {values.max()}; expected 0 to 1")
    if nulls.min() <= 0 or nulls.max() >= 1:
        raise ValueError(f"nulls reach from {nulls.min()} to {nulls.max()}; expected inside 0 to 1")
    fortune = np.ones(len(nulls))
    table = np.empty((len(values), len(nulls)))
    total, squares = np.array(0.5), np.array(0.25)
    for seen, value in enumerate(values, start=1):
        mean, variance = total / seen, squares / seen
        lead = mean - nulls
        bets = np.clip(lead / (variance + lead**2), 0.0, BOLDNESS / nulls)
        fortune = fortune * (1 + bets * (value - nulls))
        table[seen - 1] = fortune
        total = total + value
        squares = squares + (value - total / (seen + 1)) ** 2
    return table


def compute_anytime_p_values(scores: Sequence[float] | Array, null: float) -> Array:
    """Return (N,) p-values of "mean <= null", each valid however the moment to look was chosen."""
    best = np.maximum.accumulate(compute_fortunes(scores, np.array([null]))[:, 0])
    return np.minimum(1.0, 1.0 / best)


def find_confidence_sequence(scores: Sequence[float] | Array, alpha: float) -> tuple[Array, Array]:
    """Return lower and upper bounds after each score, valid for all moments at once.

    Args:
        scores: (N,) scores in [0, 1], in an order fixed before any was seen.
        alpha: Chance of each bound to be ever wrong; together they are a 1 - 2 alpha sequence.

    Returns:
        (N,) lower and (N,) upper bounds: the ends of the running intersection of the means that neither
        player has reached 1 / alpha against.
    """
    values = np.asarray(scores, dtype=np.float64)
    above = np.maximum.accumulate(compute_fortunes(values, GRID), axis=0) < 1 / alpha
    below = np.maximum.accumulate(compute_fortunes(1 - values, 1 - GRID), axis=0) < 1 / alpha
    low, high = np.zeros(len(values)), np.ones(len(values))
    for row, kept in enumerate(above & below):
        held = GRID[kept]
        if held.size == len(GRID):
            continue
        # both players having won against every mean is possible, though rarer than alpha
        ends = (held[0], held[-1]) if held.size else (values[: row + 1].mean(),) * 2
        low[row] = ends[0] if ends[0] > GRID[0] else 0.0
        high[row] = ends[1] if ends[1] < GRID[-1] else 1.0
    return low, high
