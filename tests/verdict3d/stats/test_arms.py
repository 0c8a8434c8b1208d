"""Bradley-Terry with a position term, and Holm: by hand and on simulated answers."""

from __future__ import annotations

import numpy as np
import pytest

from verdict3d.stats.bradley_terry import _loss, collect_answers, fit
from verdict3d.stats.multiplicity import holm
from verdict3d.stats.winrate import Scored


def test_holm_by_hand():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_answers_of_a_row():
    rows = [
        Scored("o", "flip", 2.0, 1.0),
        Scored("o", "invalid"),
        Scored("p", "win", 0.0, -1.0),
    ]
    assert collect_answers(rows, "arm", "base") == [
        ("o", "arm", "base", 1.0),
        ("o", "base", "arm", 1.0),
        ("p", "arm", "base", 0.5),
        ("p", "base", "arm", 0.0),
    ]


def simulated(strengths: dict[str, float], first_slot: float, objects: int) -> list:
    rng = np.random.default_rng(1)
    answers = []
    for number in range(objects):
        for name, strength in strengths.items():
            for first, second, gap in ((name, "base", strength), ("base", name, -strength)):
                won = rng.random() < 1 / (1 + np.exp(-(gap + first_slot)))
                answers.append((f"object {number}", first, second, float(won)))
    return answers


def test_known_strengths_and_bias_are_found():
    truth = {"weak": -0.4, "even": 0.0, "strong": 1.1}
    found = fit(simulated(truth, 0.7, 400), "base", np.random.default_rng(0), resamples=60)
    for name, strength in truth.items():
        part = found["strengths"][name]
        assert part["value"] == pytest.approx(strength, abs=0.2)
        assert part["low"] < strength < part["high"]
    assert found["first_slot"]["value"] == pytest.approx(0.7, abs=0.12)
    assert found["objects"] == 400


def test_a_judge_that_only_answers_by_position_prefers_nobody():
    found = fit(simulated({"arm": 0.0}, 50.0, 30), "base", np.random.default_rng(0), resamples=5)
    assert found["strengths"]["arm"]["value"] == pytest.approx(0.0, abs=1e-3)
    assert found["first_slot"]["value"] > 2


def test_gradient_equals_finite_differences():
    rng = np.random.default_rng(2)
    first, second = np.array([0, -1, 1, -1]), np.array([-1, 0, -1, 1])
    result, weights, values = np.array([1.0, 0.0, 0.5, 1.0]), rng.random(4), rng.normal(size=4)
    _, gradient = _loss(values, first, second, result, weights)
    for column in range(4):
        step = np.zeros(4)
        step[column] = 1e-6
        ahead = _loss(values + step, first, second, result, weights)[0]
        back = _loss(values - step, first, second, result, weights)[0]
        assert gradient[column] == pytest.approx((ahead - back) / 2e-6, rel=1e-4, abs=1e-6)
