"""Agreement of two raters on the same pairs: Cohen's kappa on {win, tie, loss} with an object bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from verdict3d.records.names import TIES, Outcome
from verdict3d.records.numbers import Kappa
from verdict3d.stats.bootstrap import Array, cluster_bootstrap
from verdict3d.stats.intervals import Estimate

CLASSES = ("win", "tie", "loss")
_TIE: dict[str, str] = dict.fromkeys(TIES, "tie")
TRUTH_CLOSE = 0.01
"""Differences of a truth measure below this are close."""


@dataclass(frozen=True)
class Agreement:
    """How far two raters agree beyond chance.

    Attributes:
        pairs: Pairs that are valid for both raters.
        kappa: Cohen's kappa in [-1, 1]; undefined when both raters always say one and the same class.
        observed: Share of the pairs with the same class.
        prevalence: Share of each class over both raters' answers.
    """

    pairs: int
    kappa: Estimate
    observed: float | None
    prevalence: Mapping[str, float]

    def record(self) -> Kappa:
        """Return it as it is written."""
        return Kappa(
            value=self.kappa.value,
            low=self.kappa.low,
            high=self.kappa.high,
            pairs=self.pairs,
            observed=self.observed,
            prevalence=dict(self.prevalence),
        )


def class_by_truth(x: float | None, y: float | None) -> Outcome:
    """Return how X compares with Y by a truth measure of which more is better, or that one has none."""
    if x is None or y is None:
        return "invalid"
    gap = x - y
    return "close" if abs(gap) < TRUTH_CLOSE else "win" if gap > 0 else "loss"


def measure_agreement(
    first: Sequence[str],
    second: Sequence[str],
    objects: Sequence[str],
    rng: np.random.Generator,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> Agreement:
    """Compare two raters' outcomes of the same pairs.

    Args:
        first: The one rater's class of each pair; same, flip and close are ties.
        second: The other's, in the same order.
        objects: The object of each pair; whole objects are resampled.
        rng: Generator for the bootstrap.
        resamples: Bootstrap resamples.
        confidence: Two-sided level in (0, 1).

    Raises:
        ValueError: The lengths differ or an outcome is unknown.
    """
    if not len(first) == len(second) == len(objects):
        raise ValueError(
            f"{len(first)} and {len(second)} outcomes for {len(objects)} objects; expected as many of each"
        )
    unknown = {*first, *second} - {"win", "loss", *TIES, "invalid"}
    if unknown:
        raise ValueError(
            f"unknown outcomes {sorted(unknown)}; allowed: win, loss, {', '.join(TIES)}, invalid"
        )
    names = sorted(set(objects))
    tables = np.zeros((len(names), len(CLASSES), len(CLASSES)))
    for one, other, name in zip(first, second, objects, strict=True):
        if "invalid" not in (one, other):
            row, column = (CLASSES.index(_TIE.get(said, said)) for said in (one, other))
            tables[names.index(name), row, column] += 1
    totals = tables[tables.sum(axis=(1, 2)) > 0].reshape(-1, len(CLASSES) ** 2)
    table = totals.sum(axis=0)
    pairs = int(table.sum())
    value = float(cohen_kappa(table[None])[0])
    bounds = cluster_bootstrap(totals, cohen_kappa, rng, resamples, confidence) or (None, None)
    square = table.reshape(len(CLASSES), len(CLASSES))
    answers = square.sum(axis=0) + square.sum(axis=1)
    return Agreement(
        pairs=pairs,
        kappa=Estimate(value, *bounds) if np.isfinite(value) else Estimate(),
        observed=float(np.trace(square) / pairs) if pairs else None,
        prevalence={name: float(n / (2 * pairs)) for name, n in zip(CLASSES, answers, strict=True) if pairs},
    )


def cohen_kappa(tables: Array) -> Array:
    """Return Cohen's kappa (Cohen 1960) of contingency tables (R, C*C); NaN where it is undefined.

    kappa = (p_o - p_e) / (1 - p_e), with p_o the share on the diagonal and p_e the share expected there from
    the two raters' own shares of each class.
    """
    size = round(tables.shape[1] ** 0.5)
    square = tables.reshape(-1, size, size)
    pairs = square.sum(axis=(1, 2))
    agreed = np.trace(square, axis1=1, axis2=2) * pairs
    expected = (square.sum(axis=1) * square.sum(axis=2)).sum(axis=1)
    rest = pairs**2 - expected
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(rest > 0, (agreed - expected) / rest, np.nan)
