"""The protocol's arithmetic, by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verdict3d.errors import Verdict3DError
from verdict3d.judge.verdict import Verdict, outcome, position_bias, preference, reliability

margins = st.floats(-50, 50)


def test_by_hand() -> None:
    # X first: A by 3; Y first: B (that is X) by 1. d = (3 + 1) / 2, b = (3 - 1) / 2, r = 2 - 1
    verdict = Verdict(3.0, -1.0)
    assert (verdict.d, verdict.b, verdict.r) == (2.0, 1.0, 1.0)
    assert verdict.consistent and verdict.outcome == "win"


@pytest.mark.parametrize(
    ("m1", "m2", "tie_band", "expected"),
    [
        (2.0, -2.0, 0.0, "win"),
        (-2.0, 2.0, 0.0, "loss"),
        (2.0, 1.0, 0.0, "tie"),  # first slot both times
        (-1.0, -4.0, 0.0, "tie"),  # second slot both times
        (0.0, 0.0, 0.0, "tie"),
        (1.0, 0.0, 0.0, "tie"),  # r = 0: one order does not answer
        (1.5, -0.5, 0.5, "win"),  # r = 0.5, on the band
        (1.5, -0.4, 0.5, "tie"),  # r = 0.4
        (math.nan, 1.0, 0.0, "invalid"),
        (math.inf, -1.0, 0.0, "invalid"),
    ],
)
def test_classes(m1: float, m2: float, tie_band: float, expected: str) -> None:
    assert outcome(m1, m2, tie_band) == expected


@given(margins, margins, st.floats(0, 5))
def test_swapping_the_candidates_flips_the_verdict(m1: float, m2: float, tie_band: float) -> None:
    verdict = Verdict(m1, m2, tie_band)
    other = {"win": "loss", "loss": "win", "tie": "tie"}
    flipped = verdict.flipped()
    assert flipped.outcome == other[verdict.outcome]
    assert (flipped.d, flipped.b, flipped.r) == (-preference(m1, m2), verdict.b, verdict.r)


@given(margins, margins)
def test_consistent_means_that_the_orders_name_one_candidate(m1: float, m2: float) -> None:
    if abs(preference(m1, m2)) != abs(position_bias(m1, m2)):
        assert (reliability(m1, m2) > 0) == (m1 * m2 < 0 or (m1 == 0) != (m2 == 0))


def test_invalid_is_no_tie() -> None:
    verdict = Verdict.invalid("bad_image", "broken")
    assert verdict.outcome == "invalid" and not verdict.consistent and not verdict.decisive
    assert (verdict.m1, verdict.m2, verdict.d, verdict.b, verdict.r) == (None,) * 5
    assert verdict.flipped() == verdict


def test_half_a_verdict_is_refused() -> None:
    with pytest.raises(Verdict3DError, match="two finite margins"):
        Verdict(1.0, None)
    with pytest.raises(Verdict3DError, match="two finite margins"):
        Verdict(1.0, math.nan)
    with pytest.raises(Verdict3DError, match="no margins"):
        Verdict(1.0, 2.0, reason="bad_image")
