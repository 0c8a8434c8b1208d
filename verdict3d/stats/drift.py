"""Whether new items come from where old ones came from: two samples, many properties, one error rate.

Values are compared by the two-sample Kolmogorov-Smirnov test, names by a Monte Carlo test of chi-squared,
both of SciPy. Beside the p-value stands the population stability index, which says how large a change is:
``sum((a - e) ln(a / e))`` over classes with old share e and new share a (N. Siddiqi, Credit Risk Scorecards,
2006). Without any drift it is about (B - 1)(1/n + 1/m) for B classes and n and m items (B. Yurdakul and
J. Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation 14,
2020), so it stands beside that number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import MonteCarloMethod, chi2_contingency, ks_2samp

LEAST_ITEMS = 5
"""Items on each side below which nothing is tested."""
CLASSES = 10
"""Most classes of values, by quantiles of both sides together; equal quantiles make wider classes."""
RESAMPLES = 9999
SMOOTHING = 0.5
"""Added to every count of a class, so that an empty class has a share."""


@dataclass(frozen=True)
class Drift:
    """Two samples compared.

    Attributes:
        statistic: Kolmogorov-Smirnov's D in [0, 1], or chi-squared.
        p_value: Of "one population".
        psi: Population stability index, 0 or more.
        psi_by_chance: Its mean where nothing has drifted.
    """

    statistic: float
    p_value: float
    psi: float
    psi_by_chance: float


def compare_values(old: Sequence[float], new: Sequence[float]) -> Drift | None:
    """Compare two samples of values; None with too few."""
    if min(len(old), len(new)) < LEAST_ITEMS:
        return None
    found = ks_2samp(old, new)
    # of all values, so that old ones which are all the same have other ones beside them
    cuts = np.unique(np.quantile([*old, *new], np.linspace(0, 1, CLASSES + 1)[1:-1]))
    counts = [np.bincount(np.searchsorted(cuts, side), minlength=len(cuts) + 1) for side in (old, new)]
    psi, by_chance = compute_psi(counts[0].tolist(), counts[1].tolist())
    return Drift(float(found.statistic), float(found.pvalue), psi, by_chance)


def compare_names(old: Sequence[str], new: Sequence[str], rng: np.random.Generator) -> Drift | None:
    """Compare how often names occur in two samples; None with too few items, or with one name only."""
    names = sorted({*old, *new})
    if min(len(old), len(new)) < LEAST_ITEMS or len(names) < 2:
        return None
    before, after = Counter(old), Counter(new)
    table = np.array([[side[name] for name in names] for side in (before, after)])
    method = MonteCarloMethod(n_resamples=RESAMPLES, rng=rng)
    found = chi2_contingency(table, correction=False, method=method)
    psi, by_chance = compute_psi(*table.tolist())
    return Drift(float(found.statistic), float(found.pvalue), psi, by_chance)


def compute_psi(old: Sequence[int], new: Sequence[int]) -> tuple[float, float]:
    """Return the population stability index of two counts by class, and its mean without drift.

    Args:
        old: Old items in each class.
        new: New items in each class.
    """
    expected, actual = (np.asarray(counts, dtype=np.float64) + SMOOTHING for counts in (old, new))
    e, a = expected / expected.sum(), actual / actual.sum()
    by_chance = (len(old) - 1) * (1 / sum(old) + 1 / sum(new))
    return float(((a - e) * np.log(a / e)).sum()), by_chance


def name_shares(old: Sequence[str], new: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return the share of each name among the old and among the new items, names in order."""
    before, after = Counter(old), Counter(new)
    return {name: (_share(before, name), _share(after, name)) for name in sorted({*before, *after})}


def _share(counts: Mapping[str, int], name: str) -> float:
    return counts.get(name, 0) / max(1, sum(counts.values()))
