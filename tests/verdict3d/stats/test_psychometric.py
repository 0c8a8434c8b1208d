"""Psychometric curves: known parameters come back, thresholds by hand, nothing is made up."""

from __future__ import annotations

import math

import numpy as np
import pytest

from verdict3d.stats.psychometric import Curve, fit_curve, weibull

GRADES = (1.0, 2.0, 3.0, 4.0, 5.0)


def fitted(shares: tuple[float, ...], answers: int = 400, objects: int = 40) -> Curve | None:
    """The curve of ``answers`` answers a grade, of which the given shares are right."""
    severities, scores, names = [], [], []
    for grade, share in zip(GRADES, shares, strict=False):
        right = round(share * answers)
        severities += [grade] * answers
        scores += [1.0] * right + [0.0] * (answers - right)
        names += [f"object-{number % objects}" for number in range(answers)]
    return fit_curve(severities, scores, names, np.random.default_rng(3))


def test_the_curve_runs_from_chance_to_its_ceiling() -> None:
    x = np.array([0.0, 2.0, 1000.0])
    # at x = scale the curve has risen by 1 - 1/e of the way from 1/2 to 1 - lapse
    assert weibull(x, 2.0, 3.0, 0.04).tolist() == pytest.approx([0.5, 0.5 + 0.46 * (1 - 1 / math.e), 0.96])


def test_known_parameters_come_back() -> None:
    truth = (2.5, 2.0, 0.02)
    curve = fitted(tuple(weibull(np.array(GRADES), *truth)), answers=4000)
    assert curve is not None
    assert (curve.scale, curve.slope, curve.lapse) == pytest.approx(truth, abs=0.08)
    # 0.75 = 0.5 + 0.48 (1 - exp(-(x / 2.5)^2))
    by_hand = 2.5 * math.sqrt(-math.log(1 - 0.25 / 0.48))
    assert curve.threshold.value == pytest.approx(by_hand, abs=0.05)
    assert curve.threshold.low is not None and curve.threshold.high is not None
    assert curve.threshold.low <= by_hand <= curve.threshold.high
    assert [point[0] for point in curve.points] == list(GRADES) and curve.points[0][2] == 4000


def test_what_is_never_seen_has_no_threshold() -> None:
    curve = fitted((0.5, 0.5, 0.5, 0.52, 0.55))
    assert curve is not None and curve.threshold.value is None and curve.threshold.high is None


def test_what_is_always_seen_is_seen_from_the_smallest_grade_shown() -> None:
    curve = fitted((1.0, 1.0, 1.0, 1.0, 1.0))
    assert curve is not None and curve.threshold.value == 1.0 and curve.lapse == pytest.approx(0.0, abs=0.01)


def test_ties_count_half_and_one_grade_is_no_curve() -> None:
    half = fit_curve([1.0, 2.0] * 20, [0.5] * 40, [str(n % 4) for n in range(40)], np.random.default_rng(1))
    assert half is not None and [point[1] for point in half.points] == [0.5, 0.5]
    assert fit_curve([3.0] * 5, [1.0] * 5, list("abcde"), np.random.default_rng(1)) is None
    alone = fit_curve([1.0, 2.0], [0.0, 1.0], ["a", "a"], np.random.default_rng(1))
    assert alone is not None and alone.threshold.low is None
