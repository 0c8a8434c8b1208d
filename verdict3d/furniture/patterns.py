"""Patterns of colour: a box in stripes or checks, made of boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verdict3d.furniture.parts import Color, Part, Point, box


def striped(center: Point, size: Point, axis: int, count: int, colors: Sequence[Color]) -> list[Part]:
    """Return a box as ``count`` slabs along an axis, their colours in turn."""
    middle, whole = np.asarray(center, dtype=np.float64), np.asarray(size, dtype=np.float64)
    step = np.eye(3)[axis] * whole[axis] / count
    slab = whole - np.eye(3)[axis] * whole[axis] * (1 - 1 / count)
    return [
        box(middle + step * (number - (count - 1) / 2), slab, colors[number % len(colors)])
        for number in range(count)
    ]


def checked(center: Point, size: Point, counts: tuple[int, int], colors: Sequence[Color]) -> list[Part]:
    """Return a box in fields over its width and height, their colours in turn like a chessboard's."""
    columns = striped(center, size, 0, counts[0], colors)
    return [
        field
        for number, column in enumerate(columns)
        for field in striped(
            column.center, 2 * column.half_size, 2, counts[1], [colors[(number + k) % 2] for k in (0, 1)]
        )
    ]
