"""Desks. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import numpy as np

from verdict3d.furniture.frames import LEG_STYLES, four_legs, leg
from verdict3d.furniture.palette import Palette, draw_palette, pick
from verdict3d.furniture.parts import Color, Part, box, move


def desk(rng: np.random.Generator) -> list[Part]:
    """Writing desks with drawer blocks, L-shaped desks, desks with a hutch or a riser."""
    look = draw_palette(rng)
    width, depth, height = rng.uniform(110, 155), rng.uniform(56, 72), rng.uniform(72, 77)
    thick = max(0.035 * width, 4.0)
    top = height - thick
    parts = [box((0, 0, height - thick / 2), (width, depth, thick), look.wood)]
    block = rng.uniform(32, 42)
    sides = pick(rng, ((-1,), (1,), (-1, 1), (1,)))
    for side in sides:
        x = side * (width / 2 - block / 2 - 0.5)
        parts += _drawer_block(rng, (block, depth - 3, top), x, thick, look)
    frame = pick(rng, (look.wood, look.metal, look.second_wood))
    if len(sides) == 1:
        parts += _open_side(rng, -sides[0], (width, depth), top + 0.5, thick, frame)
    if rng.random() < 0.6:
        drop = top * rng.uniform(0.35, 0.7)
        parts.append(
            box(
                (0, depth / 2 - 1.4 * thick, top - drop / 2 + 0.5),
                (width - 4, 0.9 * thick, drop),
                look.second_wood,
            )
        )
    extra = pick(rng, ("none", "return", "hutch", "riser"))
    if extra == "return" and len(sides) == 1:
        parts += _return_wing(rng, -sides[0], (width, depth), height, thick, look.wood, frame)
    elif extra == "hutch":
        parts += _hutch(rng, (width, depth), height, thick, look)
    elif extra == "riser":
        wide = width * rng.uniform(0.5, 0.98)
        parts.append(box((0, depth / 2 - 12, height + 13), (wide, 22, thick), look.second_wood))
        parts += [
            box((side * (wide / 2 - thick), depth / 2 - 12, height + 6), (thick, 20, 14), look.second_wood)
            for side in (-1, 1)
        ]
    return parts


def _drawer_block(
    rng: np.random.Generator, size: tuple[float, float, float], x: float, thick: float, look: Palette
) -> list[Part]:
    wide, deep, high = size
    lift = pick(rng, (0.0, 0.0, 0.35 * high))
    body = high - lift
    parts = [box((x, 0.5, lift + body / 2 + 0.3), (wide, deep, body), look.wood)]
    count = 3 if lift == 0 else pick(rng, (1, 2))
    pitch, front = body / count, -deep / 2 + 0.5
    for number in range(count):
        z = lift + (number + 0.5) * pitch
        parts.append(box((x, front - 0.8, z), (wide - 3.5, thick, pitch - 4.5), look.second_wood))
        parts.append(box((x, front - 3.2, z), (0.38 * wide, thick, thick), look.metal))
    if lift:
        parts += move(four_legs((wide, deep), lift + 1, 1.1 * thick, look.wood, "square"), (x, 0.5, 0))
    return parts


def _open_side(
    rng: np.random.Generator, side: int, size: tuple[float, float], top: float, thick: float, color: Color
) -> list[Part]:
    width, depth = size
    if rng.random() < 0.4:
        return [box((side * (width / 2 - thick * 0.6), 0, top / 2), (thick * 1.1, depth - 3, top), color)]
    style, wide = pick(rng, LEG_STYLES), 1.25 * thick
    x = side * (width / 2 - 0.7 * wide)
    parts: list[Part] = []
    for sy in (-1, 1):
        y = sy * (depth / 2 - 0.7 * wide)
        parts += leg(x, y, top, (x, y), wide, color, style)
    return parts


def _return_wing(
    rng: np.random.Generator,
    side: int,
    size: tuple[float, float],
    height: float,
    thick: float,
    wood: Color,
    frame: Color,
) -> list[Part]:
    """The short arm of an L, towards the front."""
    reach, wide = rng.uniform(45, 75), rng.uniform(45, 55)
    x, y = side * (size[0] / 2 - wide / 2), -size[1] / 2 - reach / 2
    parts = [box((x, y + 1, height - thick / 2), (wide, reach + 2, thick), wood)]
    front = -size[1] / 2 - reach + thick
    for dx in (-1, 1):
        place = x + dx * (wide / 2 - thick)
        parts += leg(place, front, height - thick + 0.5, (place, front), 1.25 * thick, frame, "square")
    return parts


def _hutch(
    rng: np.random.Generator, size: tuple[float, float], height: float, thick: float, look: Palette
) -> list[Part]:
    wide, deep, high = size[0] * 0.98, rng.uniform(20, 26), rng.uniform(34, 55)
    y = size[1] / 2 - deep / 2 - 0.5
    count = pick(rng, (2, 3, 4))
    parts = [box((0, y, height + high - thick / 2), (wide, deep, thick), look.wood)]
    for number in range(count):
        x = (number / (count - 1) - 0.5) * (wide - thick)
        parts.append(box((x, y, height + high / 2 - 0.5), (thick, deep - 1, high), look.wood))
    if rng.random() < 0.6:
        parts.append(
            box(
                (0, size[1] / 2 - thick / 2, height + high / 2 - 1),
                (wide - 2, thick, high - 1),
                look.second_wood,
            )
        )
    if rng.random() < 0.5:
        parts.append(box((0, y, height + high * 0.52), (wide - 2, deep - 1.5, thick), look.wood))
    return parts
