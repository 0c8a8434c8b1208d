"""Numbers and counts as pages say them."""

from __future__ import annotations

import pytest

from support.rows import filled
from verdict3d.records.numbers import Summary
from verdict3d.view.words import say_number, say_signed, say_ties


@pytest.mark.parametrize(
    ("value", "plain", "signed"),
    [(-0.001, "0.00", "0.00"), (0.001, "0.00", "0.00"), (-0.104, "−0.10", "−0.10"), (0.5, "0.50", "+0.50")],
)
def test_what_rounds_to_nothing_has_no_sign(value: float, plain: str, signed: str) -> None:
    assert (say_number(value), say_signed(value)) == (plain, signed)


def test_one_flip_is_one_flip() -> None:
    assert say_ties(filled(Summary, same=3, flips=1, close=10)) == "3 same, 1 flip, 10 close"
    assert say_ties(filled(Summary, same=0, flips=0, close=0)) == "0 same, 0 flips, 0 close"
