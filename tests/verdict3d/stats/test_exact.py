"""Exact intervals, the randomisation test and kappa: published tables and slow second definitions."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from verdict3d.records.names import TIES
from verdict3d.stats.agreement import CLASSES, measure_agreement
from verdict3d.stats.intervals import clopper_pearson, compute_sign_flip_p_value, unanimous_interval


@pytest.mark.parametrize(
    ("wins", "low", "high"), [(4, 0.157, 0.843), (6, 0.349, 0.968), (7, 0.473, 0.997), (8, 0.631, 1.0)]
)
def test_eight_objects_decide_nothing(wins: int, low: float, high: float) -> None:
    got = clopper_pearson(wins, 8)
    assert got == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))
    assert (got[0] > 0.5) == (wins == 8)


@pytest.mark.parametrize(
    ("trials", "above_half", "above_target"),
    [(24, 18, 21), (48, 32, 38), (64, 41, 50), (96, 59, 72), (128, 76, 95), (200, 115, 144), (400, 221, 280)],
)
def test_fewest_wins_with_a_lower_bound_above(trials: int, above_half: int, above_target: int) -> None:
    lows = [clopper_pearson(wins, trials)[0] for wins in range(trials + 1)]
    assert next(wins for wins, low in enumerate(lows) if low > 0.5) == above_half
    assert next(wins for wins, low in enumerate(lows) if low > 0.65) == above_target


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_clopper_pearson_is_the_one_of_scipy_up_to_rounding(case: tuple[int, int]) -> None:
    other = binomtest(*case).proportion_ci(0.95, "exact")
    assert clopper_pearson(*case) == pytest.approx((other.low, other.high), abs=1e-11)


def test_clopper_pearson_refuses_and_leaves_undefined() -> None:
    assert clopper_pearson(0, 0) is None
    with pytest.raises(ValueError, match="9 successes of 8 trials"):
        clopper_pearson(9, 8)


def test_unanimous_interval_is_clopper_pearson_at_the_ends() -> None:
    assert unanimous_interval(1.0, 12) == pytest.approx(clopper_pearson(12, 12))
    assert unanimous_interval(0.0, 12) == pytest.approx(clopper_pearson(0, 12))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_sign_flip_against_all_flips(balances: list[int]) -> None:
    flips = itertools.product((-1, 1), repeat=len(balances))
    sums = [sum(sign * balance for sign, balance in zip(signs, balances, strict=True)) for signs in flips]
    expected = sum(abs(total) >= abs(sum(balances)) for total in sums) / len(sums)
    assert compute_sign_flip_p_value(balances) == pytest.approx(expected)


def test_sign_flip_hand_values() -> None:
    assert compute_sign_flip_p_value([]) is None
    assert compute_sign_flip_p_value([0, 0]) == 1
    assert compute_sign_flip_p_value([1] * 6 + [-1] * 2) == pytest.approx(
        2 * 0.14453125
    )  # P(6 or more of 8) = .145
    assert compute_sign_flip_p_value([1] * 2000) == 0 or compute_sign_flip_p_value([1] * 2000) < 1e-300


def slow_kappa(first: list[str], second: list[str]) -> float | None:
    n = len(first)
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    expected = sum((first.count(c) / n) * (second.count(c) / n) for c in CLASSES)
    return None if expected > 1 - 1e-12 else (observed - expected) / (1 - expected)


def test_kappa_by_hand() -> None:
    # 20 both win, 15 both loss, 5 win/loss, 10 loss/win: p_o = .7, p_e = .5*.6 + .5*.4 = .5, kappa = .4
    first = ["win"] * 25 + ["loss"] * 25
    second = ["win"] * 20 + ["loss"] * 5 + ["win"] * 10 + ["loss"] * 15
    got = measure_agreement(first, second, [f"o{i}" for i in range(50)], np.random.default_rng(0))
    assert got.kappa.value == pytest.approx(0.4)
    assert got.observed == pytest.approx(0.7)
    assert got.prevalence == {"win": pytest.approx(0.55), "tie": 0, "loss": pytest.approx(0.45)}
    # the large-sample standard error is sqrt(p_o (1 - p_o) / n) / (1 - p_e) = 0.13
    assert got.kappa.high - got.kappa.low == pytest.approx(2 * 1.96 * 0.13, rel=0.15)


outcomes = st.sampled_from(["win", "loss", *TIES, "invalid"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(outcomes, outcomes, st.sampled_from("abcdef")), max_size=25))
def test_kappa_against_the_slow_definition(rows: list[tuple[str, str, str]]) -> None:
    first, second, objects = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    got = measure_agreement(first, second, objects, np.random.default_rng(1), resamples=40)
    valid = [
        tuple("tie" if said in TIES else said for said in (a, b))
        for a, b, _ in rows
        if "invalid" not in (a, b)
    ]
    assert got.pairs == len(valid)
    if not valid:
        assert got.kappa.value is got.observed is None
        return
    expected = slow_kappa([a for a, _ in valid], [b for _, b in valid])
    assert got.kappa.value == (None if expected is None else pytest.approx(expected, abs=1e-9))
    if got.kappa.low is not None:
        assert -1 <= got.kappa.low <= got.kappa.high <= 1


def test_agreement_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="1 and 2 outcomes for 1 objects"):
        measure_agreement(["win"], ["win", "flip"], ["a"], np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"unknown outcomes \['X'\]"):
        measure_agreement(["win"], ["X"], ["a"], np.random.default_rng(0))
