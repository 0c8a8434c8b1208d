"""Who meets whom, and a board of several sides: by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
import pytest

from verdict3d.records.comparisons import Board
from verdict3d.records.names import Outcome
from verdict3d.stats.bradley_terry import collect_answers
from verdict3d.stats.design import count_rounds, plan_meetings
from verdict3d.stats.ranking import rank_sides, tell_apart
from verdict3d.stats.winrate import Scored


@dataclass(frozen=True)
class Played:
    object: str
    x: str
    y: str
    outcome: Outcome
    m1: float | None = None
    m2: float | None = None


def row(name: str, x: str, y: str, outcome: Outcome) -> Played:
    margin = {"win": 1.0, "loss": -1.0}[outcome]
    return Played(name, x, y, outcome, margin, -margin)


def board(rows: list[Played], sides: str = "abc", resamples: int = 40) -> Board:
    return rank_sides(rows, list(sides), np.random.default_rng(0), resamples, 0.95)


def one_best(objects: int) -> list[Played]:
    """a wins everything, b and c are even: as even as an odd number allows."""
    rows = []
    for number in range(objects):
        name = f"object {number}"
        rows += [row(name, "a", "b", "win"), row(name, "a", "c", "win")]
        rows.append(row(name, "b", "c", "win" if number % 2 == 0 else "loss"))
    return rows


@pytest.mark.parametrize("sides", [2, 3, 4, 5, 6, 9])
def test_a_balanced_design_connects_everybody_and_asks_all_about_equally(sides: int) -> None:
    objects = plan_meetings(sides, 12 * sides, "balanced")
    for pairs in objects:
        met = Counter(chain.from_iterable(pairs))
        assert len(met) == sides and len(set(met.values())) == 1  # every side as often as every other
    counts = Counter(chain.from_iterable(objects))
    assert set(counts) == set(combinations(range(sides), 2))
    assert max(counts.values()) - min(counts.values()) <= 12 * sides / (sides // 2)
    reached, (first, *_) = {0}, objects
    for _ in range(sides):
        reached |= {one for pair in first if reached & {*pair} for one in pair}
    assert reached == set(range(sides))  # a single object connects all


def test_designs_ask_what_they_say() -> None:
    assert plan_meetings(3, 2, "all") == [[(0, 1), (0, 2), (1, 2)]] * 2
    assert plan_meetings(4, 1, "against-first") == [[(0, 1), (0, 2), (0, 3)]]
    assert sum(map(len, plan_meetings(8, 30, "balanced"))) < 30 * 28 / 3


def test_samples_meet_in_turn() -> None:
    assert count_rounds(["1", "2"], ["1", "2"]) == [("1", "1"), ("2", "2")]
    assert count_rounds([""], ["1", "2", "3"]) == [("", "1"), ("", "2"), ("", "3")]


def test_sides_are_told_apart_by_exact_tests_and_the_ranks_say_no_more() -> None:
    seven = board(one_best(7))
    assert seven.ranked[0].side == "a"
    found = {(pair.better, pair.worse): pair for pair in seven.apart}
    # the same sign seven times: 2 / 2**7, times three for the first of three tests
    assert found["a", "b"].p_value == found["a", "c"].p_value == pytest.approx(3 * 2 / 2**7)
    assert found["a", "b"].told and found["a", "c"].told and not found["b", "c"].told
    places = {one.side: (one.rank, one.rank_low, one.rank_high) for one in seven.ranked}
    assert places == {"a": (1, 1, 1), "b": (2, 2, 3), "c": (3, 2, 3)}
    six = board(one_best(6))
    assert not any(pair.told for pair in six.apart)  # 3 * 2 / 2**6 is above 0.05
    assert {(one.rank_low, one.rank_high) for one in six.ranked} == {(1, 3)}  # however sure the bootstrap is
    assert six.ranked[0].strength.value == 0.0 and six.ranked[1].strength.value < -2


def test_sides_that_never_met_are_compared_by_whom_both_met() -> None:
    rows = [
        row(f"object {n}", "a", other, result)
        for n in range(9)
        for other, result in (("b", "loss"), ("c", "win"))
    ]
    found = {(pair.better, pair.worse): pair for pair in tell_apart(rows, ["a", "b", "c"], 0.95)}
    assert found["b", "c"].p_value == pytest.approx(3 * 2 / 2**9) and found["b", "c"].told
    assert [one.side for one in board(rows).ranked] == ["b", "a", "c"]


def test_uneven_samples_weigh_like_their_mean() -> None:
    two_of_three = [row("o", "a", "c", outcome) for outcome in ("win", "win", "loss")]
    pairs = tell_apart([*two_of_three, row("o", "b", "c", "win")], ["a", "b", "c"], 0.95)
    better = {frozenset((pair.better, pair.worse)): pair.better for pair in pairs}
    assert better[frozenset("ab")] == "b"  # one of one


def test_a_side_without_a_mesh_loses_and_the_same_mesh_ties() -> None:
    rows = [Scored("o", "loss"), Scored("o", "same"), Scored("o", "invalid")]
    assert collect_answers(rows, "x", "y") == [
        ("o", "x", "y", 0.0),
        ("o", "y", "x", 1.0),
        ("o", "x", "y", 0.5),
        ("o", "y", "x", 0.5),
    ]


def test_a_side_without_a_verdict_may_have_any_rank() -> None:
    found = board(
        [row("o", "a", "b", "win"), Played("o", "a", "c", "invalid"), Played("o", "b", "c", "invalid")]
    )
    last = found.ranked[-1]
    assert (last.side, last.rank, last.rank_low, last.rank_high) == ("c", None, 1, 3)
    assert board([]).ranked[0].rank is None
