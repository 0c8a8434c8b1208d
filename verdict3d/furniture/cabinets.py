"""Cabinets. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import numpy as np

from verdict3d.furniture.frames import LegStyle, feet
from verdict3d.furniture.palette import Palette, draw_palette, pick, shade
from verdict3d.furniture.parts import Part, box, rod


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
        return [box((0, 0.4 * thick, (lift + 1) / 2), plinth, shade(look.wood, 0.7))]
    style: LegStyle = pick(rng, ("square", "tapered", "cone", "round"))
    return feet(size, lift, 1.5 * thick, pick(rng, (look.metal, look.second_wood)), style)
