"""Sofas of modules and curves. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import numpy as np

from verdict3d.furniture.frames import LEG_STYLES, four_legs
from verdict3d.furniture.outlines import arc, ball, band, polygon, round_corners, smooth, turn_sideways
from verdict3d.furniture.palette import Palette, pick, shade
from verdict3d.furniture.parts import Part, box, lathe, prism, rod


def module_sofa(rng: np.random.Generator, look: Palette) -> list[Part]:
    """One to four seats in a row, each with its own depth and back; arms, wings and tables at the ends."""
    count = pick(rng, (1, 2, 2, 3, 3, 4))
    unit, depth = rng.uniform(48, 88), rng.uniform(62, 105)
    lift, seat = pick(rng, (0.0, rng.uniform(6, 18))), rng.uniform(28, 48)
    back, high = rng.uniform(10, 28), rng.uniform(18, 70)
    fabric, pillow = look.fabric, pick(rng, (look.second_fabric, shade(look.fabric, 1.15)))
    soft = rng.uniform(0, 9)
    lean = rng.uniform(0, 14)
    parts: list[Part] = []
    kinds = [pick(rng, ("seat", "seat", "seat", "chaise", "backless", "low")) for _ in range(count)]
    if count > 1 and all(kind == "chaise" for kind in kinds):
        kinds[0] = "seat"
    rear = depth / 2
    for number, kind in enumerate(kinds):
        x = (number - (count - 1) / 2) * unit
        deep = depth * (rng.uniform(1.4, 2.0) if kind == "chaise" else 1.0)
        parts.append(box((x, rear - deep / 2, (lift + seat) / 2), (unit, deep, seat - lift), fabric, 2))
        parts.append(box((x, rear - deep / 2, seat + 3), (0.96 * unit, 0.96 * deep, 8), pillow, 3.6))
        if kind != "backless":
            tall = high * (0.5 if kind == "low" else 1.0)
            slope = polygon(
                [
                    (rear - back - lean, seat - 2),
                    (rear, seat - 2),
                    (rear, seat + tall),
                    (rear - 0.8 * back, seat + tall),
                ]
            )
            parts.append(turn_sideways(slope, x - unit / 2 + 0.3, x + unit / 2 - 0.3, fabric))
            if rng.random() < 0.3:
                parts.append(
                    box(
                        (x + rng.uniform(-0.2, 0.2) * unit, rear - back - lean - 5, seat + 16),
                        (0.5 * unit, 13, 26),
                        look.second_fabric,
                        4.5,
                    )
                )
    end = count * unit / 2
    for side in (-1, 1):
        kind = pick(rng, ("arm", "arm", "arm", "slope", "none", "table", "roll"))
        wide, tall = rng.uniform(7, 30), rng.uniform(8, 34)
        x = side * (end + wide / 2 - 0.3)
        if kind == "arm":
            share = rng.uniform(0.5, 1.0)
            parts.append(
                box(
                    (x, rear - share * depth / 2, (lift + seat + tall) / 2),
                    (wide, share * depth, seat + tall - lift),
                    fabric,
                    min(soft, 0.4 * wide),
                )
            )
        elif kind == "slope":
            flank = polygon(
                [(-rear, lift), (rear, lift), (rear, seat + high), (-rear, seat + rng.uniform(2, 16))]
            )
            parts.append(turn_sideways(flank, x - wide / 2, x + wide / 2, fabric))
        elif kind == "table":
            parts.append(box((side * (end + wide), 0, seat - 4), (2 * wide, 0.8 * depth, 7), look.wood))
            parts.append(box((side * (end + 2 * wide - 4), 0, seat / 2), (7, 0.8 * depth, seat), look.wood))
        elif kind == "roll":
            parts.append(box((x, 0, (lift + seat) / 2), (wide, depth, seat - lift), fabric))
            parts.append(rod((x, -rear, seat + 4), (x, rear - 1, seat + 4), 0.62 * wide, fabric))
    if lift:
        parts += four_legs(
            (2 * end - 8, depth - 8), lift + 1, rng.uniform(6, 10), look.wood, pick(rng, LEG_STYLES)
        )
        parts += [
            rod((s * (end - 10), -rear + 6, 0), (s * (end - 10), -rear + 6, lift + 1), 4, look.wood)
            for s in (-1, 1)
        ]
    return parts


def corner_sofa(rng: np.random.Generator, look: Palette) -> list[Part]:
    """Sofas in an L or a U, with or without backs along their wings."""
    width, depth = rng.uniform(150, 290), rng.uniform(60, 95)
    seat, high, back = rng.uniform(30, 46), rng.uniform(18, 55), rng.uniform(12, 26)
    rear = depth / 2
    colors = (
        (look.fabric, look.second_fabric) if rng.random() < 0.4 else (look.fabric, shade(look.fabric, 1.12))
    )
    parts: list[Part] = [
        box((0, 0, seat / 2 + 3), (width, depth, seat - 6), look.fabric, 2),
        box((0, -back / 2 + 1, seat + 2), (width - 2, depth - back, 12), colors[1], 4),
        box(
            (0, rear - back / 2, (seat + high) / 2 + 3),
            (width * rng.uniform(0.7, 1.0), back, seat + high - 6),
            look.fabric,
            3,
        ),
    ]
    for side in pick(rng, ((-1,), (1,), (-1, 1))):
        wide, reach = rng.uniform(0.24, 0.36) * width, rng.uniform(0.4, 1.9) * depth
        x, y = side * (width - wide) / 2, -rear - reach / 2 + 1
        parts.append(box((x, y, seat / 2 + 3), (wide, reach + 2, seat - 6), look.fabric, 2))
        parts.append(box((x - side * back / 4, y, seat + 2), (wide - back / 2, reach, 12), colors[1], 4))
        if rng.random() < 0.6:
            run = rng.uniform(0.5, 1.0) * (reach + depth)
            parts.append(
                box(
                    (side * (width / 2 - back / 2), rear - run / 2, (seat + high) / 2 + 3),
                    (back, run, seat + high - 6),
                    look.fabric,
                    3,
                )
            )
    legs = box((0, 0, 3), (0.9 * width, 0.8 * depth, 7), look.wood)
    return [*parts, legs]


def curved_sofa(rng: np.random.Generator, look: Palette) -> list[Part]:
    """Round and curved sofas, day chairs bent from one sheet, kidney forms."""
    kind = pick(rng, ("ring", "ring", "sheet", "round"))
    seat, high = rng.uniform(28, 46), rng.uniform(15, 60)
    if kind == "ring":
        sweep, size = rng.uniform(40, 125), rng.uniform(150, 280)
        deep, back = rng.uniform(0.22, 0.36) * size, rng.uniform(0.06, 0.13) * size
        squash = rng.uniform(0.55, 1.0)
        start, end = 90 - sweep, 90 + sweep
        if rng.random() < 0.3:
            start = 90 - sweep * rng.uniform(0.3, 0.9)
        outer = arc(size, size, deep, start, end, 14) * [1, squash]
        wall = arc(size, size, back, start + 4, end - rng.uniform(4, 0.8 * sweep), 14) * [1, squash]
        return [
            prism(outer, pick(rng, (0.0, 6.0)), seat, look.fabric),
            prism(wall, seat - 1, seat + high, pick(rng, (look.fabric, look.second_fabric))),
            prism(
                arc(size, size, 0.8 * deep, start + 12, end - 12, 14) * [0.96, 0.96 * squash], 0, 8, look.wood
            ),
        ]
    width, depth = rng.uniform(70, 210), rng.uniform(70, 115)
    if kind == "sheet":
        thick = rng.uniform(0.06, 0.12) * max(width, depth)
        y = depth / 2
        path = smooth(
            [
                (-y, seat * rng.uniform(0.5, 1.3)),
                (-0.1 * y, seat * rng.uniform(0.7, 1)),
                (0.5 * y, seat),
                (y, seat + high),
            ]
        )
        parts = [turn_sideways(band(path, thick), -width / 2, width / 2, look.fabric)]
        parts += [
            box(
                (0, -0.15 * y, seat / 2 - 2),
                (rng.uniform(0.3, 0.95) * width, rng.uniform(0.4, 0.9) * depth, seat),
                look.wood,
            )
        ]
        return parts
    power, thick = rng.uniform(2.0, 4.0), rng.uniform(9, 20)
    body = round_corners(width, depth, power)
    low = rng.uniform(0.0, 0.3) * seat
    sweep = rng.uniform(70, 150)
    return [
        prism(body, low, seat, look.fabric),
        prism(
            arc(width, depth, thick, 90 - sweep, 90 + sweep, 14), seat - 2, seat + high, look.second_fabric
        ),
        box((0, 0, (low + 4) / 2), (0.6 * width, 0.6 * depth, low + 4), look.wood),
    ]


def round_seat(rng: np.random.Generator, look: Palette) -> list[Part]:
    """A soft ball or drum to sit on, with a cut for the back."""
    radius, high = rng.uniform(38, 70), rng.uniform(30, 75)
    body = lathe(ball(radius, 0, high), look.fabric)
    sweep = rng.uniform(50, 140)
    wall = arc(1.9 * radius, 1.9 * radius, 0.3 * radius, 90 - sweep, 90 + sweep, 12)
    return [
        body,
        prism(wall, 0.5 * high, high + rng.uniform(8, 45), look.second_fabric),
        rod((0, 0, 0), (0, 0, 0.3 * high), 0.6 * radius, look.wood),
    ]
