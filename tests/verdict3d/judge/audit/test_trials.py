"""What a few trials on a user's own meshes say of a judge: by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from support.rows import filled
from verdict3d.judge.audit.trials import COLOUR, COPIES, DAMAGE, OTHERS, TURNED, describe_trials, sum_up
from verdict3d.records.comparisons import Trial
from verdict3d.records.verdicts import ControlVerdict


def rows(control: str, outcomes: str, grade: int | None = None) -> list[Any]:
    names = {"w": "win", "l": "loss", "f": "flip", "i": "invalid"}
    return [
        filled(ControlVerdict, control=control, object=f"photo {number}", outcome=names[letter], grade=grade)
        for number, letter in enumerate(outcomes)
    ]


def tried(*groups: list[Any]) -> list[Trial]:
    return sum_up(
        [row for group in groups for row in group], lambda name: np.random.default_rng(0), 200, 0.95, 0.75
    )


def test_trials_count_right_answers_and_decided_copies() -> None:
    found = tried(
        rows(DAMAGE, "wwwwwwwwww", 5),
        rows(DAMAGE, "wlwlfwlwli", 1),
        rows(OTHERS, "llllllllll"),
        rows(COPIES, "ffffffffff"),
        rows(TURNED, "ffffflwfwf"),
    )
    assert [(one.name, one.pairs, one.share.value, one.tells) for one in found] == [
        ("damage_5", 10, 1.0, True),
        ("damage_1", 9, 0.5, False),
        ("other_object", 10, 0.0, False),
        ("copy", 10, 0.0, True),
        ("turned", 10, 0.3, False),
    ]
    assert (
        found[0].share.low is not None and 0.5 < found[0].share.low < 1
    )  # ten right answers prove no certainty
    text = " ".join(describe_trials(found))
    assert "tells damage of grade 5 (of 5) from the original in 1.00 [" in text and "of 10." in text
    assert "not shown to tell damage of grade 1" in text and "that of another photo in 0.00" in text
    assert "copies of themselves it decides 0, as it should" in text
    assert "themselves turned round it decides 3: the way that a mesh faces decides" in text
    assert "Do not believe" not in text


def test_a_judge_that_tells_nothing_is_not_to_be_believed() -> None:
    assert "Do not believe the numbers" in describe_trials(tried(rows(DAMAGE, "wlwlwlwl", 5)))[-1]
    assert describe_trials(tried()) == [] and tried(rows(DAMAGE, "iii", 5)) == []


def test_colours_need_what_a_certificate_asks() -> None:
    unsure, sure = tried(rows(COLOUR, "wwwwwwwwwwwwwlll")), tried(rows(COLOUR, "w" * 16))
    (one,), (two,) = unsure, sure
    assert one.share.low is not None and 0.5 <= one.share.low < 0.75 and not one.tells
    assert two.share.low is not None and two.share.low >= 0.75 and two.tells
    assert "right colours from wrong ones in 1.00" in describe_trials(sure)[0]
    assert "Do not believe" in describe_trials(sure)[-1], "colours alone are no shape"


def seen_by(grade: int, *margins: tuple[float, float]) -> Any:
    """A verdict on damage with these margins of a first and of a second view set."""
    return [
        filled(
            ControlVerdict,
            control=DAMAGE,
            grade=grade,
            object=f"photo {number}",
            outcome="win",
            sets=[one, two],
        )
        for number, (one, two) in enumerate(zip(margins, margins[::-1], strict=True))
    ]


def test_two_cameras_that_say_the_same_are_told_from_two_that_do_not() -> None:
    right, wrong = (2.0, -2.0), (-2.0, 2.0)
    same = tried(seen_by(5, *[right] * 10))
    assert [(one.name, one.share.value, one.tells) for one in same] == [
        ("damage_5", 1.0, True),
        ("camera", 1.0, True),
    ]
    assert "Seen by other cameras it says the same in 1.00" in " ".join(describe_trials(same))
    follows = tried(seen_by(5, *[right] * 5, *[wrong] * 5))
    assert follows[1].share.value == 0.0 and not follows[1].tells
    assert "Its word follows the camera: seen by others it says the same only in 0.00" in " ".join(
        describe_trials(follows)
    )
    assert [one.name for one in tried(seen_by(1, right, right))] == ["damage_1"]
