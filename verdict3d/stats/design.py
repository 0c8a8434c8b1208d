"""Who meets whom: which sides are compared about which object, and which of their samples."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

Design = Literal["all", "against-first", "balanced"]
"""``all``: every two sides about every object. ``against-first``: every side and the first, likewise.
``balanced``: about each object every side meets two others (the one so many places on, and the one so many
back); the number of places changes from object to object, so that every two sides meet about equally often.
"""


def plan_meetings(sides: int, objects: int, design: Design) -> list[list[tuple[int, int]]]:
    """Return for each object the places (i, j), i < j, of the sides that meet about it.

    Over all objects everybody is connected with everybody, also with a single object.

    Args:
        sides: Number of sides, at least 2.
        objects: Number of objects.
        design: Who meets whom.
    """
    if design == "all":
        return [list(combinations(range(sides), 2))] * objects
    if design == "against-first":
        return [[(0, other) for other in range(1, sides)]] * objects
    steps = range(1, sides // 2 + 1)
    return [_pair_in_circle(sides, steps[number % len(steps)]) for number in range(objects)]


def _pair_in_circle(sides: int, step: int) -> list[tuple[int, int]]:
    """Return the pairs of places that lie ``step`` apart on a circle, each once."""
    pairs = {(min(pair), max(pair)) for place in range(sides) for pair in [(place, (place + step) % sides)]}
    return sorted(pairs)


def count_rounds(x: Sequence[str], y: Sequence[str]) -> list[tuple[str, str]]:
    """Return which samples of two sides meet: one after the other, and who has fewer begins again.

    Args:
        x: Names of one side's samples, at least one.
        y: Names of the other's.
    """
    return [(x[number % len(x)], y[number % len(y)]) for number in range(max(len(x), len(y)))]
