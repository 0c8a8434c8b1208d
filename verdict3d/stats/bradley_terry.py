"""All arms in one model: strengths with a term for the first slot and one for ties (Bradley-Terry-Davidson).

Of a single answer with ``a`` shown first and ``b`` second, the probabilities of first, second and tie go as
exp(u), exp(v) and exp(tie + (u + v) / 2), u = strength_a + first, v = strength_b (Bradley and Terry 1952;
Davidson 1970). The base has strength 0. Every answer counts, those of pairs whose orders disagree too, which
makes this the efficient second look; it is a model, and no gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from verdict3d.records.numbers import Interval
from verdict3d.stats.bootstrap import Array
from verdict3d.stats.winrate import SCORES, Answered

Answer = tuple[str, str, str, float]
"""(object, first, second, result): 1 where the first shown is named, 0 the second, 1/2 neither."""


def collect_answers(rows: Sequence[Answered], arm: str, base: str) -> list[Answer]:
    """Return the two answers of each valid pair: arm first, then base first.

    Where nothing was asked both follow from the class: two sides that are the same tie, and a side without a
    mesh loses.
    """
    found: list[Answer] = []
    for row in rows:
        if row.m1 is not None and row.m2 is not None:
            results = tuple(0.5 + 0.5 * float(np.sign(margin)) for margin in (row.m1, row.m2))
        elif row.outcome in SCORES:
            results = (SCORES[row.outcome], 1.0 - SCORES[row.outcome])
        else:
            continue
        found += [(row.object, arm, base, results[0]), (row.object, base, arm, results[1])]
    return found


@dataclass(frozen=True)
class Fitted:
    """A fitted model, and the same on resampled objects.

    Attributes:
        names: Everybody but the base, sorted.
        values: (N + 2,) strengths in the order of ``names``, then first slot and tie.
        draws: (R, N + 2) the same on each resample; no rows with fewer than two objects.
        objects: Number of objects.
    """

    names: tuple[str, ...]
    values: Array
    draws: Array
    objects: int

    def estimate(self, column: int, confidence: float) -> Interval:
        """Return a value with its percentile interval over objects."""
        tail = (1 - confidence) / 2
        bounds = np.quantile(self.draws[:, column], [tail, 1 - tail]) if len(self.draws) else None
        low, high = (None, None) if bounds is None else (float(bounds[0]), float(bounds[1]))
        return Interval(value=float(self.values[column]), low=low, high=high)

    def first_slot(self, confidence: float) -> Interval:
        """Return what whatever is shown first gains."""
        return self.estimate(len(self.names), confidence)


def fit_model(answers: Sequence[Answer], base: str, rng: np.random.Generator, resamples: int = 200) -> Fitted:
    """Fit by maximum likelihood, with a weak ridge so that a side that always wins stays finite.

    Args:
        answers: Single answers.
        base: Name of the reference, strength 0.
        rng: Generator for the bootstrap over objects.
        resamples: Its size.
    """
    names = sorted({name for _, first, second, _ in answers for name in (first, second)} - {base})
    index = {base: -1, **{name: place for place, name in enumerate(names)}}
    objects = sorted({answer[0] for answer in answers})
    place = {name: number for number, name in enumerate(objects)}
    owner = np.array([place[answer[0]] for answer in answers])
    rows = np.array([(index[first], index[second], result) for _, first, second, result in answers])
    # Answers alike are one row with a weight: a resample costs the same however many answers there are.
    cells, cell = np.unique(rows, axis=0, return_inverse=True)
    first, second, result = cells[:, 0].astype(np.int64), cells[:, 1].astype(np.int64), cells[:, 2]

    def solve(weights: Array, start: Array) -> Array:
        by_cell = np.bincount(cell.ravel(), weights=weights, minlength=len(cells))
        found = minimize(_loss, start, args=(first, second, result, by_cell), jac=True, method="L-BFGS-B")
        solution: Array = found.x
        return solution

    values = solve(np.ones(len(answers)), np.zeros(len(names) + 2))
    draws = []
    for _ in range(resamples if len(objects) > 1 else 0):
        counts = np.bincount(rng.integers(len(objects), size=len(objects)), minlength=len(objects))
        draws.append(solve(counts[owner].astype(np.float64), values))
    return Fitted(tuple(names), values, np.array(draws).reshape(-1, len(values)), len(objects))


def fit(
    answers: Sequence[Answer],
    base: str,
    rng: np.random.Generator,
    resamples: int = 200,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """Return a fitted model as the report has it.

    Args:
        answers: Single answers.
        base: Name of the reference, strength 0.
        rng: Generator for the bootstrap over objects.
        resamples: Its size.
        confidence: Two-sided level of its percentile intervals.

    Returns:
        ``first_slot`` and ``strengths`` by name: {value, low, high, win_rate}; win_rate = sigmoid(strength).
    """
    found = fit_model(answers, base, rng, resamples)
    return {
        "first_slot": found.first_slot(confidence).model_dump(),
        "strengths": {
            name: {
                **found.estimate(column, confidence).model_dump(),
                "win_rate": float(expit(found.values[column])),
            }
            for column, name in enumerate(found.names)
        },
        "answers": len(answers),
        "objects": found.objects,
    }


def _loss(
    values: Array, first: NDArray[np.int64], second: NDArray[np.int64], result: Array, weights: Array
) -> tuple[float, Array]:
    """Negative log-likelihood with a ridge, and its gradient; the last two values are first slot and tie."""
    ridge = 1e-3
    strengths = np.append(values[:-2], 0.0)  # index -1 is the base
    u, v = strengths[first] + values[-2], strengths[second]
    t = values[-1] + (u + v) / 2
    logits = np.stack([u, v, t])
    top = logits.max(axis=0)
    total = top + np.log(np.exp(logits - top).sum(axis=0))
    observed = np.stack([result == 1.0, result == 0.0, result == 0.5]).astype(np.float64)
    loss = float((weights * (total - (observed * logits).sum(axis=0))).sum())
    slope = weights * (np.exp(logits - total) - observed)
    by_u, by_v = slope[0] + slope[2] / 2, slope[1] + slope[2] / 2
    gradient = np.zeros(len(strengths))
    np.add.at(gradient, first, by_u)
    np.add.at(gradient, second, by_v)
    whole = np.concatenate([gradient[:-1], [by_u.sum(), slope[2].sum()]])
    return loss + ridge * float((values**2).sum()), whole + 2 * ridge * values
