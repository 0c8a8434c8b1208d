"""Chairs and stools. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import math

import numpy as np

from verdict3d.furniture.frames import (
    LEG_STYLES,
    BackStyle,
    LegStyle,
    back_rest,
    four_legs,
    leg,
    pedestal,
    stretchers,
)
from verdict3d.furniture.palette import Palette, draw_palette, pick
from verdict3d.furniture.parts import Color, Part, box, move, rod, turn

_BACKS: tuple[BackStyle, ...] = (
    "panel",
    "slats",
    "slats",
    "ladder",
    "spindles",
    "upholstered",
    "upholstered",
)


def chair(rng: np.random.Generator) -> list[Part]:
    """Dining, arm, office and cantilever chairs."""
    look = draw_palette(rng)
    width, depth, seat_z = rng.uniform(40, 54), rng.uniform(40, 52), rng.uniform(41, 48)
    thick, post = rng.uniform(4, 6.5), rng.uniform(3.2, 4.4)
    base = pick(rng, ("legs", "legs", "legs", "office", "sled"))
    style: BackStyle = "upholstered" if base == "office" else pick(rng, _BACKS)
    frame = look.metal if base != "legs" else look.wood
    shell = look.second_wood if base == "sled" else look.wood
    seat_top = seat_z
    parts = [box((0, 0, seat_z - thick / 2), (width, depth, thick), shell, pick(rng, (0.0, 0.3)) * thick)]
    if style == "upholstered" or rng.random() < 0.4:
        cushion = rng.uniform(5, 8)
        parts.append(
            box((0, -1, seat_z + cushion / 2 - 1), (width - 2, depth - 3, cushion), look.fabric, 2.4)
        )
        seat_top += cushion - 1
    if base == "legs":
        parts += _chair_legs(rng, (width, depth), seat_z - thick / 2, frame)
    elif base == "office":
        parts += pedestal(seat_z - thick / 2, 2.6, rng.uniform(26, 32), frame, "star", 5)
    else:
        parts += _sled(width, depth, seat_z - thick / 2, frame)
    back_color = look.fabric if style == "upholstered" else pick(rng, (shell, look.second_wood))
    tilt = rng.uniform(3, 13)
    back_width = width * rng.uniform(0.82, 1.0)
    back = back_rest(rng, (back_width, rng.uniform(42, 60)), post, shell, back_color, style)
    parts += move(turn(back, "x", -tilt), (0, depth / 2 - 0.8 * post, seat_z - 0.5 * thick))
    if rng.random() < 0.38:
        parts += _arms(rng, (width, depth), seat_z, seat_top + rng.uniform(16, 21), post, tilt, shell, look)
    return parts


def _chair_legs(rng: np.random.Generator, size: tuple[float, float], top: float, color: Color) -> list[Part]:
    style = pick(rng, LEG_STYLES)
    width = rng.uniform(3.4, 5.0)
    splay = rng.uniform(0, 5) if style in ("round", "cone") else 0.0
    parts = four_legs(size, top, width, color, style, splay)
    if splay < 1.0 and rng.random() < 0.4:
        parts += stretchers(size, rng.uniform(10, 20), width, color, pick(rng, ("h", "box", "sides")))
    return parts


def _sled(width: float, depth: float, top: float, color: Color) -> list[Part]:
    """Two runners on the floor joined to the seat at the front only: a cantilever."""
    parts: list[Part] = []
    for side in (-1, 1):
        x = side * (width / 2 - 2)
        parts.append(rod((x, -depth / 2 + 2, 1.7), (x, depth / 2, 1.7), 1.7, color))
        parts.append(rod((x, -depth / 2 + 2, 0.4), (x, -depth / 2 + 2, top), 1.7, color))
        parts.append(rod((x, -depth / 2 + 2, top - 0.5), (x, depth / 2 - 2, top - 0.5), 1.7, color))
    parts.append(rod((-width / 2 + 1, depth / 2 - 1, 1.7), (width / 2 - 1, depth / 2 - 1, 1.7), 1.7, color))
    return parts


def _arms(
    rng: np.random.Generator,
    size: tuple[float, float],
    seat_z: float,
    arm_z: float,
    thick: float,
    tilt: float,
    color: Color,
    look: Palette,
) -> list[Part]:
    width, depth = size
    rear = depth / 2 - 0.8 * thick + (arm_z - seat_z) * math.tan(math.radians(tilt))
    front = -depth / 2 * rng.uniform(0.55, 0.95)
    x, rail = width / 2 - 0.3 * thick, pick(rng, (color, look.fabric, look.second_wood))
    parts: list[Part] = []
    for side in (-1, 1):
        size_rail = (1.5 * thick, rear - front + thick, thick)
        parts.append(box((side * x, (rear + front) / 2, arm_z), size_rail, rail, 0.3 * thick))
        parts.append(
            box(
                (side * x, front + thick, (arm_z + seat_z) / 2 - 2), (thick, thick, arm_z - seat_z + 4), color
            )
        )
    return parts


def stool(rng: np.random.Generator) -> list[Part]:
    """Bar stools, milking stools, pedestal stools and poufs."""
    look = draw_palette(rng)
    height = rng.uniform(42, 78)
    radius = rng.uniform(15, 21)
    kind = pick(rng, ("legs", "legs", "legs", "three", "three", "pedestal", "pouf"))
    if kind == "pouf":
        return _pouf(rng, look, radius * 1.3)
    round_seat = kind != "legs" or rng.random() < 0.5
    thick = rng.uniform(3.6, 6)
    top = height - thick
    parts = [_seat(round_seat, radius, top, thick, look.wood)]
    if rng.random() < 0.45:
        parts.append(_seat(round_seat, radius * 0.96, height - 1, rng.uniform(4, 7), look.fabric, soft=True))
    frame = pick(rng, (look.wood, look.second_wood, look.metal))
    if kind == "pedestal":
        foot = pick(rng, ("disc", "disc", "cone", "star"))
        ring = rod((0, 0, 0.32 * height), (0, 0, 0.32 * height + 3.2), radius * 0.66, frame)
        return [*parts, *pedestal(top + 1, 2.6, radius * 1.12, frame, foot), *([ring] if height > 60 else [])]
    count = 4 if kind == "legs" else 3
    return parts + _splayed_legs(rng, count, radius * (0.72 if round_seat else 0.9), top + 1, frame)


def _seat(
    round_seat: bool, radius: float, low: float, thick: float, color: Color, soft: bool = False
) -> Part:
    if round_seat:
        return rod((0, 0, low), (0, 0, low + thick), radius, color, radius * 0.93 if soft else None)
    return box(
        (0, 0, low + thick / 2), (1.85 * radius, 1.85 * radius, thick), color, 0.35 * thick if soft else 0
    )


def _splayed_legs(
    rng: np.random.Generator, count: int, spread: float, top: float, color: Color
) -> list[Part]:
    """Legs on a circle of radius ``spread``, with a ring of rungs between them."""
    style: LegStyle = pick(rng, ("round", "cone", "square", "tapered"))
    width = rng.uniform(3.2, 4.6)
    flare = 1 + rng.uniform(0.05, 0.45)
    start = math.pi / 4 if count == 4 else -math.pi / 2
    rung = top * rng.uniform(0.25, 0.45)
    shares = 1 + (flare - 1) * (1 - rung / top)
    parts: list[Part] = []
    joints: list[tuple[float, float, float]] = []
    for number in range(count):
        angle = start + 2 * math.pi * number / count
        x, y = spread * math.cos(angle), spread * math.sin(angle)
        parts += leg(x, y, top, (x * flare, y * flare), width, color, style)
        joints.append((x * shares, y * shares, rung))
    if rng.random() < 0.75:
        parts += [rod(joints[i], joints[(i + 1) % count], 0.42 * width, color) for i in range(count)]
    return parts


def _pouf(rng: np.random.Generator, look: Palette, radius: float) -> list[Part]:
    height, lift = rng.uniform(34, 46), rng.uniform(4, 12)
    body = height * rng.uniform(0.55, 0.75)
    soft = rng.random() < 0.5
    if soft:
        parts = [box((0, 0, lift + body / 2), (2 * radius, 1.8 * radius, body), look.fabric, 3)]
        size = (1.96 * radius, 1.76 * radius, height - body)
        parts.append(box((0, 0, lift + body + (height - body) / 2 - 1), size, look.second_fabric, 4))
    else:
        parts = [rod((0, 0, lift), (0, 0, lift + body), radius, look.fabric, radius * rng.uniform(0.9, 1.0))]
        top = lift + body
        parts.append(
            rod((0, 0, top - 1), (0, 0, top + height - body), radius, look.second_fabric, 0.9 * radius)
        )
    spread = (1.5 * radius, 1.4 * radius)
    return parts + four_legs(spread, lift + 0.5, rng.uniform(4, 6), look.wood, pick(rng, ("cone", "square")))
