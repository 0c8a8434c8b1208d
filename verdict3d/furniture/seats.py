"""Bent, turned and curved chairs. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import numpy as np

from verdict3d.furniture.frames import LEG_STYLES, four_legs, pedestal
from verdict3d.furniture.outlines import (
    arc,
    band,
    ellipse,
    polygon,
    shift_outline,
    smooth,
    turn_sideways,
    turn_upright,
    turned_profile,
)
from verdict3d.furniture.palette import Palette, pick
from verdict3d.furniture.parts import Part, bar, box, lathe, move, prism, rod


def seat_base(rng: np.random.Generator, size: tuple[float, float], top: float, look: Palette) -> list[Part]:
    """Draw what carries a seat of (width, depth) whose underside is at ``top``."""
    width, depth = size
    kind = pick(rng, ("legs", "legs", "star", "cone", "plinth", "cross", "slabs", "vase", "hoop"))
    frame = pick(rng, (look.metal, look.wood, look.second_wood))
    least = min(width, depth)
    if kind == "star":
        return pedestal(top + 1, 3, rng.uniform(0.42, 0.6) * least, frame, "star", pick(rng, (3, 4, 5)))
    if kind == "cone":
        return pedestal(top + 1, 3.2, rng.uniform(0.3, 0.5) * least, frame, pick(rng, ("cone", "disc")))
    if kind == "plinth":
        inset = rng.uniform(0.55, 0.98)
        return [box((0, 0, top / 2), (inset * width, inset * depth, top + 1), look.second_wood)]
    if kind == "cross":
        x, y = 0.42 * width, 0.42 * depth
        bars = [((-x, -y), (x, y)), ((x, -y), (-x, y))]
        if rng.random() < 0.5:
            bars = [((s * x, t * y), (s * x, -t * y)) for s in (-1, 1) for t in (-1, 1)]
        return [bar((*a, 0), (*b, top + 0.5), 4.4, frame) for a, b in bars]
    if kind == "slabs":
        thick, lean = rng.uniform(4, 9), rng.uniform(-0.2, 0.35)
        slab = polygon(
            [
                (-depth * (0.42 + lean / 2), 0),
                (depth * 0.42, 0),
                (depth * 0.46, top + 1),
                (-depth * 0.46, top + 1),
            ]
        )
        return [
            turn_sideways(slab, s * 0.42 * width - thick / 2, s * 0.42 * width + thick / 2, frame)
            for s in (-1, 1)
        ]
    if kind == "vase":
        return [
            lathe(
                turned_profile(rng, rng.uniform(0.28, 0.48) * least, 0, top + 1, pick(rng, (3, 4, 5))), frame
            )
        ]
    if kind == "hoop":
        thick = 4.4
        hoop = band(
            [(-0.45 * width, top), (-0.5 * width, thick / 2), (0.5 * width, thick / 2), (0.45 * width, top)],
            thick,
        )
        return [turn_upright(hoop, s * 0.36 * depth - 2.4, s * 0.36 * depth + 2.4, frame) for s in (-1, 1)]
    splay = rng.uniform(-0.04, 0.16) * least
    return four_legs(
        (0.9 * width, 0.9 * depth), top + 1, rng.uniform(3.8, 6.5), frame, pick(rng, LEG_STYLES), splay
    )


def barrel_chair(rng: np.random.Generator, look: Palette) -> list[Part]:
    """A seat in a curved wall, which may be open below, low or high."""
    width, depth, seat = rng.uniform(48, 90), rng.uniform(46, 80), rng.uniform(30, 50)
    thick, wall = rng.uniform(6, 13), rng.uniform(12, 60)
    sweep = rng.uniform(95, 290) / 2
    low = pick(rng, (0.25 * seat, 0.8 * seat, seat + 0.3 * wall))
    color = pick(rng, (look.fabric, look.second_fabric))
    parts = [
        prism(
            ellipse(width - 1, depth - 1), low if low < 0.5 * seat else seat - rng.uniform(6, 14), seat, color
        ),
        prism(arc(width, depth, thick, 90 - sweep, 90 + sweep, 14), low, seat + wall, look.fabric),
    ]
    if low > seat:
        parts += [
            rod(
                (s * 0.4 * width, 0.24 * depth, seat - 5),
                (s * 0.4 * width, 0.24 * depth, low + 3),
                2.6,
                look.wood,
            )
            for s in (-1, 1)
        ]
        parts.append(rod((0, 0.46 * depth, seat - 5), (0, 0.46 * depth, low + 3), 2.6, look.wood))
    under = seat - 5 if low > 0.5 * seat else low + 1
    return parts + seat_base(rng, (0.8 * width, 0.8 * depth), under, look)


def sheet_chair(rng: np.random.Generator, look: Palette) -> list[Part]:
    """A chair bent from one sheet, seen from the side: Z, S, C, lounge and shell."""
    width, thick = rng.uniform(42, 78), rng.uniform(4.5, 8)
    seat, depth = rng.uniform(24, 50), rng.uniform(38, 70)
    lean, high = rng.uniform(2, 34), rng.uniform(30, 80)
    back = (depth / 2 + lean, seat + high)
    rise = rng.uniform(0, 9)
    path = [(-depth / 2, seat + rise), (depth / 2, seat), back]
    kind = pick(rng, ("z", "c", "legs", "legs", "waterfall", "rocker"))
    front = -depth / 2
    if kind == "z":
        path = [
            (front, thick / 2),
            (depth / 2, thick / 2),
            (front + 6, seat + rise),
            (depth / 2, seat + 1),
            back,
        ]
        if rng.random() < 0.5:
            path = [
                (depth / 2, thick / 2),
                (front, thick / 2),
                (front - 3, seat + rise),
                (depth / 2, seat),
                back,
            ]
    if kind == "c":
        path = [(depth / 2, thick / 2), (front, thick / 2), *path]
    if kind == "waterfall":
        path = [(front - rng.uniform(-4, 12), 0), *path]
    if rng.random() < 0.5:
        path = smooth(path)
    color = pick(rng, (look.wood, look.fabric, look.second_wood))
    parts = [turn_sideways(band(path, thick), -width / 2, width / 2, color)]
    if kind == "waterfall":
        parts += [box((s * 0.36 * width, 0.4 * depth, seat / 2), (5, 6, seat), look.wood) for s in (-1, 1)]
    if kind == "rocker":
        arch = shift_outline(arc(1.5 * depth, 1.5 * depth, 4.6, 232, 308, 10), 0.0, 0.75 * depth)
        for s in (-1, 1):
            parts.append(turn_sideways(arch, s * 0.38 * width - 2.6, s * 0.38 * width + 2.6, look.wood))
            for y in (-0.3, 0.3):
                parts.append(
                    bar(
                        (s * 0.38 * width, y * depth, 2),
                        (s * 0.38 * width, y * depth, seat + 1),
                        4.4,
                        look.wood,
                    )
                )
    if kind == "legs":
        parts += move(seat_base(rng, (width, 0.8 * depth), seat - 1 + 0.3 * rise, look), (0, 0, 0))
    if rng.random() < 0.35:
        z, run = seat + rng.uniform(14, 26), rng.uniform(0.5, 0.95) * depth
        for s in (-1, 1):
            x = s * (width / 2 - 1)
            parts.append(box((x, depth / 2 - run / 2 + 0.2 * lean, z), (5, run, 5), look.second_wood))
            parts.append(
                box(
                    (x, depth / 2 - run + 3 + 0.2 * lean, (z + seat) / 2 - 3),
                    (5, 5, z - seat + 10),
                    look.second_wood,
                )
            )
    return parts


def wing_chair(rng: np.random.Generator, look: Palette) -> list[Part]:
    """A block of a chair with sides that slope from a tall back, and wings."""
    width, depth, seat = rng.uniform(54, 85), rng.uniform(50, 82), rng.uniform(32, 48)
    thick, high, lift = rng.uniform(6, 13), rng.uniform(28, 85), pick(rng, (0.0, rng.uniform(8, 22)))
    arm, nose = rng.uniform(8, 28), rng.uniform(0.3, 1.0)
    fabric, inner = look.fabric, pick(rng, (look.second_fabric, look.fabric))
    y = depth / 2
    side = band(
        [(-nose * y, lift + (seat - lift) / 2), (0.5 * y, lift + (seat - lift) / 2)], seat - lift + 2 * arm
    )
    wing = polygon([(0.1 * y, seat), (y, seat), (y, seat + high), (rng.uniform(0.15, 0.75) * y, seat + high)])
    parts = [
        box((0, 0, (lift + seat) / 2), (width - 1, depth - 2, seat - lift), inner, 1.5),
        box(
            (0, y - thick / 2, lift + (seat + high - lift) / 2), (width, thick, seat + high - lift), fabric, 2
        ),
    ]
    ends = pick(rng, ((-1, 1), (-1, 1), (-1, 1), (1,), ()))
    for s in ends:
        x = s * (width / 2 - thick / 2)
        parts.append(turn_sideways(side, x - thick / 2, x + thick / 2, fabric))
        if rng.random() < 0.6:
            parts.append(turn_sideways(wing, x - thick / 2 + 0.5, x + thick / 2 - 0.5, fabric))
    return parts + (seat_base(rng, (0.9 * width, 0.9 * depth), lift, look) if lift else [])
