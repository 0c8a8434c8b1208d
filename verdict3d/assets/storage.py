"""Shelves, cabinets and lamps. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from verdict3d.assets.frames import LegStyle, feet
from verdict3d.assets.palette import Palette, draw_palette, pick, shaded
from verdict3d.assets.parts import Color, Part, bar, box, rod


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


def cabinet(rng: np.random.Generator) -> list[Part]:
    """Chests of drawers, sideboards, wardrobes and display cabinets."""
    look = draw_palette(rng)
    kind = pick(rng, ("chest", "chest", "sideboard", "wardrobe", "tall", "nightstand"))
    width, height, depth = {
        "chest": (rng.uniform(75, 120), rng.uniform(75, 110), rng.uniform(42, 52)),
        "sideboard": (rng.uniform(130, 180), rng.uniform(48, 68), rng.uniform(40, 50)),
        "wardrobe": (rng.uniform(90, 140), rng.uniform(170, 200), rng.uniform(52, 62)),
        "tall": (rng.uniform(48, 75), rng.uniform(130, 175), rng.uniform(36, 48)),
        "nightstand": (rng.uniform(42, 56), rng.uniform(42, 56), rng.uniform(36, 46)),
    }[kind]
    thick = 0.034 * max(width, height)
    lift = rng.uniform(9, 26) if kind in ("sideboard", "nightstand") else rng.uniform(5, 13)
    parts = [box((0, 0, lift + height / 2), (width, depth, height), look.wood)]
    parts += _cabinet_base(rng, (width, depth), lift, thick, look)
    if rng.random() < 0.55:
        over = rng.uniform(1.5, 4)
        size = (width + over, depth + over, thick)
        parts.append(box((0, 0, lift + height + thick / 2 - 0.5), size, look.second_wood))
    for x, wide, z, high, is_door in _fronts(rng, kind, width, height):
        face = (x, -depth / 2, lift + z)
        parts += _front(rng, face, (wide, high), thick, is_door, kind, look)
    return parts


def _fronts(
    rng: np.random.Generator, kind: str, width: float, height: float
) -> list[tuple[float, float, float, float, bool]]:
    """Return (x, width, z, height, is a door) of each front, from the body's lower middle."""
    drawers = [(0.0, width, (i + 0.5) / 4 * height, height / 4, False) for i in range(4)]
    if kind == "nightstand":
        count = pick(rng, (1, 2))
        return [(0.0, width, (i + 0.5) / count * height, height / count, False) for i in range(count)]
    if kind == "chest":
        rows = pick(rng, (3, 4))
        columns = 2 if width > 95 and rng.random() < 0.6 else 1
        wide, high = width / columns, height / rows
        return [
            ((c + 0.5) * wide - width / 2, wide, (r + 0.5) * high, high, False)
            for r in range(rows)
            for c in range(columns)
        ]
    if kind == "sideboard":
        columns = pick(rng, (3, 4))
        wide, drawer = width / columns, int(rng.integers(columns))
        fronts: list[tuple[float, float, float, float, bool]] = []
        for column in range(columns):
            x = (column + 0.5) * wide - width / 2
            if column == drawer:
                fronts += [(x, wide, (r + 0.5) * height / 3, height / 3, False) for r in range(3)]
            else:
                fronts.append((x, wide, height / 2, height, True))
        return fronts
    columns = 1 if width < 58 else pick(rng, (2, 2, 3)) if kind == "wardrobe" else 2
    low = pick(rng, (0.0, 0.0, 0.25)) * height
    wide = width / columns
    doors = [
        ((c + 0.5) * wide - width / 2, wide, (low + height) / 2, height - low, True) for c in range(columns)
    ]
    return doors + ([drawers[0]] if low else [])


def _front(
    rng: np.random.Generator,
    face: tuple[float, float, float],
    size: tuple[float, float],
    thick: float,
    is_door: bool,
    kind: str,
    look: Palette,
) -> list[Part]:
    x, y, z = face
    wide, high = size
    panel = box(
        (x, y - 0.3 * thick, z), (wide - 1.3 * thick, 1.2 * thick, high - 1.3 * thick), look.second_wood
    )
    out = y - 1.15 * thick
    if is_door:
        side = 1.0 if x < 0 or (x == 0 and kind != "wardrobe") else -1.0
        place, length = x + side * (wide / 2 - 2.1 * thick), min(0.25 * high, 28.0)
        handle = box((place, out, z), (thick, thick, length), look.metal)
    elif wide > 60:
        handle = box((x, out, z), (0.3 * wide, thick, thick), look.metal)
    else:
        handle = rod((x, out + 0.7 * thick, z), (x, out - 0.5 * thick, z), 0.75 * thick, look.metal)
    return [panel, handle]


def _cabinet_base(
    rng: np.random.Generator, size: tuple[float, float], lift: float, thick: float, look: Palette
) -> list[Part]:
    if lift < 8 or rng.random() < 0.2:
        plinth = (size[0] - 2.5 * thick, size[1] - 1.5 * thick, lift + 1)
        return [box((0, 0.4 * thick, (lift + 1) / 2), plinth, shaded(look.wood, 0.7))]
    style: LegStyle = pick(rng, ("square", "tapered", "cone", "round"))
    return feet(size, lift, 1.5 * thick, pick(rng, (look.metal, look.second_wood)), style)


def lamp(rng: np.random.Generator) -> list[Part]:
    """Table, floor, tripod, arc, pendant and reading lamps."""
    look = draw_palette(rng)
    kinds = (_table_lamp, _table_lamp, _floor_lamp, _tripod_lamp, _arc_lamp, _pendant_lamp, _reading_lamp)
    return pick(rng, kinds)(rng, look)


def _shade(rng: np.random.Generator, low: float, radius: float, high: float, color: Color) -> Part:
    """A drum, an empire shade or a cone, standing on z = ``low`` at the origin."""
    return rod((0, 0, low), (0, 0, low + high), radius, color, radius * rng.uniform(0.4, 1.0))


def _table_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    body, radius = rng.uniform(18, 34), rng.uniform(7, 12)
    color = pick(rng, (look.fabric, look.wood, look.metal))
    kind = pick(rng, ("bottle", "block", "stack", "stem"))
    parts = [rod((0, 0, 0), (0, 0, 2.4), radius, look.metal, 0.94 * radius)]
    if kind == "bottle":
        parts.append(rod((0, 0, 2), (0, 0, 0.55 * body), 0.6 * radius, color, radius))
        parts.append(rod((0, 0, 0.54 * body), (0, 0, body), radius, color, 0.3 * radius))
    elif kind == "block":
        parts.append(box((0, 0, body / 2 + 1), (1.3 * radius, 1.3 * radius, body), color, 2.0))
    elif kind == "stack":
        for share, wide in ((0.0, 0.9), (0.33, 0.65), (0.62, 0.8)):
            parts.append(
                rod((0, 0, 2 + share * body), (0, 0, 2 + (share + 0.34) * body), wide * radius, color)
            )
    else:
        parts.append(rod((0, 0, 1), (0, 0, body), 1.6, color))
    neck = body + rng.uniform(3, 6)
    parts.append(rod((0, 0, body - 2), (0, 0, neck + 3), 1.2, look.metal))
    return [*parts, _shade(rng, neck, rng.uniform(13, 20), rng.uniform(15, 24), look.shade)]


def _floor_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    height, radius = rng.uniform(105, 140), rng.uniform(14, 19)
    return [
        rod((0, 0, 0), (0, 0, 4.4), radius, look.metal, 0.9 * radius),
        rod((0, 0, 2), (0, 0, height + 4), 2.3, look.metal),
        _shade(rng, height, rng.uniform(20, 28), rng.uniform(24, 36), look.shade),
    ]


def _tripod_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    height, reach = rng.uniform(80, 115), rng.uniform(24, 34)
    hub = height * rng.uniform(0.7, 1.0)
    parts = [rod((0, 0, hub - 4), (0, 0, height + 4), 2.8, look.metal)]
    for number in range(3):
        angle = 2 * math.pi * number / 3 - math.pi / 2
        toe = (reach * math.cos(angle), reach * math.sin(angle), 0.0)
        parts.append(rod((0.05 * toe[0], 0.05 * toe[1], hub), toe, 2.4, look.wood, 1.9))
    return [*parts, _shade(rng, height, rng.uniform(20, 28), rng.uniform(24, 34), look.shade)]


def _arc_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    """A pole with an arm in three pieces that hangs its shade to one side."""
    height, reach, side = rng.uniform(120, 150), rng.uniform(50, 80), pick(rng, (-1, 1))
    drop, radius = rng.uniform(14, 24), rng.uniform(15, 21)
    x = -side * reach / 2
    corner, tip = height * 0.84, side * reach / 2
    joints = [
        (x, 0.0, 2.0),
        (x, 0.0, corner),
        (x + side * 0.25 * reach, 0.0, height),
        (x + side * 0.7 * reach, 0.0, height + 2),
        (tip, 0.0, height - drop),
    ]
    parts = [rod(a, b, 2.4, look.metal) for a, b in pairwise(joints)]
    parts.append(rod((x, 0, 0), (x, 0, 5), radius * 0.9, look.wood))
    low = height - drop - 18
    return [*parts, rod((tip, 0, low), (tip, 0, height - drop + 1), radius, look.shade, 0.45 * radius)]


def _pendant_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    cord, radius, high = rng.uniform(35, 70), rng.uniform(20, 30), rng.uniform(18, 34)
    parts = [
        rod((0, 0, high + cord), (0, 0, high + cord + 4), rng.uniform(7, 10), look.metal),
        rod((0, 0, high - 2), (0, 0, high + cord + 1), 1.7, look.metal),
        rod((0, 0, high - 1), (0, 0, high + 6), 4, look.metal),
    ]
    if rng.random() < 0.4:
        parts.append(rod((0, 0, 0), (0, 0, 0.5 * high), 0.7 * radius, look.shade, radius))
        parts.append(rod((0, 0, 0.5 * high - 0.2), (0, 0, high), radius, look.shade, 0.5 * radius))
        return parts
    return [*parts, rod((0, 0, 0), (0, 0, high), radius, look.shade, radius * rng.uniform(0.3, 0.95))]


def _reading_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    """Base, two arms with a joint and a conical head, bent towards one side."""
    side, first, second = pick(rng, (-1, 1)), rng.uniform(24, 32), rng.uniform(22, 30)
    lean, bend = math.radians(rng.uniform(5, 30)), math.radians(rng.uniform(25, 65))
    elbow = (-side * first * math.sin(lean), 0.0, 3 + first * math.cos(lean))
    tip = (elbow[0] + side * second * math.sin(bend), 0.0, elbow[2] + second * math.cos(bend))
    aim = math.radians(rng.uniform(20, 55))
    head = (tip[0] + side * 13 * math.sin(aim), -3.0, tip[2] - 13 * math.cos(aim))
    base = rng.uniform(8.5, 12)
    return [
        rod((0, 0, 0), (0, 0, 3.2), base, look.fabric, 0.9 * base),
        rod((0, 0, 2), elbow, 1.3, look.metal),
        rod(elbow, tip, 1.3, look.metal),
        rod((elbow[0], -2.0, elbow[2]), (elbow[0], 2.0, elbow[2]), 2.2, look.fabric),
        rod(head, tip, rng.uniform(8, 10.5), look.fabric, 3.2),
    ]
