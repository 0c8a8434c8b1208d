"""What pairs are filtered and sorted by: one table, which the index, the page and the bundle follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from verdict3d.view.audit import NAMES, PANELS
from verdict3d.view.pairs.entry import (
    Entry,
    compute_gap,
    compute_split,
    find_better,
    find_named,
    find_winner,
)

Kind = Literal["choice", "range"]
Cell = str | float | None
"""A value of a column."""

PLACES = {
    "evaluate": "Arm against the base",
    "texture": "Arm against the base, in colour",
    "challenge": "Arm against the champion",
    "challenge_texture": "Arm against the champion, in colour",
    "controls": "Two samples of the base",
    "label": "Labels",
    "audit": "Audit: known answers",
    "certify": "Audit: generations",
    "compare": "Comparison of folders",
    "compare_texture": "Comparison of folders, in colour",
}
OUTCOMES = {
    "win": "X better",
    "loss": "Y better",
    "same": "Same mesh: not asked",
    "flip": "Flip: orders disagree",
    "close": "Close: within its error",
    "invalid": "No verdict",
}
TRUTHS = {
    "contradicts": "Judge contradicts the truth",
    "agrees": "Judge agrees with the truth",
    "undecided": "One is better, no winner",
    "even": "Neither is better",
    "unknown": "Truth not known",
}
JUDGES = {
    "contradicts": "Another judge names the other side",
    "differs": "Only some judges name a side",
    "agrees": "All judges say the same",
    "alone": "One judge was asked",
}
PEOPLE = {
    "contradicts": "People name the other side",
    "differs": "Only people or the judge name a side",
    "agrees": "People say the same",
    "unasked": "Nobody was asked",
}
CAMERAS = {
    "split": "View sets disagree",
    "agree": "View sets agree",
    "single": "One view set or none",
}
MORE_CONTROLS = {
    "ladder": "An object against a damaged copy",
    "splat": "The damaged copy, drawn as splats",
}


@dataclass(frozen=True)
class Field:
    """Something that pairs are filtered by.

    Attributes:
        name: In addresses, and column of the index.
        label: For people.
        kind: ``choice``: one of some values; ``range``: a number from and to.
        words: What values are called; others are called as they are.
    """

    name: str
    label: str
    kind: Kind
    words: Mapping[str, str] = field(default_factory=dict)


FIELDS = (
    Field("place", "Question", "choice", PLACES),
    Field("group", "Comparison", "choice"),
    Field("arm", "Arm or side X", "choice"),
    Field("against", "Against", "choice"),
    Field("judge", "Judge", "choice"),
    Field("panel", "Panel", "choice", PANELS),
    Field("truth", "Judge and truth", "choice", TRUTHS),
    Field("judges", "Judge and other judges", "choice", JUDGES),
    Field("people", "Judge and people", "choice", PEOPLE),
    Field("outcome", "Verdict", "choice", OUTCOMES),
    Field("reason", "Failure", "choice"),
    Field("cameras", "View sets", "choice", CAMERAS),
    Field("regime", "Inputs", "choice"),
    Field("category", "Category", "choice"),
    Field("control", "Control", "choice", NAMES | MORE_CONTROLS),
    Field("defect", "Damage or change", "choice"),
    Field("grade", "Grade of damage", "range"),
    Field("size", "Size of the preference", "range"),
    Field("gap", "Gap of F-score", "range"),
)


@dataclass(frozen=True)
class Sort:
    """An order of pairs; pairs without a value come last, equal ones as the stages wrote them.

    Attributes:
        name: In addresses.
        label: For people.
        column: What is looked at.
        descending: Whether large values come first.
    """

    name: str
    label: str
    column: str
    descending: bool = True


SORTS = (
    Sort("loudest", "Loudest first", "size"),
    Sort("faintest", "Faintest first", "size", descending=False),
    Sort("wrong", "Most against the truth", "wrong"),
    Sort("gap", "Largest gap of F-score", "gap"),
    Sort("split", "View sets disagree most", "split"),
    Sort("bias", "Largest position bias", "bias"),
    Sort("object", "By object", "object", descending=False),
)

NUMBERS = ("grade", "size", "gap", "wrong", "split", "bias")
WORDS = (*(one.name for one in FIELDS if one.kind == "choice"), "object")
COLUMNS = (*WORDS, *NUMBERS)
"""Columns that filters and orders look at, beside ``text``, which a search looks into."""


def list_values(entry: Entry) -> dict[str, Cell]:
    """Return the value of every column for a pair."""
    word, gap = entry.word, compute_gap(entry)
    truth, split = compare_with_truth(entry), compute_split(word)
    size = None if word.d is None else abs(word.d)
    return {
        **{name: getattr(entry, name) for name in ("place", "group", "arm", "against", "regime")},
        **{name: getattr(entry, name) for name in ("category", "control", "defect", "grade", "object")},
        "judge": word.role,
        "panel": word.panel,
        "outcome": word.outcome,
        "reason": word.reason,
        "truth": truth,
        "judges": compare_with_judges(entry),
        "people": compare_with_people(entry),
        "cameras": "single" if split is None else "split" if split else "agree",
        "size": size,
        "gap": None if gap is None else abs(gap),
        "wrong": compute_wrongness(entry, truth),
        "split": split,
        "bias": None if word.b is None else abs(word.b),
    }


def write_search_text(entry: Entry) -> str:
    """Return what a search looks into: names of the pair, its object and its meshes."""
    sides = (part for side in (entry.x, entry.y) for part in (side.name, side.generation, side.mesh_digest))
    return " ".join(filter(None, (entry.object, entry.category, entry.name, *sides))).lower()


def compare_with_truth(entry: Entry) -> str:
    """Return how the judge stands to the truth, a key of :data:`TRUTHS`."""
    better, named = find_better(entry), find_winner(entry.word.outcome)
    if better is None or entry.word.outcome == "invalid":
        return "unknown"
    if better == "same":
        return "even"
    return "undecided" if named is None else "agrees" if named == better else "contradicts"


def compare_with_judges(entry: Entry) -> str:
    """Return how the judge stands to the other judges, a key of :data:`JUDGES`."""
    named = [find_winner(word.outcome) for word in (entry.word, *entry.others) if word.outcome != "invalid"]
    if len(named) < 2:
        return "alone"
    if len(set(named)) == 1:
        return "agrees"
    return "contradicts" if {"x", "y"} <= set(named) else "differs"


def compare_with_people(entry: Entry) -> str:
    """Return how the judge stands to what most people say, a key of :data:`PEOPLE`."""
    if entry.people is None or entry.word.outcome == "invalid":
        return "unasked"
    named, by_people = find_winner(entry.word.outcome), find_named(entry.people)
    if named == by_people:
        return "agrees"
    return "differs" if named is None or by_people is None else "contradicts"


def compute_wrongness(entry: Entry, truth: str) -> float | None:
    """Return how far a verdict stands against the truth: the gap of F-score where it contradicts one.

    Where only the better side is known, each grade of damage counts 0.1, and a pair without a grade 0.5.
    """
    if truth != "contradicts":
        return None
    gap = compute_gap(entry)
    return abs(gap) if gap is not None else 0.5 if entry.grade is None else entry.grade / 10


def describe_fields() -> dict[str, Any]:
    """Return the table as JSON values, for the page."""
    return {
        "fields": [
            {"name": one.name, "label": one.label, "kind": one.kind, "words": dict(one.words)}
            for one in FIELDS
        ],
        "sorts": [
            {"name": one.name, "label": one.label, "column": one.column, "descending": one.descending}
            for one in SORTS
        ],
    }
