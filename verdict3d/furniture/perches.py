"""Stools and benches of free forms. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import math

import numpy as np

from verdict3d.furniture.frames import LEG_STYLES, four_legs
from verdict3d.furniture.outlines import (
    arc,
    band,
    board_outline,
    ellipse,
    smooth,
    turn_upright,
    turned_profile,
)
from verdict3d.furniture.palette import Palette, pick
from verdict3d.furniture.parts import Part, box, lathe, prism, rod
from verdict3d.furniture.patterns import striped
from verdict3d.furniture.seats import seat_base


def form_stool(rng: np.random.Generator, look: Palette) -> list[Part]:
    """Drums, hourglasses, cubes, bent sheets, steps and saddles."""
    width, depth, high = rng.uniform(28, 64), rng.uniform(26, 50), rng.uniform(28, 78)
    kind = pick(rng, ("drum", "drum", "sheet", "steps", "board", "board", "board", "back"))
    colors = (look.wood, look.fabric, look.second_wood)
    color = pick(rng, colors)
    if kind == "drum":
        radius, cap = width / 2, rng.uniform(4, 12)
        parts = [lathe(turned_profile(rng, radius, 0, high, pick(rng, (3, 4, 5, 6))), color)]
        top = (
            board_outline(rng, *(rng.uniform(0.8, 1.3, size=2) * width))
            if rng.random() < 0.5
            else ellipse(width, width)
        )
        return [*parts, prism(top, high - 1, high + cap, look.second_fabric)]
    if kind == "sheet":
        thick = rng.uniform(4, 8)
        x, foot = width / 2, rng.uniform(-0.2, 0.35) * width
        path = [(-x - foot, 0), (-x, high), (x, high), (x + rng.uniform(-0.2, 0.35) * width, 0)]
        if rng.random() < 0.3:
            path = [(0.7 * x, thick / 2), (-x, thick / 2), (-x, high), (x, high)]
        path = smooth(path) if rng.random() < 0.6 else path
        return [turn_upright(band(path, thick), -depth / 2, depth / 2, color)]
    if kind == "steps":
        count = pick(rng, (2, 3))
        parts = []
        for number in range(count):
            z, y = high * (number + 1) / count, depth * (0.5 * number - 0.3)
            parts.append(box((0, y, z - 2.5), (width, 0.62 * depth, 5), look.second_wood))
            parts += [
                box((s * (width / 2 - 2), y, z / 2), (5, 0.6 * depth, z - 2), look.wood) for s in (-1, 1)
            ]
        return parts
    thick = rng.uniform(4, 14)
    outline = board_outline(rng, width, depth)
    parts = [prism(outline, high - thick, high, color)]
    if rng.random() < 0.4:
        parts.append(prism(0.92 * outline, high - 1, high + rng.uniform(4, 9), look.fabric))
    if kind == "back":
        wall = rng.uniform(10, 32)
        sweep = rng.uniform(35, 85)
        parts.append(
            prism(
                arc(width, depth, 5, 90 - sweep, 90 + sweep, 10), high - thick, high + wall, look.second_wood
            )
        )
    return parts + seat_base(rng, (0.78 * width, 0.78 * depth), high - thick, look)


def form_bench(rng: np.random.Generator, look: Palette) -> list[Part]:
    """Curved, L-shaped, bent, chest and block benches."""
    width, depth, high = rng.uniform(80, 170), rng.uniform(28, 60), rng.uniform(30, 55)
    thick = rng.uniform(0.045, 0.09) * width
    kind = pick(rng, ("curve", "corner", "sheet", "chest", "blocks", "daybed"))
    color = pick(rng, (look.wood, look.second_wood, look.fabric))
    if kind == "curve":
        sweep, way = rng.uniform(30, 85), pick(rng, (90, 90, 270))
        size = width / math.sin(math.radians(sweep))
        seat = arc(size, size, depth, way - sweep, way + sweep, 12)
        seat = seat - [0.0, (seat[:, 1].min() + seat[:, 1].max()) / 2]
        parts = [prism(seat, high - thick, high, color)]
        if rng.random() < 0.5:
            parts.append(prism(seat * 0.96, 0, pick(rng, (high - 1, 0.3 * high)), look.second_wood))
        places = np.linspace(1, len(seat) // 2 - 2, 3).round().astype(int)
        middle = (seat + seat[::-1]) / 2
        parts += [
            rod((*middle[i], 0), (*middle[i], high - 1), rng.uniform(3, 7), look.second_wood) for i in places
        ]
        if way == 90 and rng.random() < 0.5:
            wall = arc(size, size, thick, way - sweep, way + sweep, 12)
            wall = wall - [
                0.0,
                (arc(size, size, depth, way - sweep, way + sweep, 12)[:, 1].min() + wall[:, 1].max()) / 2,
            ]
            parts.append(prism(wall, high - thick, high + rng.uniform(15, 45), look.fabric))
        return parts
    if kind == "sheet":
        x = width / 2
        path = [(-x, 0), (-x * rng.uniform(0.75, 1.1), high), (x * rng.uniform(0.75, 1.1), high), (x, 0)]
        cut = pick(rng, (4, 4, 3))
        path = smooth(path[:cut]) if rng.random() < 0.5 else path[:cut]
        parts = [turn_upright(band(path, thick), -depth / 2, depth / 2, color)]
        if cut == 3:
            parts.append(
                box((0.7 * x, 0, high / 2), (pick(rng, (2, 6)) * thick, 0.9 * depth, high), look.second_wood)
            )
    elif kind == "blocks":
        cuts = np.sort(rng.uniform(-0.42, 0.42, size=2)) * width
        parts = [box((0, 0, high - thick / 2), (width, depth, thick), color)]
        for cut in cuts:
            parts.append(
                box(
                    (cut, 0, high / 2),
                    (rng.uniform(0.06, 0.3) * width, rng.uniform(0.5, 0.98) * depth, high - 1),
                    look.second_wood,
                )
            )
    elif kind == "corner":
        side, reach = pick(rng, (-1, 1)), rng.uniform(0.3, 0.9) * width
        x = side * (width / 2 - depth / 2)
        parts = [
            box((0, 0, high - thick / 2), (width, depth, thick), color),
            box((x, -depth / 2 - reach / 2 + 1, high - thick / 2), (depth, reach + 2, thick), color),
            *four_legs(
                (width, depth), high - thick + 1, 1.1 * thick, look.second_wood, pick(rng, LEG_STYLES)
            ),
        ]
        parts += [
            box(
                (x + s * 0.36 * depth, -depth / 2 - reach + thick, high / 2),
                (thick, thick, high - 1),
                look.second_wood,
            )
            for s in (-1, 1)
        ]
        if rng.random() < 0.6:
            parts.append(box((0, depth / 2 - thick / 2, high + 16), (width, thick, 34), look.fabric))
    else:
        parts = [
            *striped(
                (0, 0, high / 2), (width, depth, high), 0, pick(rng, (1, 3, 4)), (color, look.second_wood)
            )
        ]
        parts.append(box((0, 0, high + 3), (width, depth, 8), look.fabric, 3))
    for s in (-1, 1):
        if kind != "sheet" and rng.random() < (0.75 if kind == "daybed" else 0.25):
            rise = rng.uniform(12, 45)
            parts.append(
                box(
                    (s * (width / 2 - thick / 2), 0, high + rise / 2 - 2),
                    (thick, depth, rise + 4),
                    look.second_fabric,
                    2,
                )
            )
    if kind in ("sheet", "blocks", "chest") and rng.random() < 0.45:
        share, rise = rng.uniform(0.3, 1.0), rng.uniform(18, 55)
        x = pick(rng, (-1, 0, 1)) * (1 - share) * width / 2
        back = box(
            (x, depth / 2 - thick / 2, high + rise / 2 - 2), (share * width, thick, rise + 4), look.fabric
        )
        parts.append(back)
    return parts
