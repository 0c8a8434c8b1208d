"""Tables. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import math

import numpy as np

from verdict3d.furniture.frames import LEG_STYLES, LegStyle, four_legs, leg, pedestal, stretchers
from verdict3d.furniture.palette import draw_palette, pick
from verdict3d.furniture.parts import Color, Part, bar, box, rod


def table(rng: np.random.Generator) -> list[Part]:
    """Dining, coffee, side and café tables with legs, pedestals, trestles or panels."""
    look = draw_palette(rng)
    kind = pick(rng, ("dining", "dining", "coffee", "side", "round", "round"))
    width, depth, height = {
        "dining": (rng.uniform(120, 180), rng.uniform(75, 95), rng.uniform(71, 77)),
        "coffee": (rng.uniform(85, 125), rng.uniform(50, 70), rng.uniform(36, 48)),
        "side": (rng.uniform(42, 60), rng.uniform(42, 60), rng.uniform(48, 68)),
        "round": (rng.uniform(60, 130),) * 2 + (rng.uniform(45, 76),),
    }[kind]
    thick = max(0.036 * max(width, height), rng.uniform(3, 5))
    top = height - thick
    frame = pick(rng, (look.wood, look.second_wood, look.metal))
    if kind == "round":
        return [
            rod((0, 0, top), (0, 0, height), width / 2, look.wood),
            *_round_base(rng, width / 2, top + 0.5, thick, frame),
        ]
    rounding = pick(rng, (0.0, 0.0, 0.4)) * thick
    parts = [box((0, 0, height - thick / 2), (width, depth, thick), look.wood, rounding)]
    base = pick(rng, ("legs", "legs", "legs", "trestle", "panels", "cross"))
    if base == "trestle":
        parts += _trestle((width, depth), top + 0.5, 1.6 * thick, frame)
    elif base == "panels":
        inset = pick(rng, (0.5, 0.12 * width))
        parts += [
            box(
                (side * (width / 2 - inset - thick * 0.6), 0, top / 2 + 0.3),
                (1.2 * thick, 0.94 * depth, top),
                frame,
            )
            for side in (-1, 1)
        ]
    elif base == "cross":
        parts += _crossed_legs((width, depth), top + 0.5, 1.2 * thick, frame)
    else:
        low_board = look.second_wood if kind in ("coffee", "side") and rng.random() < 0.5 else None
        parts += _table_legs(rng, (width, depth), top, thick, frame, low_board)
    return parts


def _table_legs(
    rng: np.random.Generator,
    size: tuple[float, float],
    top: float,
    thick: float,
    color: Color,
    low_board: Color | None,
) -> list[Part]:
    style = pick(rng, LEG_STYLES)
    width = thick * rng.uniform(1.1, 1.7)
    inset = rng.uniform(0, 0.06) * size[0]
    spread = (size[0] - inset, size[1] - inset)
    splay = rng.uniform(0, 6) if style in ("cone", "round", "tapered") else 0.0
    parts = four_legs(spread, top + 0.5, width, color, style, splay)
    if low_board is not None:
        share = rng.uniform(0.22, 0.4)
        reach = 2 * splay * (1 - share) - 1.1 * width
        parts.append(box((0, 0, top * share), (spread[0] + reach, spread[1] + reach, thick), low_board))
    if splay < 3 and rng.random() < 0.6:
        x, y, high = spread[0] / 2 - 0.55 * width, spread[1] / 2 - 0.55 * width, rng.uniform(6, 10)
        for side in (-1, 1):
            parts.append(box((0, side * y, top - high / 2 + 0.3), (2 * x, 0.8 * thick, high), color))
            parts.append(box((side * x, 0, top - high / 2 + 0.3), (0.8 * thick, 2 * y, high), color))
    elif style == "square" and rng.random() < 0.4:
        parts += stretchers(spread, rng.uniform(0.15, 0.3) * top, width, color, pick(rng, ("h", "box")))
    return parts


def _round_base(
    rng: np.random.Generator, radius: float, top: float, thick: float, color: Color
) -> list[Part]:
    kind = pick(rng, ("disc", "cone", "star", "legs", "legs"))
    if kind != "legs":
        return pedestal(top, 1.1 * thick, radius * rng.uniform(0.5, 0.75), color, kind)
    count = pick(rng, (3, 4))
    style: LegStyle = pick(rng, ("round", "cone", "square", "tapered"))
    spread, flare = radius * rng.uniform(0.55, 0.75), rng.uniform(1.0, 1.3)
    parts: list[Part] = []
    for number in range(count):
        angle = 2 * math.pi * number / count + (math.pi / 4 if count == 4 else -math.pi / 2)
        x, y = spread * math.cos(angle), spread * math.sin(angle)
        parts += leg(x, y, top, (x * flare, y * flare), 1.4 * thick, color, style)
    if rng.random() < 0.35:
        parts.append(rod((0, 0, 0.28 * top), (0, 0, 0.28 * top + thick), spread * 1.12, color))
    return parts


def _trestle(size: tuple[float, float], top: float, thick: float, color: Color) -> list[Part]:
    width, depth = size
    parts: list[Part] = []
    for side in (-1, 1):
        x = side * width * 0.36
        parts.append(box((x, 0, top / 2), (thick, 1.6 * thick, top), color))
        parts.append(box((x, 0, thick * 0.45), (thick, 0.85 * depth, 0.9 * thick), color))
        parts.append(box((x, 0, top - thick * 0.4), (thick, 0.75 * depth, 0.8 * thick), color))
    return [*parts, box((0, 0, 0.35 * top), (0.72 * width, 0.7 * thick, 1.2 * thick), color)]


def _crossed_legs(size: tuple[float, float], top: float, thick: float, color: Color) -> list[Part]:
    """An X of two bars at each end, joined by a beam."""
    width, y = size[0], size[1] * 0.38
    parts: list[Part] = []
    for side in (-1, 1):
        x = side * width * 0.36
        for offset, slope in ((-0.3, 1), (0.3, -1)):
            place = x + offset * thick
            parts.append(bar((place, -slope * y, 0), (place, slope * y, top), thick, color))
    return [*parts, box((0, 0, top / 2), (0.72 * width, 0.8 * thick, 0.8 * thick), color)]
