"""Several sides on one board: strengths, ranks with intervals, and who is not told apart.

Strengths and their intervals are those of :mod:`verdict3d.stats.bradley_terry`, resampled by object. Whether
two sides are told apart is decided without a model: of each object the difference of what both scored,
against each other and against those whom both met, is as likely with the other sign if neither is better. The
exact test of that is adjusted by Holm over all pairs of sides. A rank's interval holds the bootstrap's and
every place that the tests leave open, because a bootstrap of few or unanimous objects is far too sure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from typing import Protocol

import numpy as np
from scipy.special import expit

from verdict3d.records.comparisons import Apart, Board, Ranked
from verdict3d.records.numbers import Interval
from verdict3d.stats.bootstrap import Array
from verdict3d.stats.bradley_terry import Answer, collect_answers, fit_model
from verdict3d.stats.intervals import compute_sign_flip_p_value
from verdict3d.stats.multiplicity import holm
from verdict3d.stats.winrate import SCORES, Answered


class Met(Answered, Protocol):
    """A verdict about two named sides."""

    @property
    def x(self) -> str:
        """Side X, which the outcome is seen from."""

    @property
    def y(self) -> str:
        """Side Y."""


def rank_sides(
    rows: Sequence[Met], sides: Sequence[str], rng: np.random.Generator, resamples: int, confidence: float
) -> Board:
    """Return the board, strongest first; sides without a valid verdict come last and may have any rank.

    Args:
        rows: Verdicts; their order does not matter.
        sides: Names; the first is the reference, strength 0.
        rng: Generator for the bootstrap over objects.
        resamples: Its size.
        confidence: Two-sided level of intervals, and of all tests together.
    """
    answers: list[Answer] = []
    for row in sorted(rows, key=lambda row: (row.object, row.x, row.y, row.outcome, row.m1 or 0.0)):
        answers += collect_answers([row], row.x, row.y)
    if not answers:
        nothing = Interval(value=None, low=None, high=None)
        return Board(
            first_slot=nothing, ranked=[_count_unknown(name, len(sides)) for name in sides], apart=[]
        )
    found = fit_model(answers, sides[0], rng, resamples)
    seen = [name for name in sides if any(name in answer[1:3] for answer in answers)]
    columns = {name: place for place, name in enumerate(found.names)}
    apart = tell_apart(rows, seen, confidence)
    strengths = _fit_strengths(found.values[None], seen, columns)[0]
    draws = _fit_strengths(found.draws, seen, columns)
    places = _bound_ranks(strengths[None])[0]
    tail = (1 - confidence) / 2
    ranked = []
    for number, name in enumerate(seen):
        better = sum(pair.told and pair.worse == name for pair in apart)
        worse = sum(pair.told and pair.better == name for pair in apart)
        low, high = 1 + better, len(sides) - worse
        if len(draws):
            drawn = _bound_ranks(draws)[:, number]
            low = min(low, int(np.quantile(drawn, tail, method="inverted_cdf")))
            high = max(high, int(np.quantile(drawn, 1 - tail, method="inverted_cdf")))
        ranked.append(
            Ranked(
                side=name,
                rank=int(places[number]),
                rank_low=low,
                rank_high=high,
                strength=found.estimate(columns[name], confidence)
                if name in columns
                else Interval(value=0.0, low=0.0, high=0.0),
                win_rate=float(expit(strengths[number])),
            )
        )
    ranked.sort(key=lambda one: (one.rank or 0, one.side))
    ranked += [_count_unknown(name, len(sides)) for name in sides if name not in seen]
    return Board(first_slot=found.first_slot(confidence), ranked=ranked, apart=apart)


def tell_apart(rows: Sequence[Met], sides: Sequence[str], confidence: float) -> list[Apart]:
    """Return for every two sides whether one is told to be better, by exact tests adjusted by Holm."""
    objects = sorted({row.object for row in rows})
    scores = {name: _sum_scores([row for row in rows if row.object == name]) for name in objects}
    balances: dict[tuple[str, str], list[int]] = {}
    for one, other in combinations(sides, 2):
        gaps = [gap for name in objects if (gap := _measure_gap(scores[name], one, other, sides)) is not None]
        scale = math.lcm(*(gap.denominator for gap in gaps)) if gaps else 1
        balances[one, other] = [int(gap * scale) for gap in gaps]
    known = {
        "\0".join(pair): p
        for pair, steps in balances.items()
        if (p := compute_sign_flip_p_value(steps)) is not None
    }
    adjusted = holm(known)
    found = []
    for (one, other), steps in balances.items():
        p_value = adjusted.get(f"{one}\0{other}")
        better, worse = (one, other) if sum(steps) >= 0 else (other, one)
        told = p_value is not None and p_value <= 1 - confidence
        found.append(Apart(better=better, worse=worse, p_value=p_value, told=told))
    return found


def _sum_scores(rows: Sequence[Met]) -> dict[tuple[str, str], Fraction]:
    """Return by (side, opponent) the mean of win 1, loss -1, no winner 0, of an object's valid verdicts."""
    points: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        if row.outcome in SCORES:
            score = round(2 * SCORES[row.outcome] - 1)
            points.setdefault((row.x, row.y), []).append(score)
            points.setdefault((row.y, row.x), []).append(-score)
    return {pair: Fraction(sum(some), len(some)) for pair, some in points.items()}


def _measure_gap(
    scores: dict[tuple[str, str], Fraction], one: str, other: str, sides: Sequence[str]
) -> Fraction | None:
    """Return how much more ``one`` scored than ``other`` where both could; None where they share nothing."""
    shared = [third for third in sides if (one, third) in scores and (other, third) in scores]
    direct = scores.get((one, other))
    if direct is None and not shared:
        return None
    return 2 * (direct or Fraction(0)) + sum(
        (scores[one, third] - scores[other, third] for third in shared), Fraction(0)
    )


def _fit_strengths(values: Array, sides: Sequence[str], columns: dict[str, int]) -> Array:
    """Return (R, sides) strengths of (R, N + 2) values of the model; the reference has 0."""
    padded: Array = np.concatenate([values, np.zeros((len(values), 1))], axis=1)
    return padded[:, [columns.get(name, -1) for name in sides]]


def _bound_ranks(strengths: Array) -> Array:
    """Return ranks (R, N), 1 for the strongest, of strengths (R, N); equal ones share the better rank."""
    stronger: Array = (strengths[:, None, :] > strengths[:, :, None]).sum(axis=2)
    return 1 + stronger


def _count_unknown(name: str, sides: int) -> Ranked:
    nothing = Interval(value=None, low=None, high=None)
    return Ranked(side=name, rank=None, rank_low=1, rank_high=sides, strength=nothing, win_rate=None)
