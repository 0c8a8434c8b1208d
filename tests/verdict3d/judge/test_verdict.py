"""The protocol's arithmetic, by hand."""

import math
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verdict3d.errors import Verdict3DError
from verdict3d.judge.verdict import WITHIN_ERRORS, Margins, Verdict

margins = st.floats(-50, 50)
sets = st.lists(st.tuples(margins, margins), min_size=1, max_size=8)


def test_by_hand() -> None:
    # X first: A by 3; Y first: B (that is X) by 1. d = (3 + 1) / 2, b = (3 - 1) / 2, r = 2 - 1
    verdict = Verdict.of((3.0, -1.0))
    assert (verdict.d, verdict.b, verdict.r, verdict.se) == (2.0, 1.0, 1.0, None)
    assert verdict.outcome == "win" and verdict.decisive


def test_view_sets_are_averaged() -> None:
    # preferences 2, 1, 3; their standard deviation is 1
    verdict = Verdict.of((3.0, -1.0), (1.0, -1.0), (2.0, -4.0))
    assert (verdict.m1, verdict.m2, verdict.d, verdict.b) == (2.0, -2.0, 2.0, 0.0)
    assert verdict.se == pytest.approx(1 / math.sqrt(3))
    assert verdict.outcome == "win"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([(2.0, -2.0)], "win"),
        ([(-2.0, 2.0)], "loss"),
        ([(2.0, 1.0)], "flip"),  # first slot both times
        ([(-1.0, -4.0)], "flip"),  # second slot both times
        ([(0.0, 0.0)], "flip"),
        ([(1.0, 0.0)], "flip"),  # r = 0: one order does not answer
        ([(4.0, 2.0), (-2.0, -6.0)], "win"),  # each set flips, their means agree: d = 1.5, b = -0.5, se = 0.5
        ([(3.0, -3.0), (-2.0, 2.0)], "close"),  # d = 0.5, se = 2.5
        ([(3.0, -3.0), (1.0, -1.0)], "win"),  # d = 2, se = 1
        ([(-3.0, 3.0), (2.0, -2.0)], "close"),
        ([(3.0, 1.0), (1.0, 1.0)], "flip"),  # close too, but the orders disagree
    ],
)
def test_classes(answers: list[tuple[float, float]], expected: str) -> None:
    assert Verdict.of(*answers).outcome == expected


def test_the_error_counts_from_its_multiple_on() -> None:
    # preferences m + 1 and m - 1 have standard error 1
    for mean, expected in ((0.99 * WITHIN_ERRORS, "close"), (1.01 * WITHIN_ERRORS, "win")):
        answers = [(mean + side, -mean - side) for side in (1.0, -1.0)]
        assert Verdict.of(*answers).se == pytest.approx(1.0)
        assert Verdict.of(*answers).outcome == expected


@given(sets)
def test_swapping_the_candidates_mirrors_the_verdict(answers: list[tuple[float, float]]) -> None:
    """So the null is symmetric: where X and Y are exchangeable, a win is as likely as a loss."""
    verdict = Verdict.of(*answers)
    mirrored = {"win": "loss", "loss": "win"}
    flipped = verdict.flip()
    assert flipped == Verdict.of(*((m2, m1) for m1, m2 in answers))
    assert flipped.outcome == mirrored.get(verdict.outcome, verdict.outcome)
    assert verdict.d is not None
    assert (flipped.d, flipped.b, flipped.r, flipped.se) == (-verdict.d, verdict.b, verdict.r, verdict.se)


@given(sets, st.randoms(use_true_random=False))
def test_the_order_of_the_view_sets_decides_nothing(answers: list[tuple[float, float]], random) -> None:
    one, other = Verdict.of(*answers), Verdict.of(*random.sample(answers, len(answers)))
    assert (one.d, one.b, one.se, one.outcome) == (other.d, other.b, other.se, other.outcome)


@given(sets)
def test_a_flip_is_where_the_mean_orders_name_no_one_candidate(answers: list[tuple[float, float]]) -> None:
    m1, m2 = (fmean(column) for column in zip(*answers, strict=True))
    if abs(abs(m1) - abs(m2)) > 1e-9 and min(abs(m1), abs(m2)) > 1e-9:
        assert (Verdict.of(*answers).outcome == "flip") == (m1 * m2 > 0)


@given(st.lists(margins, min_size=1, max_size=8))
def test_two_meshes_that_are_answered_alike_are_never_decided(answers: list[float]) -> None:
    verdict = Verdict.of(*((margin, margin) for margin in answers))
    assert verdict.d == 0.0 and verdict.outcome == "flip"


def test_the_same_mesh_is_not_asked() -> None:
    verdict = Verdict.same()
    assert (verdict.outcome, verdict.d, verdict.valid, verdict.decisive) == ("same", 0.0, True, False)
    assert (verdict.m1, verdict.m2, verdict.b, verdict.r, verdict.se) == (None,) * 5
    assert verdict.flip() == verdict and verdict.row()["sets"] == []


def test_invalid_is_no_tie() -> None:
    verdict = Verdict.invalid("empty_structure", "a generation failed")
    assert verdict.outcome == "invalid" and not verdict.decisive
    assert (verdict.m1, verdict.m2, verdict.d, verdict.b, verdict.r, verdict.se) == (None,) * 6
    assert verdict.flip() == verdict
    assert (verdict.row()["reason"], verdict.row()["message"]) == ("empty_structure", "a generation failed")


def test_a_verdict_needs_answers_from_half_of_its_view_sets() -> None:
    good, bad = Margins(2.0, -1.0), Margins.invalid("unreadable_answer", "maybe")
    kept = Verdict((good, bad, bad, good))
    assert (kept.outcome, kept.d, kept.se) == ("win", 1.5, 0.0)
    assert kept.row()["sets"] == [(2.0, -1.0), None, None, (2.0, -1.0)] and kept.row()["reason"] == ""
    lost = Verdict((good, bad, bad))
    assert (lost.outcome, lost.d, lost.row()["reason"]) == ("invalid", None, "unreadable_answer")
    assert lost.row()["message"] == "maybe"


def test_half_an_answer_is_refused() -> None:
    with pytest.raises(Verdict3DError, match="two finite margins"):
        Margins(1.0, None)
    with pytest.raises(Verdict3DError, match="two finite margins"):
        Margins(1.0, math.nan)
    with pytest.raises(Verdict3DError, match="no margins"):
        Margins(1.0, 2.0, reason="bad_image")
    with pytest.raises(Verdict3DError, match="no answers"):
        Verdict((Margins(1.0, 2.0),), reason="empty_structure")
