"""Shelves. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import numpy as np

from verdict3d.furniture.frames import feet
from verdict3d.furniture.palette import Palette, draw_palette, pick
from verdict3d.furniture.parts import Color, Part, bar, box


def shelf(rng: np.random.Generator) -> list[Part]:
    """Bookcases, cube shelves, étagères and leaning ladder shelves, some with things on them."""
    look = draw_palette(rng)
    kind = pick(rng, ("bookcase", "bookcase", "cubes", "etagere", "ladder", "stepped"))
    if kind == "etagere":
        return _etagere(rng, look)
    if kind == "ladder":
        return _ladder_shelf(rng, look)
    width, height, depth = rng.uniform(60, 120), rng.uniform(100, 190), rng.uniform(26, 38)
    if kind == "cubes":
        width = rng.uniform(75, 150)
        height = width * pick(rng, (0.55, 1.0, 1.0, 1.35))
    thick = 0.034 * max(width, height)
    rows = max(2, min(6, round(height / rng.uniform(30, 42))))
    columns = max(1, min(4, round(width / rng.uniform(32, 44)))) if kind == "cubes" else 1
    if kind == "stepped":
        return _stepped(rng, look, depth)
    lift = pick(rng, (0.0, 0.0, rng.uniform(7, 14)))
    parts = _case(width, height, depth, thick, lift, rows, columns, look.wood)
    if rng.random() < 0.6:
        size = (width - thick, thick, height - thick)
        parts.append(box((0, depth / 2 - thick / 2, lift + height / 2), size, look.second_wood))
    if lift:
        parts += feet((width, depth), lift, 1.2 * thick, look.metal, pick(rng, ("square", "cone")))
    cell = ((width - thick) / columns, (height - thick) / rows)
    return parts + _contents(rng, look, cell, (columns, rows), (width, depth), lift, thick)


def _case(
    width: float,
    height: float,
    depth: float,
    thick: float,
    lift: float,
    rows: int,
    columns: int,
    color: Color,
) -> list[Part]:
    xs = (np.arange(columns + 1) / columns - 0.5) * (width - thick)
    zs = lift + thick / 2 + np.arange(rows + 1) / rows * (height - thick)
    parts = [box((x, 0, lift + height / 2), (thick, depth, height), color) for x in xs]
    return parts + [box((0, 0.4, z), (width - 0.8, depth - 0.8, thick), color) for z in zs]


def _contents(
    rng: np.random.Generator,
    look: Palette,
    cell: tuple[float, float],
    cells: tuple[int, int],
    size: tuple[float, float],
    lift: float,
    thick: float,
) -> list[Part]:
    """Put boxes or rows of books into some cells, standing on their boards."""
    share = pick(rng, (0.0, 0.0, 0.3, 0.45))
    colors = (look.fabric, look.second_fabric, look.shade)
    parts: list[Part] = []
    for column in range(cells[0]):
        for row in range(cells[1]):
            if rng.random() >= share:
                continue
            wide = (cell[0] - thick) * rng.uniform(0.4, 0.85)
            high = (cell[1] - thick) * rng.uniform(0.5, 0.85)
            slack = (cell[0] - thick - wide) / 2
            x = thick / 2 + (column + 0.5) * cell[0] - size[0] / 2 + rng.uniform(-0.9, 0.9) * slack
            floor = lift + thick + row * cell[1]
            parts.append(
                box((x, -1, floor + high / 2 - 0.4), (wide, size[1] * 0.72, high), pick(rng, colors))
            )
    return parts


def _stepped(rng: np.random.Generator, look: Palette, depth: float) -> list[Part]:
    """Cubes stacked like stairs."""
    columns, cell = pick(rng, (3, 4)), rng.uniform(32, 38)
    thick = 0.036 * columns * cell
    mirror = pick(rng, (-1, 1))
    parts: list[Part] = []
    for column in range(columns):
        rows = column + 1
        x = mirror * (column - (columns - 1) / 2) * cell
        parts += [
            box((x, 0.4, z * cell + thick / 2), (cell + 0.9 * thick, depth - 0.8, thick), look.wood)
            for z in range(rows + 1)
        ]
        sides = (x - cell / 2, x + cell / 2)
        parts += [
            box((side, 0, rows * cell / 2 + thick / 2), (thick, depth, rows * cell + thick), look.wood)
            for side in sides
        ]
        if rng.random() < 0.5:
            parts.append(
                box((x, depth / 2 - thick, cell / 2 + thick / 2), (cell, thick, cell), look.second_wood)
            )
    return parts


def _etagere(rng: np.random.Generator, look: Palette) -> list[Part]:
    width, height, depth = rng.uniform(60, 110), rng.uniform(110, 180), rng.uniform(28, 38)
    thick = 0.034 * height
    x, y = width / 2 - thick / 2, depth / 2 - thick / 2
    parts: list[Part] = []
    for sx in (-1, 1):
        size = (thick, thick, height)
        parts += [box((sx * x, sy * y, height / 2), size, look.metal) for sy in (-1, 1)]
        parts.append(box((sx * x, 0, height - thick / 2), (thick, 2 * y, thick), look.metal))
    rows = int(rng.integers(3, 6))
    board = (width - 0.8, depth - 0.8, thick)
    parts += [box((0, 0, z), board, look.wood) for z in np.linspace(0.1, 0.88, rows) * height]
    if rng.random() < 0.5:
        slope = pick(rng, (-1, 1))
        parts.append(bar((-slope * x, y, 0.1 * height), (slope * x, y, 0.88 * height), thick, look.metal))
    return parts


def _ladder_shelf(rng: np.random.Generator, look: Palette) -> list[Part]:
    """Two leaning rails, boards that get deeper towards the floor."""
    width, height, depth = rng.uniform(50, 80), rng.uniform(140, 180), rng.uniform(36, 48)
    thick = 0.035 * height
    x = width / 2 - thick / 2
    parts: list[Part] = []
    for sx in (-1, 1):
        parts.append(bar((sx * x, -depth / 2, 0), (sx * x, depth / 2 - thick, height), thick, look.wood))
        parts.append(box((sx * x, depth / 2 - thick / 2, height / 2), (thick, thick, height), look.wood))
    for share in np.linspace(0.12, 0.86, int(rng.integers(4, 6))):
        front, back = -depth / 2 + share * (depth - thick) - 2, depth / 2
        size = (width - 2 * thick + 2, back - front, thick)
        parts.append(box((0, (front + back) / 2, share * height), size, look.second_wood))
    return parts
