"""Differences on the same pairs, against values derived by hand."""

from __future__ import annotations

import numpy as np
import pytest

from verdict3d.records.names import Outcome
from verdict3d.stats.paired import compare_means, compare_rates
from verdict3d.stats.winrate import Answered, Scored


def rates(rows: list[tuple[str, Outcome, Outcome]]):  # type: ignore[no-untyped-def]
    pairs: list[tuple[Answered, Answered]] = [
        (Scored(name, before), Scored(name, after)) for name, before, after in rows
    ]
    return compare_rates(pairs, lambda name: np.random.default_rng(len(name)), 2000, 0.95)


def test_numbers_by_hand() -> None:
    found = rates([("a", "win", "loss"), ("a", "flip", "flip"), ("b", "loss", "win"), ("b", "close", "win"),
                   ("c", "win", "flip"), ("d", "win", "invalid")])  # fmt: skip
    assert (found.objects, found.pairs) == (3, 5)
    assert (found.half_credit.before, found.half_credit.after) == (0.6, 0.6)
    assert found.decisive.before == pytest.approx(2 / 3) and found.decisive.after == pytest.approx(2 / 3)
    assert found.tie_rate.value == pytest.approx(0.0) and found.tie_rate.before == pytest.approx(2 / 5)
    assert found.flip_rate.value == pytest.approx(1 / 5)
    # balances a -1, b +1.5, c -0.5: with random signs |sum| >= 0 always
    assert found.half_credit.p_value == 1.0


def test_what_makes_an_object_easy_cancels() -> None:
    """Half of the objects are always won, the others lost; one step more for each is a sure difference."""
    rows: list[tuple[str, Outcome, Outcome]] = []
    for number in range(40):
        rows += [(f"o{number}", "win", "win") if number % 2 else (f"o{number}", "loss", "loss")] * 3
        rows.append((f"o{number}", "loss", "win"))
    found = rates(rows).half_credit
    assert found.value == pytest.approx(0.25)
    assert found.low == pytest.approx(0.25) and found.high == pytest.approx(0.25)
    assert found.p_value == pytest.approx(2 * 0.5**40)


def test_an_interval_is_left_where_no_object_differs() -> None:
    found = rates([(f"o{number}", "win", "win") for number in range(20)])
    share = 1 - 0.025 ** (1 / 20)
    assert found.half_credit.value == 0 and found.half_credit.p_value == 1.0
    assert found.half_credit.low == pytest.approx(-share) and found.half_credit.high == pytest.approx(share)


def test_the_interval_covers_the_true_difference() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(60):
        ease = rng.random(50)
        outcomes = np.where(rng.random((2, 50)) < np.stack([0.5 * ease, 0.5 * ease + 0.3]), "win", "loss")
        rows: list[tuple[str, Outcome, Outcome]] = [
            (str(place), *pair) for place, pair in enumerate(zip(*outcomes.tolist(), strict=True))
        ]
        found = rates(rows).half_credit
        assert found.low is not None and found.high is not None
        held += found.low <= 0.3 <= found.high
    assert held >= 52  # 57 expected; 52 or more with a chance of 0.98 at a coverage of 0.95


def test_nothing_in_common_is_undefined() -> None:
    found = rates([("a", "invalid", "win")])
    assert found.pairs == 0 and found.half_credit.value is None and found.half_credit.p_value is None
    one = compare_means([("a", 0.5, 0.75)], np.random.default_rng(0), 100, 0.95)
    assert one.value == 0.25 and one.low is None
