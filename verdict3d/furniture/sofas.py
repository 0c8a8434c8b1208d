"""Benches and sofas. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import numpy as np

from verdict3d.furniture.frames import (
    LEG_STYLES,
    BackStyle,
    back_rest,
    feet,
    four_legs,
    grid_cushions,
    stretchers,
)
from verdict3d.furniture.palette import draw_palette, pick, shade
from verdict3d.furniture.parts import Color, Part, box, move, rod, turn


def bench(rng: np.random.Generator) -> list[Part]:
    """Plank, slatted, upholstered and garden benches."""
    look = draw_palette(rng)
    width, depth, height = rng.uniform(95, 150), rng.uniform(34, 46), rng.uniform(42, 50)
    thick = max(0.04 * width, rng.uniform(5, 7))
    kind = pick(rng, ("plank", "slatted", "slatted", "upholstered"))
    top = height - thick
    if kind == "slatted":
        count = 3 if depth < 40 else 4
        pitch = depth / count
        places = (np.arange(count) + 0.5) * pitch - depth / 2
        parts = [box((0, y, height - thick / 2), (width, 0.62 * pitch, thick), look.wood) for y in places]
        braces = (-0.4 * width, 0.0, 0.4 * width)
        parts += [box((x, 0, top - 1.5), (thick, depth - 1, thick), look.second_wood) for x in braces]
    else:
        parts = [box((0, 0, height - thick / 2), (width, depth, thick), look.wood)]
    if kind == "upholstered":
        soft = rng.uniform(6, 10)
        parts += grid_cushions(
            (width - 3, depth - 2, soft), int(rng.integers(1, 4)), (0, 0, height + soft / 2 - 1), look.fabric
        )
    frame = pick(rng, (look.second_wood, look.metal, look.wood))
    parts += _bench_base(rng, (width, depth), top + 1, thick, frame)
    if rng.random() < 0.4:
        style: BackStyle = pick(rng, ("slats", "ladder", "panel", "spindles"))
        back = back_rest(rng, (width * 0.98, rng.uniform(36, 48)), thick, frame, look.wood, style)
        parts += move(turn(back, "x", -rng.uniform(4, 12)), (0, depth / 2 - thick / 2, top))
        if rng.random() < 0.5:
            parts += _bench_arms((width, depth), height, thick, frame)
    return parts


def _bench_arms(size: tuple[float, float], height: float, thick: float, color: Color) -> list[Part]:
    parts: list[Part] = []
    for side in (-1, 1):
        x = side * (size[0] / 2 - thick / 2)
        parts.append(box((x, 1, height + 20), (1.2 * thick, size[1] + 4, thick), color))
        parts.append(box((x, -size[1] / 2 + thick, height + 9), (thick, thick, 24), color))
    return parts


def _bench_base(
    rng: np.random.Generator, size: tuple[float, float], top: float, thick: float, color: Color
) -> list[Part]:
    width, depth = size
    kind = pick(rng, ("legs", "legs", "panels", "trestle"))
    if kind == "panels":
        inset = rng.uniform(0, 0.12) * width
        return [
            box((side * (width / 2 - thick / 2 - inset), 0, top / 2), (thick, depth * 0.94, top), color)
            for side in (-1, 1)
        ]
    if kind == "trestle":
        parts: list[Part] = []
        for side in (-1, 1):
            x = side * width * 0.36
            parts.append(box((x, 0, top / 2), (1.2 * thick, 1.8 * thick, top), color))
            parts.append(box((x, 0, thick / 2), (1.2 * thick, depth * 0.9, thick), color))
            parts.append(box((x, 0, top - thick / 2), (1.2 * thick, depth * 0.8, thick), color))
        return [*parts, box((0, 0, 0.42 * top), (0.74 * width, thick, thick), color)]
    style = pick(rng, LEG_STYLES)
    parts = four_legs((width - thick, depth), top, 1.15 * thick, color, style, rng.uniform(0, 2))
    if style == "square" and rng.random() < 0.5:
        parts += stretchers((width - thick, depth), 0.3 * top, 1.15 * thick, color, "h")
    return parts


def sofa(rng: np.random.Generator) -> list[Part]:
    """Armchairs, two- and three-seaters, corner sofas; box, soft and rolled arms."""
    look = draw_palette(rng)
    seats = pick(rng, (1, 2, 2, 3, 3))
    arm = rng.uniform(11, 20)
    inner, depth = seats * rng.uniform(56, 66), rng.uniform(80, 95)
    lift, seat_z, total = rng.uniform(7, 15), rng.uniform(39, 45), rng.uniform(70, 88)
    back = rng.uniform(14, 20)
    width = inner + 2 * arm
    base = seat_z - lift - 13
    fabric = look.fabric
    pillow = pick(rng, (shade(fabric, 1.1), shade(fabric, 0.86), look.second_fabric))
    parts = [
        box((0, 0, lift + base / 2), (width - 2, depth - 2, base), shade(fabric, 0.92), 2),
        box((0, depth / 2 - back / 2, (lift + total) / 2), (width, back, total - lift), fabric, 0.28 * back),
    ]
    parts += _sofa_arms(rng, (width, depth), arm, lift, seat_z + rng.uniform(12, 22), fabric)
    seat_depth = depth - back + 2
    parts += grid_cushions((inner, seat_depth, 15), seats, (0, -back / 2, seat_z - 7), pillow)
    if rng.random() < 0.75:
        high = total - seat_z + rng.uniform(-6, 5)
        soft = grid_cushions((inner, 15, high), seats, (0, 0, high / 2), pillow)
        parts += move(turn(soft, "x", -rng.uniform(4, 12)), (0, depth / 2 - back - 8, seat_z - 1))
    wide_feet = feet(
        (width, depth), lift, rng.uniform(6, 8), look.wood, pick(rng, ("cone", "square", "tapered"))
    )
    if seats > 1 and rng.random() < 0.3:
        parts += _chaise(rng, (width, depth), arm, lift, seat_z, inner / seats, fabric, pillow)
    return parts + wide_feet


def _sofa_arms(
    rng: np.random.Generator, size: tuple[float, float], arm: float, lift: float, arm_z: float, color: Color
) -> list[Part]:
    kind = pick(rng, ("box", "soft", "rolled", "none" if size[0] > 140 else "box"))
    width, depth = size
    parts: list[Part] = []
    for side in (-1, 1):
        x = side * (width / 2 - arm / 2)
        if kind == "none":
            continue
        radius = 0.12 * arm if kind == "box" else 0.42 * arm
        high = arm_z - lift - (0.35 * arm if kind == "rolled" else 0)
        parts.append(box((x, -1, lift + high / 2), (arm, depth - 2, high), color, radius))
        if kind == "rolled":
            z = lift + high - 0.1 * arm
            parts.append(rod((x, -depth / 2 - 1, z), (x, depth / 2 - 3, z), 0.58 * arm, color))
    return parts


def _chaise(
    rng: np.random.Generator,
    size: tuple[float, float],
    arm: float,
    lift: float,
    seat_z: float,
    seat_width: float,
    color: Color,
    pillow: Color,
) -> list[Part]:
    """Extend the seat at one end towards the front."""
    side, reach = pick(rng, (-1, 1)), rng.uniform(45, 65)
    x = side * (size[0] / 2 - arm - seat_width / 2)
    y = -size[1] / 2 - reach / 2 + 4
    base = seat_z - lift - 13
    wide = seat_width * 0.99
    parts = [
        box((x, y, lift + base / 2), (wide, reach + 8, base), shade(color, 0.92), 2),
        box((x, y, seat_z - 7), (wide * 0.985, reach + 8, 15), pillow, 5),
    ]
    for dx in (-1, 1):
        foot = (x + dx * (wide / 2 - 6), -size[1] / 2 - reach + 8)
        parts.append(rod((foot[0], foot[1], 0), (foot[0], foot[1], lift + 1), 3.2, shade(color, 0.5)))
    return parts
