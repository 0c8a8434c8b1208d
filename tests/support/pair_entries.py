"""Entries of the page of pairs, made up."""

from __future__ import annotations

from typing import Any

from verdict3d.view.pairs.entry import Entry, People, Shape, Word

OUTCOMES = ("win", "loss", "flip", "close", "same", "invalid")
OBJECTS = ("bed", "chair", "desk", "lamp")
REGIMES = ("clean", "severe")


def word(outcome: str = "win", d: float | None = 1.0, role: str = "evaluation", **values: Any) -> Word:
    """What a judge says; margins follow from the preference."""
    asked = d is not None and outcome not in ("same", "invalid")
    margins = {"m1": d + 0.25, "m2": -d + 0.25, "b": 0.25} if asked and d is not None else {}
    common: dict[str, Any] = {
        **{"role": role, "model": "judge", "panel": "three_images", "mode": "normal", "question": "q"},
        **{"outcome": outcome, "m1": None, "m2": None, "b": None, "d": d, "se": None, "sets": []},
        **{"reason": "", "message": ""},
    }
    sets = {"sets": [(margins["m1"], margins["m2"])] * 2} if margins else {}
    return Word(**common | margins | sets | values)


def shape(name: str, digest: str | None = "d", f_score: float | None = None, **values: Any) -> Shape:
    """One side of a pair."""
    common: dict[str, Any] = {
        **{"name": name, "generation": f"{name}-0", "mesh": None, "mesh_digest": digest, "montages": {}},
        **{"failure": None, "truth": {} if f_score is None else {"f_score": f_score}},
    }
    return Shape(**common | values)


def entry(
    name: str = "a", x_score: float | None = None, y_score: float | None = None, **values: Any
) -> Entry:
    """A pair of an arm and the base."""
    common: dict[str, Any] = {
        **{"place": "evaluate", "group": "", "name": name, "arm": "repair", "against": "base"},
        **{"object": "chair-1", "category": "chair", "regime": "severe", "control": "", "defect": ""},
        **{"grade": None, "known": None, "reference": None, "condition": None},
        "x": shape("repair", f"x-{name}", x_score),
        "y": shape("base", f"y-{name}", y_score),
        "word": word(),
        "others": [],
    }
    return Entry(**common | values)


def many(count: int) -> list[Entry]:
    """Entries that differ in everything that a list is filtered and sorted by."""
    made = []
    for number in range(count):
        outcome = OUTCOMES[number % 6]
        d = None if outcome == "invalid" else 0.0 if outcome == "same" else (-1) ** number * (number % 37) / 4
        kind = OBJECTS[number % 4]
        other = word(OUTCOMES[(number // 6) % 4], 1.0, "training")
        split: dict[str, Any] = {"sets": [(1.0, 0.5), (0.5, 1.0)]} if number % 7 == 0 else {}
        said = People(x=int(number % 5 == 0), y=int(number % 5 == 1), tie=0, unsure=0, x_tags={}, y_tags={})
        made.append(
            entry(
                f"{number:05d}",
                x_score=None if number % 5 == 0 else (number % 11) / 11,
                y_score=(number % 7) / 7,
                object=f"{kind}-{number % 200:03d}",
                category=kind,
                regime=REGIMES[number % 2],
                arm=("repair", "flow")[number % 3 == 0],
                grade=None if number % 4 else number % 5 + 1,
                defect=("", "dented", "floaters")[number % 3],
                word=word(outcome, d, **split),
                others=[other] if number % 5 < 3 else [],
                people=said if number % 5 < 2 else None,
            )
        )
    return made
