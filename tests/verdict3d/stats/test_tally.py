"""Single verdicts of view sets, counted by object."""

from __future__ import annotations

from support.rows import filled
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.stats.tally import count_sets, tally_sets

WIN, LOSS, FLIP = (2.0, -1.0), (-0.5, 3.0), (1.0, 1.0)


def verdict(name: str, outcome: str, *sets: tuple[float, float] | None) -> HeldoutVerdict:
    return filled(HeldoutVerdict, object=name, outcome=outcome, sets=list(sets))


def test_each_view_set_counts_and_a_missing_one_does_not() -> None:
    assert count_sets(verdict("a", "win", WIN, WIN, LOSS, FLIP), 4) == (2, 1, 1)
    assert count_sets(verdict("a", "win", WIN, None, LOSS), 3) == (1, 1, 0)
    assert count_sets(verdict("a", "same"), 8) == (0, 0, 8)  # as much as a pair that was asked eight times


def test_single_verdicts_are_finer_than_the_class_of_their_mean() -> None:
    rows = [
        verdict("b", "win", WIN, WIN, WIN, WIN),
        verdict("a", "win", WIN, WIN, LOSS, FLIP),
        verdict("a", "close", LOSS, LOSS, WIN, WIN),
        verdict("c", "invalid", None, None, None, None),
    ]
    assert tally_sets(rows, ["b", "a", "c"], 4) == [("b", 4, 0, 0), ("a", 4, 3, 1)]
