"""Lamps of turned, bent and branching forms. Centimetres; floor at z = 0, the front faces -y."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from verdict3d.furniture.outlines import (
    ball,
    dome,
    ellipse,
    round_corners,
    shift_outline,
    smooth,
    turned_profile,
)
from verdict3d.furniture.palette import Palette, pick
from verdict3d.furniture.parts import Color, Part, bar, box, lathe, move, prism, rod
from verdict3d.furniture.patterns import striped


def shade(
    rng: np.random.Generator, place: tuple[float, float, float], radius: float, high: float, color: Color
) -> list[Part]:
    """Draw a shade whose lower end is at ``place``."""
    x, y, z = place
    kind = pick(rng, ("ball", "dome", "bowl", "cone", "drum", "box", "profile", "prism", "stripes"))
    if kind == "ball":
        return [lathe(ball(radius, z, z + high), color, axis=(x, y))]
    if kind == "dome":
        return [lathe(dome(radius, z, z + high), color, axis=(x, y))]
    if kind == "bowl":
        return [
            lathe([(r, 2 * z + high - h) for r, h in dome(radius, z, z + high)][::-1], color, axis=(x, y))
        ]
    if kind in ("cone", "drum"):
        return [
            rod(
                (x, y, z),
                (x, y, z + high),
                radius,
                color,
                radius * (rng.uniform(0.15, 0.6) if kind == "cone" else 1.0),
            )
        ]
    if kind == "box":
        return [box((x, y, z + high / 2), (2 * radius, rng.uniform(0.8, 2.0) * radius, high), color)]
    if kind == "prism":
        outline = (
            ellipse(2 * radius, 2 * radius, count=pick(rng, (4, 6, 8)))
            if rng.random() < 0.5
            else round_corners(2.4 * radius, 1.4 * radius, 3)
        )
        return [prism(shift_outline(outline, x, y), z, z + high, color)]
    if kind == "stripes":
        return striped(
            (x, y, z + high / 2), (1.7 * radius, 1.7 * radius, high), 2, 4, (color, color // 2 + 40)
        )
    return [lathe(turned_profile(rng, radius, z, z + high, pick(rng, (3, 4, 5))), color, axis=(x, y))]


def foot(rng: np.random.Generator, radius: float, top: float, look: Palette) -> list[Part]:
    """Draw what a pole stands on; it ends at ``top``."""
    kind = pick(rng, ("disc", "disc", "dome", "box", "legs", "cone"))
    color = pick(rng, (look.metal, look.wood))
    if kind == "legs":
        count = pick(rng, (3, 4))
        angles = [2 * math.pi * i / count - math.pi / 2 for i in range(count)]
        return [
            bar((radius * math.cos(a), radius * math.sin(a), 0), (0, 0, top + 1.2), 3.4, color)
            for a in angles
        ] + [rod((0, 0, top - 2), (0, 0, top + 2), 3, color)]
    if kind == "box":
        return [box((0, 0, top / 2), (1.7 * radius, rng.uniform(0.9, 1.7) * radius, top), color)]
    if kind == "dome":
        return [lathe(dome(radius, 0, top), color)]
    return [rod((0, 0, 0), (0, 0, top), radius, color, radius * (0.3 if kind == "cone" else 1.0))]


def vase_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    """A turned or stacked body under a shade, squat or slim."""
    high, radius = rng.uniform(22, 95), rng.uniform(6, 22)
    cover, tall = rng.uniform(0.7, 2.2) * radius + 6, rng.uniform(12, 45)
    colors = (look.fabric, look.wood, look.second_fabric)
    kind = pick(rng, ("turned", "turned", "stack", "block", "hoop"))
    if kind == "turned":
        parts = [lathe(turned_profile(rng, radius, 0, high, pick(rng, (3, 4, 5, 6))), pick(rng, colors))]
    elif kind == "stack":
        cuts = np.linspace(0, high, pick(rng, (3, 4, 5)))
        parts = []
        for number, (low, up) in enumerate(pairwise(cuts)):
            wide = radius * rng.uniform(0.5, 1.0)
            parts.append(
                lathe(ball(wide, low - 0.6, up + 0.6), colors[number % 3])
                if rng.random() < 0.5
                else rod((0, 0, low), (0, 0, up), wide, colors[number % 3])
            )
    elif kind == "block":
        parts = [
            prism(
                round_corners(2 * radius, rng.uniform(0.6, 2) * radius, pick(rng, (2.0, 5.0))),
                0,
                high,
                pick(rng, colors),
            )
        ]
    else:
        x = rng.uniform(0.8, 1.6) * radius
        parts = [bar((s * x, 0, 2), (s * x, 0, high), 3.4, look.metal) for s in (-1, 1)]
        parts += [box((0, 0, z), (2 * x + 3.4, 6, 4), look.metal) for z in (2, high - 2)]
    neck = high + rng.uniform(0, 9)
    parts.append(rod((0, 0, high - 3), (0, 0, neck + 4), 1.8, look.metal))
    return [*parts, *shade(rng, (0, 0, neck), cover, tall, look.shade)]


def bent_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    """A pole bent over to one side, sharply or round, with its shade hanging or lying along it."""
    high, reach, side = rng.uniform(60, 150), rng.uniform(22, 95), pick(rng, (-1, 1))
    x, rise = -side * reach / 2, rng.uniform(0.5, 0.95)
    path = [
        (x, 3.0),
        (x + side * rng.uniform(-0.3, 0.2) * reach, rise * high),
        (x + side * rng.uniform(0.2, 0.7) * reach, high),
        (x + side * reach, high * rng.uniform(0.6, 1.0)),
    ]
    path = smooth(path) if rng.random() < 0.7 else path
    joints = [(a, 0.0, b) for a, b in path]
    thick = rng.uniform(2.2, 3.6)
    parts = [rod(a, b, thick, look.metal) for a, b in pairwise(joints)]
    parts += [
        lathe(ball(thick, z - thick, z + thick, 5), look.metal, axis=(a, y)) for a, y, z in joints[1:-1]
    ]
    radius, tall = rng.uniform(9, 26), rng.uniform(12, 34)
    tip = joints[-1]
    base = foot(rng, rng.uniform(12, 26), rng.uniform(3, 8), look)
    parts += move(base, (x, 0, 0))
    return [*parts, *shade(rng, (tip[0], tip[1], tip[2] - tall + 2), radius, tall, look.shade)]


def branching_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    """Chandeliers, candelabra and standing lamps with several heads."""
    count, high = pick(rng, (2, 3, 3, 4, 5)), rng.uniform(50, 150)
    reach, radius, tall = rng.uniform(16, 48), rng.uniform(6, 15), rng.uniform(9, 26)
    hanging = rng.random() < 0.4
    drop = rng.uniform(-0.3, 0.35) * high
    turn = rng.uniform(0, math.pi)
    flat = pick(rng, (1.0, 1.0, 0.12))
    parts: list[Part] = [rod((0, 0, 2), (0, 0, high), rng.uniform(2, 3.4), look.metal)]
    for number in range(count):
        angle = turn + 2 * math.pi * number / count
        where = high * rng.uniform(0.45, 0.98) if rng.random() < 0.5 else 0.9 * high
        x, y = reach * math.cos(angle), flat * reach * math.sin(angle)
        tip = (x, y, max(where + drop, tall))
        parts.append(rod((0, 0, where), tip, 2.2, look.metal))
        low = tip[2] - tall + 2 if hanging or rng.random() < 0.3 else tip[2] - 2
        parts += shade(rng, (x, y, low), radius, tall, look.shade)
    if hanging:
        return [*parts, rod((0, 0, high - 1), (0, 0, high + 4), rng.uniform(8, 14), look.metal)]
    return [*parts, *foot(rng, rng.uniform(14, 26), rng.uniform(3, 8), look)]


def lantern(rng: np.random.Generator, look: Palette) -> list[Part]:
    """A light in a cage of posts, under a roof; on the floor, on a column or hanging."""
    wide, high = rng.uniform(20, 50), rng.uniform(24, 85)
    deep = wide * rng.uniform(0.6, 1.0)
    lift = pick(rng, (0.0, rng.uniform(10, 70)))
    parts = [box((0, 0, lift + z), (wide, deep, 4), look.wood) for z in (2, high - 2)]
    parts += [
        box((s * (wide / 2 - 2), t * (deep / 2 - 2), lift + high / 2), (4, 4, high - 1), look.wood)
        for s in (-1, 1)
        for t in (-1, 1)
    ]
    parts += shade(
        rng, (0, 0, lift + 3), rng.uniform(0.2, 0.42) * deep, rng.uniform(0.4, 0.9) * high, look.shade
    )
    roof = rng.uniform(0, 0.5) * high
    if roof > 5:
        parts.append(
            bar(
                (0, 0, lift + high - 1), (0, 0, lift + high + roof), 1.1 * wide, look.second_wood, 0.25 * wide
            )
        )
    if lift:
        column = rng.uniform(0.12, 0.5) * wide
        parts.append(lathe([(column, 0), (0.7 * column, 0.5 * lift), (0.7 * column, lift + 1)], look.metal))
        parts.append(box((0, 0, 2), (wide, deep, 4), look.metal))
    return parts


def panel_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    """A tall light: column, slab or twisted stack, standing on a foot or on the floor."""
    high, wide = rng.uniform(70, 150), rng.uniform(14, 46)
    lift = pick(rng, (0.0, 0.0, rng.uniform(0.1, 0.5) * high))
    share = rng.uniform(0.4, 1.0)
    top = lift + share * (high - lift)
    parts = (
        foot(rng, rng.uniform(0.5, 1.0) * wide, 5, look)
        if lift
        else [box((0, 0, 2.5), (wide + 4, wide * 0.8 + 4, 5), look.wood)]
    )
    if lift:
        parts.append(rod((0, 0, 2), (0, 0, lift + 2), 3, look.metal))
    if rng.random() < 0.4:
        count = pick(rng, (3, 4, 5))
        step = (top - lift) / count
        for number in range(count):
            size = wide * rng.uniform(0.45, 1.1)
            parts += shade(
                rng,
                (0, 0, lift + number * step - 0.6),
                size / 2,
                step + 1.2,
                pick(rng, (look.shade, look.second_fabric)),
            )
        return parts
    return [*parts, *shade(rng, (0, 0, lift + 1), wide / 2, top - lift, look.shade)]


FORMS = (vase_lamp, vase_lamp, bent_lamp, bent_lamp, branching_lamp, branching_lamp, lantern, panel_lamp)
"""Lamps of this file, heavier ones repeated."""
