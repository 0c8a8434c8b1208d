"""Tables, desks and beds. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import math

import numpy as np

from verdict3d.assets.frames import (
    LEG_STYLES,
    BackStyle,
    LegStyle,
    back_rest,
    four_legs,
    grid_cushions,
    leg,
    pedestal,
    stretchers,
)
from verdict3d.assets.palette import Palette, draw_palette, pick, shaded
from verdict3d.assets.parts import Color, Part, bar, box, moved, rod


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
        parts += moved(four_legs((wide, deep), lift + 1, 1.1 * thick, look.wood, "square"), (x, 0.5, 0))
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


def bed(rng: np.random.Generator) -> list[Part]:
    """Single, double, four-poster and bunk beds; the head is at +y, the foot faces the front."""
    look = draw_palette(rng)
    width, length = pick(rng, (rng.uniform(85, 105), rng.uniform(130, 175))), rng.uniform(195, 210)
    thick = rng.uniform(6.6, 9)
    if width < 105 and rng.random() < 0.22:
        return _bunk(rng, width, length, thick, look)
    low, rail = rng.uniform(12, 24), rng.uniform(14, 22)
    frame = look.wood
    parts = [box((0, 0, low + rail / 2), (width, length, rail), frame, pick(rng, (0.0, 2.0)))]
    parts += _bedding(rng, width, length, low + rail, look)
    parts += four_legs(
        (width, length), low + 1, 1.15 * thick, frame, pick(rng, ("square", "tapered", "cone"))
    )
    kind = pick(rng, ("headboard", "headboard", "headboard", "footboard", "posts"))
    style: BackStyle = pick(rng, ("panel", "slats", "ladder", "spindles", "upholstered", "upholstered"))
    board = back_rest(rng, (width + 2, rng.uniform(80, 125)), thick, frame, look.second_fabric, style)
    parts += moved(board, (0, length / 2 + 0.3 * thick, 0 if style in ("slats", "ladder") else low * 0.4))
    if kind == "footboard":
        foot_style: BackStyle = pick(rng, ("panel", "slats", "ladder"))
        foot = back_rest(
            rng, (width + 2, low + rail + rng.uniform(14, 30)), thick, frame, look.wood, foot_style
        )
        parts += moved(foot, (0, -length / 2 - 0.3 * thick, 0))
    if kind == "posts":
        parts += _four_posts(rng, width, length, thick, frame)
    return parts


def _bedding(rng: np.random.Generator, width: float, length: float, top: float, look: Palette) -> list[Part]:
    soft = rng.uniform(18, 26)
    sheet, cover = shaded(look.shade, 1.05), look.fabric
    parts = [box((0, 0, top + soft / 2 - 2), (width - 5, length - 6, soft), sheet, 5)]
    share = rng.uniform(0.5, 0.74)
    span = (length - 3) * share
    parts.append(
        box((0, -length / 2 + span / 2 + 1, top + soft / 2 - 0.5), (width - 1, span, soft + 2), cover, 6)
    )
    count = 1 if width < 110 else 2
    return parts + grid_cushions(
        (0.86 * width, 38, 15), count, (0, length / 2 - 27, top + soft + 3), shaded(look.second_fabric, 1.15)
    )


def _four_posts(
    rng: np.random.Generator, width: float, length: float, thick: float, color: Color
) -> list[Part]:
    high, x, y = rng.uniform(150, 195), width / 2, length / 2
    parts: list[Part] = [
        box((sx * x, sy * y, high / 2), (thick, thick, high), color) for sx in (-1, 1) for sy in (-1, 1)
    ]
    for side in (-1, 1):
        parts.append(box((0, side * y, high - thick / 2), (2 * x, 0.9 * thick, 0.9 * thick), color))
        parts.append(box((side * x, 0, high - thick / 2), (0.9 * thick, 2 * y, 0.9 * thick), color))
    return parts


def _bunk(rng: np.random.Generator, width: float, length: float, thick: float, look: Palette) -> list[Part]:
    upper, high = rng.uniform(105, 125), rng.uniform(150, 170)
    x, y = width / 2, length / 2
    parts: list[Part] = [
        box((sx * x, sy * y, high / 2), (thick, thick, high), look.wood) for sx in (-1, 1) for sy in (-1, 1)
    ]
    for level in (rng.uniform(24, 34), upper):
        parts.append(box((0, 0, level), (width, length, 11), look.wood))
        parts.append(box((0, 0, level + 12), (width - 6, length - 6, 16), look.fabric, 5))
        parts.append(box((0, y - 28, level + 21), (0.7 * width, 34, 12), look.second_fabric, 5))
    parts += [box((0, side * y, high - 6), (width, 0.9 * thick, 9), look.wood) for side in (-1, 1)]
    parts.append(box((-x, 0, high - 6), (0.9 * thick, length, 9), look.wood))
    ladder = y - rng.uniform(30, 50) if rng.random() < 0.5 else -y + rng.uniform(30, 50)
    rail = (thick, thick, upper + 16)
    parts += [box((x + 3, ladder + dy, upper / 2 + 8), rail, look.second_wood) for dy in (-18, 18)]
    steps = np.linspace(0.16, 0.84, 4) * upper
    return parts + [box((x + 3, ladder, z), (0.9 * thick, 36, 0.9 * thick), look.second_wood) for z in steps]
