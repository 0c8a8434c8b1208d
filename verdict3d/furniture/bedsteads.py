"""Beds of free forms. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import numpy as np

from verdict3d.furniture.frames import LEG_STYLES, four_legs
from verdict3d.furniture.outlines import (
    arc,
    band,
    ellipse,
    polygon,
    round_corners,
    shift_outline,
    smooth,
    turn_sideways,
    turn_upright,
)
from verdict3d.furniture.palette import Palette, pick
from verdict3d.furniture.parts import Part, bar, box, move, prism
from verdict3d.furniture.patterns import striped


def headboard(rng: np.random.Generator, width: float, low: float, high: float, look: Palette) -> list[Part]:
    """Draw an upright board of one of many outlines; its front is at y = 0 and its foot at ``low``."""
    x, rise = width / 2, high - low
    thick = rng.uniform(7, 14)
    color = pick(rng, (look.wood, look.second_fabric, look.second_wood))
    kind = pick(rng, ("arch", "slant", "steps", "columns", "stripes", "round", "wide"))
    if kind == "arch":
        top = shift_outline(ellipse(width, rng.uniform(0.4, 1.2) * rise, 0, 180, 12), 0, low + 0.5 * rise)
        return [turn_upright(np.concatenate([[[-x, low]], [[x, low]], top]), 0, thick, color)]
    if kind == "slant":
        ends = rng.uniform(0.35, 1.0, size=2)
        return [
            turn_upright(
                polygon([(-x, low), (x, low), (x, low + ends[0] * rise), (-x, low + ends[1] * rise)]),
                0,
                thick,
                color,
            )
        ]
    if kind == "round":
        return [
            turn_upright(
                shift_outline(round_corners(width, rise, rng.uniform(2, 4)), 0, low + rise / 2),
                0,
                thick,
                color,
            )
        ]
    if kind == "stripes":
        return striped(
            (0, thick / 2, low + rise / 2), (width, thick, rise), 0, pick(rng, (4, 6)), (color, look.fabric)
        )
    if kind == "wide":
        wide = width * rng.uniform(1.15, 1.8)
        parts = [box((0, thick / 2, low + rise / 2), (wide, thick, rise), color)]
        return parts + [
            box((s * (wide / 2 - 0.15 * width), -12, low + 0.3 * rise), (0.26 * width, 30, 22), look.wood)
            for s in (-1, 1)
        ]
    count = pick(rng, (2, 3, 5))
    step = width / count
    return [
        box(
            (-x + (i + 0.5) * step, thick / 2, low + h * rise / 2),
            (step + 0.2, thick, h * rise),
            (color, look.fabric)[i % 2],
        )
        for i, h in enumerate(rng.uniform(0.4, 1.0, size=count))
    ]


def form_bed(rng: np.random.Generator, look: Palette) -> list[Part]:
    """Platforms, round beds, lofts, canopies, cots, day beds and beds with side tables or chests."""
    width, length = rng.uniform(80, 200), rng.uniform(150, 215)
    kind = pick(rng, ("platform", "platform", "platform", "round", "loft", "house", "cot", "day", "sleigh"))
    low, soft = rng.uniform(8, 45), rng.uniform(12, 34)
    y, thick = length / 2, rng.uniform(7, 11)
    wood = pick(rng, (look.wood, look.second_wood))
    if kind == "round":
        outline = round_corners(width + 30, length, rng.uniform(2, 3))
        wall = arc(width + 30, length, 11, 90 - rng.uniform(40, 85), 90 + rng.uniform(40, 85), 14)
        return [
            prism(outline * rng.uniform(0.75, 1.0), 0, low, wood),
            prism(0.92 * outline, low - 1, low + soft, look.fabric),
            prism(wall, low - 1, low + soft + rng.uniform(10, 75), look.second_fabric),
        ]
    if kind in ("loft", "house", "cot"):
        return _framed_bed(rng, kind, (width, length), look)
    parts = []
    shelf = rng.uniform(0.9, 1.35)
    if kind == "sleigh":
        ends = [
            smooth(
                [
                    (s * (y - 4), 2),
                    (s * y, low + soft),
                    (s * (y + rng.uniform(4, 22)), low + soft + rng.uniform(8, 60)),
                ]
            )
            for s in (-1, 1)
        ]
        parts += [turn_sideways(band(path, 9), -width / 2, width / 2, wood) for path in ends]
        parts.append(box((0, 0, low), (width, length - 6, 14), wood))
    else:
        base = (shelf * width, length, low)
        if rng.random() < 0.5:
            parts += striped((0, 0, low / 2), base, 1, pick(rng, (1, 2, 3)), (wood, look.second_wood))
        else:
            parts += [
                box((0, 0, low - 5), (base[0], length, 11), wood),
                *four_legs((0.9 * base[0], 0.94 * length), low - 4, thick, wood, pick(rng, LEG_STYLES)),
            ]
    share = rng.uniform(0.35, 1.0)
    parts.append(box((0, 0, low + soft / 2 - 0.5), (0.97 * width, 0.97 * length, soft), look.shade, 4))
    if rng.random() < 0.4:
        parts += striped(
            (0, -y + share * y, low + soft / 2 + 1),
            (width, share * length * 0.97, soft),
            1,
            pick(rng, (2, 3, 4)),
            (look.fabric, look.second_fabric),
        )
    else:
        parts.append(
            box((0, -y + share * y, low + soft / 2 + 1), (width, share * length * 0.97, soft), look.fabric, 5)
        )
    count = pick(rng, (1, 2, 2, 3))
    for i in range(count):
        x = ((i + 0.5) / count - 0.5) * 0.9 * width
        parts.append(
            box(
                (x, y - 24, low + soft + 6),
                (0.8 * width / count, rng.uniform(28, 45), 16),
                look.second_fabric,
                5,
            )
        )
    if kind == "platform" and rng.random() < 0.85:
        parts += move(
            headboard(rng, width, rng.uniform(0, 0.8) * low, low + soft + rng.uniform(12, 110), look),
            (0, y - 0.03 * length, 0),
        )
    if kind == "day":
        tall = low + soft + rng.uniform(15, 50)
        side = pick(rng, (-1, 1))
        parts.append(box((side * (width / 2 + 3), 0, tall / 2), (thick + 2, length, tall), wood))
        parts += [
            box((0, s * y, tall / 2), (width + 6, thick + 1, tall), wood) for s in pick(rng, ((-1, 1), (1,)))
        ]
    if rng.random() < 0.25:
        tall = rng.uniform(0.5, 1.3) * (low + soft)
        parts.append(
            box((0, -y - 18, tall / 2), (width * rng.uniform(0.6, 1.0), 38, tall), look.second_fabric, 3)
        )
    for side in pick(rng, ((), (), (-1,), (1,), (-1, 1))):
        tall, wide = rng.uniform(0.6, 1.6) * (low + soft), rng.uniform(26, 55)
        parts.append(
            box(
                (side * (max(shelf, 1.0) * width / 2 + wide / 2 - 1), y - 24, tall / 2),
                (wide, 44, tall),
                wood,
            )
        )
    return parts


def _framed_bed(rng: np.random.Generator, kind: str, size: tuple[float, float], look: Palette) -> list[Part]:
    """Beds in a frame of posts: high ones with a desk below, houses with a roof, cots with rails."""
    width, length = min(size[0], 130), size[1]
    x, y, thick = width / 2, length / 2, rng.uniform(7, 10)
    bed = rng.uniform(95, 150) if kind == "loft" else rng.uniform(15, 55)
    high = bed + (rng.uniform(25, 50) if kind != "house" else rng.uniform(60, 130))
    parts: list[Part] = [
        box((sx * x, sy * y, high / 2), (thick, thick, high), look.wood) for sx in (-1, 1) for sy in (-1, 1)
    ]
    parts += [
        box((0, 0, bed), (width, length, 12), look.wood),
        box((0, 0, bed + 12), (width - 8, length - 8, 17), look.fabric, 4),
    ]
    parts.append(box((0, y - 26, bed + 22), (0.7 * width, 34, 13), look.second_fabric, 4))
    rails = pick(rng, ((-1, 1), (1,), (-1,)))
    parts += [box((s * x, 0, high - thick / 2), (thick, length, thick), look.wood) for s in rails]
    parts += [box((0, s * y, high - thick / 2), (width, thick, thick), look.wood) for s in (-1, 1)]
    if kind == "cot":
        count = pick(rng, (4, 6, 8))
        for s in rails:
            parts += [
                box((s * x, t * y, (bed + high) / 2), (0.8 * thick, thick, high - bed), look.second_wood)
                for t in np.linspace(-0.8, 0.8, count)
            ]
        parts += [
            box((0, s * y, (bed + high) / 2), (width, 0.8 * thick, high - bed), look.second_wood)
            for s in (-1, 1)
            if rng.random() < 0.6
        ]
    if kind == "house":
        peak = high + rng.uniform(20, 70)
        for s in (-1, 1):
            parts += [bar((t * x, s * y, high - 2), (0, s * y, peak), thick, look.wood) for t in (-1, 1)]
        parts.append(box((0, 0, peak), (thick, length + thick, thick), look.wood))
    if kind == "loft":
        below = pick(rng, ("desk", "sofa", "chest", "nothing"))
        side = pick(rng, (-1, 1))
        if below == "desk":
            parts.append(box((side * 0.2 * width, 0, 66), (0.6 * width, length - thick, 6), look.second_wood))
        elif below == "sofa":
            parts.append(box((0, 0.1 * length, 18), (width, 0.8 * length, 36), look.second_fabric, 4))
            parts.append(
                box(
                    (side * 0.36 * width, 0.1 * length, 40),
                    (0.2 * width, 0.8 * length, 60),
                    look.second_fabric,
                    4,
                )
            )
        elif below == "chest":
            parts.append(
                box((0, side * 0.25 * length, bed / 2), (0.9 * width, 0.4 * length, bed), look.second_wood)
            )
        ladder = rng.uniform(0.3, 0.5) * length
        foot = x + rng.uniform(5, 45)
        parts += [
            bar((foot, -y + ladder + d, 0), (x, -y + ladder + d, bed + 14), thick, look.second_wood)
            for d in (-17, 17)
        ]
        for share in np.linspace(0.15, 0.85, 4):
            parts.append(
                box(
                    (foot + (x - foot) * share, -y + ladder, share * (bed + 14)),
                    (0.9 * thick, 36, 0.9 * thick),
                    look.second_wood,
                )
            )
    return parts
