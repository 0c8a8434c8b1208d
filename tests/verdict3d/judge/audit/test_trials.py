"""What a few trials on a user's own meshes say of a judge: by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from support.rows import filled
from verdict3d.judge.audit.trials import COPIES, DAMAGE, OTHERS, TURNED, describe_trials, sum_up
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
        [row for group in groups for row in group], lambda name: np.random.default_rng(0), 200, 0.95
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
