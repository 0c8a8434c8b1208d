"""Desks of free arrangement. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import numpy as np

from verdict3d.furniture.frames import LEG_STYLES, leg
from verdict3d.furniture.outlines import (
    band,
    board_outline,
    polygon,
    smooth,
    turn_sideways,
    turn_upright,
)
from verdict3d.furniture.palette import Palette, pick
from verdict3d.furniture.parts import Part, bar, box, prism
from verdict3d.furniture.patterns import checked


def form_desk(rng: np.random.Generator, look: Palette) -> list[Part]:
    """Desks with blocks, towers, screens, slopes and wings in any order from left to right."""
    width, depth, high = rng.uniform(90, 190), rng.uniform(45, 85), rng.uniform(60, 105)
    thick = rng.uniform(0.036, 0.06) * max(width, high)
    top = high - thick
    kind = pick(rng, ("straight", "straight", "corner", "corner", "u", "sloped", "column", "bent"))
    wings = {"corner": (pick(rng, (-1, 1)),), "u": (-1, 1)}.get(kind, ())
    front = -depth / 2
    parts: list[Part] = []
    if kind == "sloped":
        rise = rng.uniform(8, 45)
        body = polygon(
            [
                (front, top - rng.uniform(0, 0.4) * top),
                (-front, top - rng.uniform(0, 0.4) * top),
                (-front, high + rise),
                (front, high),
            ]
        )
        parts.append(turn_sideways(body, -width / 2, width / 2, look.wood))
    elif kind == "bent":
        path = [
            (-width / 2, 0),
            (-width / 2 * rng.uniform(0.6, 1), top),
            (width / 2, top),
            (width / 2 * rng.uniform(0.6, 1), 0),
        ]
        path = smooth(path) if rng.random() < 0.6 else path
        return [
            turn_upright(band(path, 1.2 * thick), front, -front, look.wood),
            *_on_top(rng, (0.9 * width, depth), high - 0.6 * thick, thick, look),
            *([_tower(rng, (0.3 * width, 0.8 * depth), top, look)] if rng.random() < 0.4 else []),
        ]
    else:
        outline = board_outline(rng, width, depth)
        flat = kind != "straight" or rng.random() < 0.5
        parts.append(
            box((0, 0, top + thick / 2), (width, depth, thick), look.wood)
            if flat
            else prism(outline, top, high, look.wood)
        )
        if not flat:
            width, depth = 0.64 * width, 0.62 * depth
    for side in wings:
        wide, reach = rng.uniform(0.25, 0.42) * width, rng.uniform(0.35, 1.1) * depth
        x, low = side * (width - wide) / 2, pick(rng, (0.0, 0.0, rng.uniform(-0.2, 0.2) * high))
        z = top + low
        parts.append(
            box((x, front - reach / 2 + 1, z + thick / 2), (wide, reach + 2, thick), look.second_wood)
        )
        if low:
            parts.append(
                box((x, front + 1, (top + z) / 2 + thick / 2), (wide, thick, abs(low) + thick), look.wood)
            )
        if rng.random() < 0.5:
            share = rng.uniform(0.3, 0.98)
            parts.append(
                box(
                    (x, front - reach * (1 - share / 2) + 1, z / 2),
                    (0.92 * wide, share * reach, z + 1),
                    look.wood,
                )
            )
        else:
            parts += [
                box(
                    (x + s * (wide / 2 - thick), front - reach + thick, z / 2),
                    (1.3 * thick, 1.3 * thick, z + 1),
                    look.metal,
                )
                for s in (-1, 1)
            ]
    if kind == "column":
        spots = pick(rng, ((0.0,), (-0.3, 0.3)))
        for share in spots:
            parts.append(
                box((share * width, 0, top / 2), (rng.uniform(1.6, 4) * thick, 2 * thick, top), look.metal)
            )
            parts.append(
                box(
                    (share * width, 0, thick / 2),
                    (rng.uniform(1.6, 5) * thick, 0.9 * depth, thick),
                    look.metal,
                )
            )
        if len(spots) == 1:
            parts.append(box((0, 0, thick / 2), (0.6 * width, 1.6 * thick, thick), look.metal))
    else:
        for side in (-1, 1):
            parts += _side(rng, side, (width, depth), top, thick, look)
    if rng.random() < 0.5:
        drop = rng.uniform(0.2, 0.9) * top
        parts.append(
            box(
                (0, depth / 2 - 1.2 * thick, top - drop / 2 + 0.5),
                (0.94 * width, thick, drop),
                look.second_wood,
            )
        )
    return parts if kind == "sloped" else parts + _on_top(rng, (width, depth), high, thick, look)


def _tower(rng: np.random.Generator, size: tuple[float, float], top: float, look: Palette) -> Part:
    x = rng.uniform(-0.8, 0.8) * size[0]
    return box((x, 0, top / 2), (size[0], size[1], top + 1), look.second_wood)


def _side(
    rng: np.random.Generator, side: int, size: tuple[float, float], top: float, thick: float, look: Palette
) -> list[Part]:
    """Carry one side of a desk: drawers, a panel, two legs, a hoop, or a tower that goes on above."""
    width, depth = size
    kind = pick(rng, ("drawers", "panel", "legs", "legs", "tower", "open"))
    wide = rng.uniform(0.16, 0.36) * width
    x, deep = side * (width - wide) / 2, rng.uniform(0.75, 0.96) * depth
    if kind == "drawers":
        low = pick(rng, (0.0, 0.0, rng.uniform(0.2, 0.6) * top))
        count = pick(rng, (2, 3))
        parts = [box((x, 0, (low + top) / 2), (wide, deep, top - low + 1), look.wood)]
        step = (top - low) / count
        parts += [
            box((x, -deep / 2, low + (i + 0.5) * step), (0.86 * wide, thick, 0.8 * step), look.second_wood)
            for i in range(count)
        ]
        return parts + ([bar((x, 0, 0), (x, 0, low + 1), 2 * thick, look.metal)] if low else [])
    if kind == "panel":
        return [box((side * (width / 2 - thick), 0, top / 2), (1.3 * thick, deep, top + 1), look.wood)]
    if kind == "tower":
        high = top * rng.uniform(1.2, 2.0)
        return [box((x, 0.02 * depth, high / 2), (wide, deep, high), look.second_wood)]
    lean = rng.uniform(-0.15, 0.04) * width if kind == "open" else 0.0
    heads = [(side * (width / 2 - 1.2 * thick), s * (depth / 2 - 1.2 * thick)) for s in (-1, 1)]
    style = pick(rng, LEG_STYLES)
    return [
        part
        for x, y in heads
        for part in leg(x, y, top + 0.5, (x + side * lean, y), 1.5 * thick, look.metal, style)
    ]


def _on_top(
    rng: np.random.Generator, size: tuple[float, float], high: float, thick: float, look: Palette
) -> list[Part]:
    """Put a shelf, a screen, a cupboard, a monitor or nothing on a desk's rear."""
    width, depth = size
    kind = pick(rng, ("nothing", "nothing", "screen", "cupboard", "monitor", "bridge"))
    wide, tall = rng.uniform(0.25, 1.0) * width, rng.uniform(0.15, 0.75) * high
    x = pick(rng, (-1, 0, 1)) * (width - wide) / 2
    rear = depth / 2
    if kind == "screen":
        if rng.random() < 0.5:
            return checked(
                (x, rear - thick / 2, high + tall / 2 - 0.5),
                (wide, thick, tall + 1),
                (4, 2),
                (look.fabric, look.second_fabric),
            )
        return [box((x, rear - thick / 2, high + tall / 2 - 0.5), (wide, thick, tall + 1), look.fabric)]
    if kind == "cupboard":
        deep = rng.uniform(0.25, 0.5) * depth
        return [box((x, rear - deep / 2, high + tall / 2 - 0.5), (wide, deep, tall + 1), look.second_wood)]
    if kind == "monitor":
        return [
            box((x, 0.5 * rear, high + 0.2 * width), (0.4 * width, thick, 0.24 * width), look.metal),
            box((x, 0.5 * rear, high + 0.05 * width), (thick, thick, 0.12 * width), look.metal),
        ]
    if kind == "bridge":
        deep = rng.uniform(0.3, 0.55) * depth
        parts = [box((x, rear - deep / 2, high + tall), (wide, deep, thick), look.second_wood)]
        return parts + [
            box(
                (x + s * (wide - thick) / 2, rear - deep / 2, high + tall / 2),
                (thick, deep, tall + 1),
                look.wood,
            )
            for s in (-1, 1)
        ]
    return []
