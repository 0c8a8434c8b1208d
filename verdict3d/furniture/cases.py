"""Cabinets composed of blocks. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import numpy as np

from verdict3d.furniture.frames import LEG_STYLES, feet
from verdict3d.furniture.outlines import band, ellipse, shift_outline, turn_sideways
from verdict3d.furniture.palette import Palette, pick
from verdict3d.furniture.parts import Part, box, move, prism
from verdict3d.furniture.patterns import checked


def block(
    rng: np.random.Generator,
    low: tuple[float, float, float],
    size: tuple[float, float, float],
    thick: float,
    look: Palette,
) -> list[Part]:
    """Draw one block of a cabinet from its lower left front corner: closed, open, in drawers or bowed."""
    x, y, z = (a + b / 2 for a, b in zip(low, size, strict=True))
    wide, deep, high = size
    kind = pick(rng, ("doors", "doors", "drawers", "open", "open", "niche", "bow", "plain"))
    if min(wide, high) < 6 * thick and kind in ("open", "niche"):
        kind = "plain"
    front = low[1]
    if kind in ("open", "niche"):
        back = rng.uniform(0.3, 0.9) if kind == "niche" else 0.0
        parts = [
            box((x, y, zz), (wide, deep, thick), look.wood)
            for zz in (low[2] + thick / 2, low[2] + high - thick / 2)
        ]
        parts += [
            box((xx, y, z), (thick, deep, high), look.wood)
            for xx in (low[0] + thick / 2, low[0] + wide - thick / 2)
        ]
        if kind == "niche" or rng.random() < 0.6:
            fill = max(thick, back * deep)
            parts.append(box((x, front + deep - fill / 2, z), (wide - 1, fill, high - 1), look.second_wood))
        if rng.random() < 0.6:
            rows = pick(rng, (1, 2)) if high > 60 else 1
            parts += [
                box((x, y, low[2] + high * (i + 1) / (rows + 1)), (wide - 1, deep - 2, thick), look.wood)
                for i in range(rows)
            ]
        return parts
    if kind == "bow":
        outline = shift_outline(ellipse(wide, 2 * deep, 180, 359.8, 14), x, front + deep)
        return [prism(outline, low[2], low[2] + high, look.second_wood)]
    parts = [box((x, y, z), size, look.wood)]
    if kind == "drawers":
        rows = max(1, min(5, round(high / rng.uniform(16, 30))))
        step = high / rows
        for row in range(rows):
            zz = low[2] + (row + 0.5) * step
            parts.append(
                box((x, front, zz), (wide - 1.6 * thick, 1.4 * thick, step - 1.2 * thick), look.second_wood)
            )
            parts.append(box((x, front - 0.9 * thick, zz), (0.3 * wide, thick, thick), look.metal))
    elif kind == "doors":
        columns = 1 if wide < 50 else 2
        step = wide / columns
        for column in range(columns):
            xx = low[0] + (column + 0.5) * step
            if rng.random() < 0.2:
                swing = pick(rng, (-1, 1))
                hinge = xx + swing * (step / 2 - thick / 2)
                parts.append(
                    box((hinge, front - 0.45 * step, z), (thick, 0.95 * step, high - thick), look.second_wood)
                )
                continue
            if rng.random() < 0.2:
                parts += checked(
                    (xx, front - 0.3 * thick, z),
                    (step - 2 * thick, 1.4 * thick, high - 2 * thick),
                    (2, 4),
                    (look.second_wood, look.wood),
                )
            else:
                parts.append(
                    box(
                        (xx, front, z),
                        (step - 1.6 * thick, 1.4 * thick, high - 1.6 * thick),
                        look.second_wood,
                    )
                )
            parts.append(
                box(
                    (xx + 0.3 * step * (1 - 2 * (column % 2)), front - 0.9 * thick, z),
                    (thick, thick, 0.2 * high),
                    look.metal,
                )
            )
    return parts


def composed_cabinet(rng: np.random.Generator, look: Palette) -> list[Part]:
    """One to four blocks beside and above each other, of widths, heights and depths of their own."""
    count = pick(rng, (2, 3, 3, 4, 4, 5))
    widths = rng.uniform(26, 80, size=count)
    tallest, deepest = rng.uniform(50, 200), rng.uniform(30, 65)
    heights = tallest * np.where(rng.random(count) < 0.35, 1.0, rng.uniform(0.25, 1.0, size=count))
    depths = deepest * np.where(rng.random(count) < 0.5, 1.0, rng.uniform(0.45, 1.0, size=count))
    thick = 0.034 * max(float(widths.sum()), float(heights.max()))
    lift = pick(rng, (0.0, rng.uniform(6, 15), rng.uniform(15, 0.5 * tallest)))
    same = rng.random() < 0.5
    left = 0.0
    parts: list[Part] = []
    for number in range(count):
        wide, high, deep = float(widths[number]), float(heights[number]), float(depths[number])
        low = lift if same or number % 2 == 0 else 0.0
        parts += block(rng, (left, deepest / 2 - deep, low), (wide, deep, high), thick, look)
        if rng.random() < 0.35:
            above, share = rng.uniform(0.2, 0.9) * high, rng.uniform(0.35, 0.85)
            gap = pick(rng, (0.0, 0.0, rng.uniform(8, 24)))
            top = low + high
            parts += block(
                rng,
                (left, deepest / 2 - share * deep, top + gap - 0.5),
                (wide, share * deep, above),
                thick,
                look,
            )
            if gap:
                parts.append(
                    box(
                        (left + wide / 2, deepest / 2 - thick / 2, top + gap / 2),
                        (wide, thick, gap + 2),
                        look.wood,
                    )
                )
        if low:
            parts += move(
                cabinet_base(rng, (wide, deep), low, thick, look),
                (left + wide / 2, deepest / 2 - deep / 2, 0),
            )
        left += wide - 0.4
    if same and count > 1 and rng.random() < 0.3:
        z = lift + float(heights.min())
        parts.append(box((left / 2, 0, z), (left * rng.uniform(1.0, 1.25), deepest, thick), look.second_wood))
    return move(parts, (-left / 2, 0, 0))


def cabinet_base(
    rng: np.random.Generator, size: tuple[float, float], lift: float, thick: float, look: Palette
) -> list[Part]:
    """Draw what carries a body of (width, depth) whose underside is at ``lift``."""
    kind = pick(rng, ("feet", "feet", "plinth", "hoops", "slab"))
    wide, deep = size
    if kind == "plinth":
        return [
            box(
                (0, 0, lift / 2),
                (wide * rng.uniform(0.5, 0.95), deep * rng.uniform(0.5, 0.95), lift + 1),
                look.metal,
            )
        ]
    if kind == "hoops":
        hoop = band(
            [
                (-0.4 * deep, lift + 1),
                (-0.45 * deep, thick / 2),
                (0.45 * deep, thick / 2),
                (0.4 * deep, lift + 1),
            ],
            thick,
        )
        return [
            turn_sideways(hoop, s * 0.4 * wide - thick / 2, s * 0.4 * wide + thick / 2, look.metal)
            for s in (-1, 1)
        ]
    if kind == "slab":
        return [
            box((s * 0.4 * wide, 0, lift / 2), (1.4 * thick, 0.8 * deep, lift + 1), look.second_wood)
            for s in (-1, 1)
        ]
    return feet(size, lift, rng.uniform(1.2, 2) * thick, look.second_wood, pick(rng, LEG_STYLES))
