"""What people said of a pair is on its page, and pairs are found by how the judge stands to it."""

from __future__ import annotations

from support.ballots import vote
from support.pair_entries import entry, shape, word
from verdict3d.judge.modes import TEXTURE_MODE
from verdict3d.records.verdicts import Compared
from verdict3d.view.pairs.described import make_document, make_row
from verdict3d.view.pairs.entry import Entry, People
from verdict3d.view.pairs.fields import list_values
from verdict3d.view.pairs.people import with_people

X, Y = "zephyr_arm-severe-0", "obsidian_base-severe-0"


def asked(outcome: str = "win", turned: bool = False, mode: str = "normal") -> Entry:
    """The pair that :func:`support.ballots.vote` is about, as a judge was asked about it."""
    first, second = (Y, X) if turned else (X, Y)
    said = word(outcome, mode=mode)
    return entry(object="chair-000", x=shape("arm", first), y=shape("base", second), word=said)


def shown(one: Entry, *votes: object) -> Entry:
    (found,) = with_people([one], list(votes))  # type: ignore[arg-type]
    return found


def test_answers_are_counted_from_the_side_of_x() -> None:
    votes = [
        vote("a", choice="x", y_tags=["holes"]),
        vote("b", choice="x", first="y", y_tags=["holes", "blurry"]),
        vote("c", choice="y", x_tags=["floaters"]),
        vote("d", choice="tie"),
        vote("e", choice="unsure"),
    ]
    straight = shown(asked(), *votes).people
    wanted = {"x": 2, "y": 1, "tie": 1, "unsure": 1}
    faults = {"x_tags": {"floaters": 1}, "y_tags": {"blurry": 1, "holes": 2}}
    assert straight == People(**wanted, **faults)
    swapped = {"x": 1, "y": 2, "x_tags": faults["y_tags"], "y_tags": faults["x_tags"]}
    assert shown(asked(turned=True), *votes).people == straight.model_copy(update=swapped)


def test_answers_about_the_other_way_round_are_about_this_pair_too() -> None:
    turned = vote(
        "a", choice="x", x=Compared(generation="", mesh_digest=Y), y=Compared(generation="", mesh_digest=X)
    )
    assert (found := shown(asked(), turned).people) and (found.x, found.y) == (0, 1)


def test_what_does_not_count_is_not_shown() -> None:
    assert shown(asked(), vote("a", known="x")).people is None
    assert shown(asked(), vote("a", again=True)).people is None
    assert shown(asked(), vote("a", number=1)).people is None, "of another object"
    assert shown(asked(mode=TEXTURE_MODE), vote("a")).people is None, "people are asked about shape"
    hasty = [vote("a", number=number, seconds=0.2) for number in range(30)]
    assert shown(asked(), *hasty).people is None
    back = [vote("a", id="first"), vote("a", id="second", choice="y", replaces="first")]
    assert (found := shown(asked(), *back).people) and (found.x, found.y) == (0, 1)


def test_pairs_are_found_by_what_people_say() -> None:
    for outcome, choice, stands in (
        ("win", "x", "agrees"),
        ("win", "y", "contradicts"),
        ("win", "tie", "differs"),
        ("flip", "x", "differs"),
        ("flip", "tie", "agrees"),
        ("invalid", "x", "unasked"),
    ):
        found = shown(asked(outcome), vote(choice=choice))
        assert list_values(found)["people"] == make_row(found).people == stands
        assert make_document(found).votes == found.people
    assert list_values(asked())["people"] == "unasked"
