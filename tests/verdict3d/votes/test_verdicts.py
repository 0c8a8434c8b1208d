"""People's answers in the form of a judge's verdict."""

from __future__ import annotations

from support.ballots import asked_pair, vote
from verdict3d.votes.verdicts import judge_by_people

X, Y = (side.mesh_digest for side in (asked_pair(0).x, asked_pair(0).y))


def test_an_answer_in_each_order_is_a_pair_of_margins() -> None:
    found = judge_by_people([vote("one", 0, "x", first="x"), vote("two", 0, "x", first="y")], X, Y)
    assert (found.answered, found.d, found.b, found.outcome) == (((1.0, -1.0),), 1.0, 0.0, "win")
    turned = judge_by_people([vote("one", 0, "x", first="x"), vote("two", 0, "x", first="y")], Y, X)
    assert turned.answered == ((-1.0, 1.0),) and turned.outcome == "loss"


def test_people_who_contradict_each_other_or_name_one_place_decide_nothing() -> None:
    split = [vote("one", 0, "x", first="x"), vote("two", 0, "y", first="y")]
    assert judge_by_people(split, X, Y).outcome == "flip"
    tied = [vote("one", 0, "tie", first="x"), vote("two", 0, "x", first="y")]
    assert judge_by_people(tied, X, Y).outcome == "flip", "half of a preference is no preference"
    more = [vote(f"p{n}", 0, "xxxy"[n], first="xyxy"[n]) for n in range(4)]
    found = judge_by_people(more, X, Y)
    assert (found.d, found.b, found.outcome) == (0.5, 0.5, "flip")


def test_what_has_no_partner_in_the_other_order_is_left_out() -> None:
    one_sided = [
        vote("one", 0, "x", first="x"),
        vote("two", 0, "x", first="x"),
        vote("three", 0, "unsure", first="y"),
    ]
    assert judge_by_people(one_sided, X, Y).reason == "no_answers"
    assert judge_by_people([*one_sided, vote("four", 0, "x", first="y")], X, Y).answered == ((1.0, -1.0),)


def test_a_mesh_that_is_missing_or_the_same_needs_no_answer() -> None:
    assert judge_by_people([], None, Y).outcome == "invalid" and judge_by_people([], X, X).outcome == "same"
