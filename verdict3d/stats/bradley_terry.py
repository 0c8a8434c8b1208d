"""All arms in one model: strengths with a term for the first slot and one for ties (Bradley-Terry-Davidson).

Of a single answer with ``a`` shown first and ``b`` second, the probabilities of first, second and tie go as
exp(u), exp(v) and exp(tie + (u + v) / 2), u = strength_a + first, v = strength_b (Bradley and Terry 1952;
Davidson 1970). The base has strength 0. Every answer counts, those of pairs whose orders disagree too, which
makes this the efficient second look; it is a model, and no gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from verdict3d.stats.bootstrap import Array
from verdict3d.stats.winrate import Answered

Answer = tuple[str, str, str, float]
"""(object, first, second, result): 1 where the first shown is named, 0 the second, 1/2 neither."""


def answers_of(rows: Sequence[Answered], arm: str, base: str) -> list[Answer]:
    """Return the two answers of each pair with margins: arm first, then base first."""
    found: list[Answer] = []
    for row in rows:
        if row.m1 is not None and row.m2 is not None:
            for first, second, margin in ((arm, base, row.m1), (base, arm, row.m2)):
                found.append((row.object, first, second, 0.5 + 0.5 * float(np.sign(margin))))
    return found


def fit(
    answers: Sequence[Answer],
    base: str,
    rng: np.random.Generator,
    resamples: int = 200,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """Fit by maximum likelihood, with a weak ridge so that a side that always wins stays finite.

    Args:
        answers: Single answers.
        base: Name of the reference, strength 0.
        rng: Generator for the bootstrap over objects.
        resamples: Its size.
        confidence: Two-sided level of its percentile intervals.

    Returns:
        ``first_slot`` and ``strengths`` by name: {value, low, high, win_rate}; win_rate = sigmoid(strength).
    """
    names = sorted({name for _, first, second, _ in answers for name in (first, second)} - {base})
    index = {base: -1, **{name: place for place, name in enumerate(names)}}
    objects = sorted({answer[0] for answer in answers})
    place = {name: number for number, name in enumerate(objects)}
    first = np.array([index[answer[1]] for answer in answers])
    second = np.array([index[answer[2]] for answer in answers])
    result = np.array([answer[3] for answer in answers])
    owner = np.array([place[answer[0]] for answer in answers])

    def solve(weights: Array, start: Array) -> Array:
        found = minimize(_loss, start, args=(first, second, result, weights), jac=True, method="L-BFGS-B")
        solution: Array = found.x
        return solution

    values = solve(np.ones(len(answers)), np.zeros(len(names) + 2))
    draws = []
    for _ in range(resamples if len(objects) > 1 else 0):
        counts = np.bincount(rng.integers(len(objects), size=len(objects)), minlength=len(objects))
        draws.append(solve(counts[owner].astype(np.float64), values))
    tail = (1 - confidence) / 2
    bounds = np.quantile(np.array(draws), [tail, 1 - tail], axis=0) if draws else None

    def numbers(column: int) -> dict[str, float | None]:
        low, high = (None, None) if bounds is None else (float(bounds[0, column]), float(bounds[1, column]))
        return {"value": float(values[column]), "low": low, "high": high}

    return {
        "first_slot": numbers(len(names)),
        "strengths": {
            name: {**numbers(column), "win_rate": float(1 / (1 + np.exp(-values[column])))}
            for column, name in enumerate(names)
        },
        "answers": len(answers),
        "objects": len(objects),
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
