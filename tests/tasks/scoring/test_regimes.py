"""What is said beside the evaluation judge's word, by values derived by hand."""

from __future__ import annotations

import pytest
import torch

from support.places import ROOT
from support.rows import filled
from tasks.scoring.regimes import measure_over_optimisation
from tasks.scoring.washout import NO_CHANGE, diagnose, measure_gap_closed, measure_overlap
from verdict3d.config import Params, load_params
from verdict3d.records.numbers import Interval, Summary
from verdict3d.records.verdicts import HeldoutVerdict

UNDEFINED = Interval(value=None, low=None, high=None)


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(ROOT / "params.yaml")


def rows(*outcomes: str) -> list[HeldoutVerdict]:
    """One verdict row for each ``object:outcome``."""
    names = ("object", "outcome")
    return [filled(HeldoutVerdict, **dict(zip(names, one.split(":"), strict=True))) for one in outcomes]


def test_the_gap_is_the_difference_of_half_credits_on_shared_pairs(params: Params) -> None:
    training = rows("a:win", "a:win", "b:win", "c:flip", "d:win", "e:invalid")
    evaluation = rows("a:loss", "a:win", "b:win", "c:win", "d:invalid", "e:loss")
    gap = measure_over_optimisation(params, training, evaluation, "arm", "severe")
    assert gap.value == pytest.approx((1 + 0 + 0 - 0.5) / 4)  # d and e have no verdict of one judge
    assert gap.low < gap.value < gap.high
    turned = measure_over_optimisation(params, evaluation, training, "arm", "severe")
    assert turned.value == -gap.value


def test_a_gap_without_pairs_or_with_one_object_has_no_bounds(params: Params) -> None:
    assert measure_over_optimisation(params, [], [], "arm") == UNDEFINED
    assert measure_over_optimisation(params, rows("a:win"), rows("a:invalid"), "arm") == UNDEFINED
    alone = measure_over_optimisation(params, rows("a:win", "a:flip"), rows("a:loss", "a:flip"), "arm")
    assert alone == Interval(value=0.5, low=None, high=None)


def test_judges_of_different_pairs_are_not_compared(params: Params) -> None:
    with pytest.raises(ValueError, match="shorter"):
        measure_over_optimisation(params, rows("a:win", "b:win"), rows("a:win"), "arm")


@pytest.mark.parametrize(
    ("distance", "low", "high", "expected"),
    [
        (NO_CHANGE / 2, 0.6, 0.9, "no change"),  # whatever a judge says of pictures that are the same
        (NO_CHANGE, 0.51, 0.9, "better"),
        (NO_CHANGE, 0.5, 0.9, "changed, not told apart"),
        (NO_CHANGE, 0.1, 0.49, "worse"),
        (NO_CHANGE, 0.1, 0.5, "changed, not told apart"),
        (NO_CHANGE, None, None, "changed, not told apart"),
        (None, 0.1, 0.49, "worse"),  # every generation of one side failed: there is no distance
    ],
)
def test_diagnosis(distance: float | None, low: float | None, high: float | None, expected: str) -> None:
    assert diagnose(distance, filled(Summary, half_credit=filled(Interval, low=low, high=high))) == expected


def test_the_share_of_the_gap_that_an_arm_closes() -> None:
    base, clean = torch.zeros(2, 3), torch.full((2, 3), 2.0)
    for arm, closed in ((clean, 1.0), (base, 0.0), (torch.ones(2, 3), 0.75), (-clean, -3.0)):
        assert measure_gap_closed(arm, base, clean) == pytest.approx(closed)
    assert measure_gap_closed(clean, base, base) is None


def test_overlap_is_the_mean_over_items_and_two_empty_ones_agree() -> None:
    x = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)
    y = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=torch.bool)
    assert measure_overlap(x, y) == pytest.approx((1 / 3 + 1 + 0) / 3)
