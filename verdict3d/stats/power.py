"""How many objects it takes to decide."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binom, norm

MOST_OBJECTS = 20_000
"""Beyond this many objects the answer is "no number worth naming"."""


def halve_alpha(confidence: float) -> float:
    """Return the level of each bound of a two-sided interval: 0.025 for 0.95."""
    return round((1 - confidence) / 2, 12)


def count_pairs_to_beat(win_share: float, alpha: float, power: float = 0.8) -> int | None:
    """Return how many decisive pairs show a win share to be above 1/2 with the given power.

    The test is the exact one-sided sign test, which rejects exactly when the lower Clopper-Pearson bound at
    ``alpha`` is above 1/2. Its power is a sawtooth in the number of pairs; from the returned number on it
    never falls below ``power`` again.

    Args:
        win_share: True share of wins among decisive pairs, in (0, 1).
        alpha: One-sided level.
        power: Wanted chance to reject.

    Returns:
        The number of pairs; None when the share is not above 1/2 or it takes more than ``MOST_OBJECTS``.
    """
    if win_share <= 0.5:
        return None
    rough = count_objects_for_mean(
        win_share - 0.5, math.sqrt(win_share * (1 - win_share)) + 0.05, alpha, power
    )
    if rough is None:
        return None
    sizes = np.arange(1, 2 * rough + 60)
    needed = binom.isf(alpha, sizes, 0.5) + 1  # smallest number of wins that rejects
    enough = binom.sf(needed - 1, sizes, win_share) >= power
    short = np.flatnonzero(~enough)
    return int(sizes[short[-1]] + 1) if short.size else 1


def count_objects_for_mean(distance: float, deviation: float, alpha: float, power: float = 0.8) -> int | None:
    """Return how many objects tell a mean apart from a bound, by the normal approximation.

    n = ((z_alpha + z_power) * deviation / distance)^2

    Args:
        distance: True mean minus the bound; its sign does not matter.
        deviation: Standard deviation of the objects' scores.
        alpha: One-sided level.
        power: Wanted chance to decide.

    Returns:
        The number, at least 2; None when it is above ``MOST_OBJECTS`` or the distance is zero.
    """
    if distance == 0:
        return None
    number = math.ceil(float(((norm.isf(alpha) + norm.ppf(power)) * deviation / distance) ** 2))
    return max(2, number) if number <= MOST_OBJECTS else None
