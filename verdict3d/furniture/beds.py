"""Beds. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import numpy as np

from verdict3d.furniture.frames import BackStyle, back_rest, four_legs, grid_cushions
from verdict3d.furniture.palette import Palette, draw_palette, pick, shade
from verdict3d.furniture.parts import Color, Part, box, move


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
    parts += move(board, (0, length / 2 + 0.3 * thick, 0 if style in ("slats", "ladder") else low * 0.4))
    if kind == "footboard":
        foot_style: BackStyle = pick(rng, ("panel", "slats", "ladder"))
        foot = back_rest(
            rng, (width + 2, low + rail + rng.uniform(14, 30)), thick, frame, look.wood, foot_style
        )
        parts += move(foot, (0, -length / 2 - 0.3 * thick, 0))
    if kind == "posts":
        parts += _four_posts(rng, width, length, thick, frame)
    return parts


def _bedding(rng: np.random.Generator, width: float, length: float, top: float, look: Palette) -> list[Part]:
    soft = rng.uniform(18, 26)
    sheet, cover = shade(look.shade, 1.05), look.fabric
    parts = [box((0, 0, top + soft / 2 - 2), (width - 5, length - 6, soft), sheet, 5)]
    share = rng.uniform(0.5, 0.74)
    span = (length - 3) * share
    parts.append(
        box((0, -length / 2 + span / 2 + 1, top + soft / 2 - 0.5), (width - 1, span, soft + 2), cover, 6)
    )
    count = 1 if width < 110 else 2
    return parts + grid_cushions(
        (0.86 * width, 38, 15), count, (0, length / 2 - 27, top + soft + 3), shade(look.second_fabric, 1.15)
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
