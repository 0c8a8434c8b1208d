"""Betting: error control when somebody looks after every object, and the numbers of objects it takes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from verdict3d.stats.betting import GRID, compute_anytime_p_values, compute_fortunes, find_confidence_sequence
from verdict3d.stats.intervals import clopper_pearson, compute_sign_flip_p_value
from verdict3d.stats.power import count_objects_for_mean, count_pairs_to_beat


def scores(rng: np.random.Generator, objects: int, win_share: float, ties: float) -> np.ndarray:
    won = (rng.random(objects) < win_share).astype(float)
    return np.where(rng.random(objects) < ties, 0.5, won)


def test_fortune_by_hand() -> None:
    # bets before each score: (.5-.5)/.. = 0; then mean .75, variance (.25 + .0625) / 2 against .5
    first = 0.25 / (0.15625 + 0.0625)
    assert compute_fortunes([1.0, 1.0], np.array([0.5]))[:, 0] == pytest.approx([1.0, 1 + first * 0.5])
    # against 0.9 the player never bets that the mean lies above, so the fortune stays
    assert compute_fortunes([1.0, 0.0, 1.0], np.array([0.95]))[:, 0] == pytest.approx([1.0, 1.0, 1.0])


def test_looking_after_every_object_keeps_the_level() -> None:
    """At alpha 0.05 and 200 looks; a fixed-number test looked at as often is wrong in a third of the runs."""
    rng = np.random.default_rng(11)
    betting = naive = 0
    runs, alpha = 400, 0.05
    for run in range(runs):
        drawn = scores(rng, 200, 0.5, 0.3 * (run % 2))
        betting += bool((compute_anytime_p_values(drawn, 0.5) <= alpha).any())
        balances = np.cumsum(drawn - 0.5)
        deviations = np.sqrt(np.cumsum((drawn - 0.5) ** 2))
        naive += bool((balances[10:] / np.maximum(deviations[10:], 1e-9) > 1.645).any())
    assert betting / runs <= alpha + 2 * math.sqrt(alpha * (1 - alpha) / runs)
    assert naive / runs > 3 * alpha


def test_confidence_sequence_holds_the_mean_at_all_times() -> None:
    rng = np.random.default_rng(12)
    missed = 0
    for _ in range(60):
        low, high = find_confidence_sequence(scores(rng, 80, 0.7, 0.4), 0.025)
        assert (np.diff(low) >= 0).all() and (np.diff(high) <= 0).all()
        missed += bool((low > 0.62).any() or (high < 0.62).any())
    assert missed / 60 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 60)


def test_bounds_and_p_value_say_the_same() -> None:
    rng = np.random.default_rng(13)
    for share in (0.5, 0.7, 0.9):
        drawn = scores(rng, 60, share, 0.2)
        low, _ = find_confidence_sequence(drawn, 0.025)
        assert np.array_equal(low > 0.5, compute_anytime_p_values(drawn, 0.5) <= 0.025)
        mirrored = find_confidence_sequence(1 - drawn, 0.025)[1]
        assert 1 - mirrored == pytest.approx(low, abs=2e-3)


def test_bounds_before_and_without_information() -> None:
    low, high = find_confidence_sequence([0.5], 0.025)
    assert (low[0], high[0]) == (0.0, 1.0)
    assert find_confidence_sequence([], 0.025)[0].size == 0
    with pytest.raises(ValueError, match="expected 0 to 1"):
        compute_fortunes([1.5], GRID)
    with pytest.raises(ValueError, match="nulls"):
        compute_fortunes([1.0], np.array([1.0]))


@pytest.mark.parametrize(
    ("win_share", "alpha", "numbers"),
    [(0.65, 0.025, (97, 121)), (0.75, 0.025, (35, 42)), (0.9, 0.025, (12, 15)), (0.7, 0.05, (42, 58))],
)
def test_pairs_to_beat_is_the_exact_table(win_share: float, alpha: float, numbers: tuple[int, int]) -> None:
    assert tuple(count_pairs_to_beat(win_share, alpha, power) for power in (0.8, 0.9)) == numbers


def test_pairs_to_beat_rejects_when_the_exact_bound_does() -> None:
    from scipy.stats import binom

    number = count_pairs_to_beat(0.75, 0.025)
    assert number == 35
    power = sum(
        binom.pmf(wins, number, 0.75)
        for wins in range(number + 1)
        if clopper_pearson(wins, number, 0.95)[0] > 0.5  # type: ignore[index]
    )
    assert power >= 0.8
    assert count_pairs_to_beat(0.5, 0.025) is None and count_pairs_to_beat(0.5001, 0.025) is None


def test_objects_for_a_mean_by_hand() -> None:
    # (1.959964 + 0.841621)^2 * 0.25 / 0.01 = 196.2
    assert count_objects_for_mean(0.1, 0.5, 0.025) == 197 == count_objects_for_mean(-0.1, 0.5, 0.025)
    assert (
        count_objects_for_mean(0.0, 0.5, 0.025) is None and count_objects_for_mean(1e-4, 0.5, 0.025) is None
    )


def test_one_sided_sign_flips() -> None:
    assert compute_sign_flip_p_value([1, 1, 1], "greater") == pytest.approx(1 / 8)
    assert compute_sign_flip_p_value([-1, -1, -1], "greater") == pytest.approx(1.0)
    assert compute_sign_flip_p_value([1, 1, 1]) == pytest.approx(2 / 8)
