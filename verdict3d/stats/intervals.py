"""Exact intervals and tests for wins and losses; an undefined number is None, never 0 or NaN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import beta

from verdict3d.records.numbers import Interval


@dataclass(frozen=True)
class Estimate:
    """A point estimate with two-sided bounds; each is None when it is undefined."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    def record(self) -> Interval:
        """Return it as it is written."""
        return Interval(value=self.value, low=self.low, high=self.high)


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return the exact two-sided binomial interval (Clopper and Pearson 1934); None without trials.

    Raises:
        ValueError: ``successes`` is outside 0..``trials``.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials; expected 0 <= successes <= trials")
    if trials == 0:
        return None
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(beta.ppf(1 - tail, successes + 1, trials - successes))
    return low, high


def unanimous_interval(score: float, objects: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return bounds for a mean in [0, 1] when all objects scored the same, where resampling knows nothing.

    With N equal scores the share q of objects that would score otherwise is, at this confidence, below
    1 - tail ** (1 / N), and those may score anything in [0, 1]. For score 1 (or 0) this is the
    Clopper-Pearson interval of N successes (or none) in N.

    Args:
        score: The common score in [0, 1].
        objects: Number of objects, at least 1.
        confidence: Two-sided level in (0, 1).
    """
    others = 1 - ((1 - confidence) / 2) ** (1 / objects)
    return score * (1 - others), score * (1 - others) + others


def compute_sign_flip_p_value(
    balances: Sequence[int], alternative: Literal["two-sided", "greater"] = "two-sided"
) -> float | None:
    """Return the exact sign-flip randomisation p-value of "no preference".

    Under the null hypothesis each object's balance is as likely with the other sign. The distribution of
    the sum over all 2**N sign choices is built by convolution, so the value is exact for any N; with one
    decisive pair an object it is the two-sided sign test.

    Args:
        balances: Wins minus losses of each object.
        alternative: What counts as extreme: a sum as far from zero, or one as great.

    Returns:
        The chance of a sum at least as extreme as the observed one (1.0 when all balances are zero); None
        without objects.
    """
    if not balances:
        return None
    steps = [abs(balance) for balance in balances if balance]
    distribution = np.ones(1)
    for step in steps:
        wider = np.zeros(distribution.size + 2 * step)
        wider[: distribution.size] += 0.5 * distribution
        wider[2 * step :] += 0.5 * distribution
        distribution = wider
    reach = sum(steps)
    sums = np.arange(-reach, reach + 1)
    observed = sum(balances)
    extreme = sums >= observed if alternative == "greater" else np.abs(sums) >= abs(observed)
    return min(1.0, float(distribution[extreme].sum()))
