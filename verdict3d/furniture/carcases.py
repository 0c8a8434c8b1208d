"""Cabinets of shaped bodies. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import numpy as np

from verdict3d.furniture.cases import block, cabinet_base
from verdict3d.furniture.outlines import (
    ellipse,
    polygon,
    round_corners,
    shift_outline,
    turn_sideways,
    turn_upright,
)
from verdict3d.furniture.palette import Palette, pick
from verdict3d.furniture.parts import Part, box, prism
from verdict3d.furniture.patterns import striped


def shaped_cabinet(rng: np.random.Generator, look: Palette) -> list[Part]:
    """Round, oval, tapered, stepped, arched and leaning bodies, dressers with a mirror."""
    width, depth, high = rng.uniform(40, 150), rng.uniform(32, 70), rng.uniform(45, 190)
    thick = 0.036 * max(width, high)
    lift = pick(rng, (0.0, rng.uniform(5, 40)))
    top = lift + high
    kind = pick(
        rng, ("oval", "tapered", "stepped", "arched", "leaning", "dresser", "dresser", "corner", "trunk")
    )
    if kind == "oval":
        outline = round_corners(width, depth, rng.uniform(2, 6))
        cuts = np.linspace(lift, top, pick(rng, (2, 3, 4, 5)))
        parts = [
            prism(outline * rng.uniform(0.75, 1.0), a, b, c)
            for a, b, c in zip(cuts[:-1], cuts[1:], (look.wood, look.second_wood) * 2, strict=False)
        ]
    elif kind in ("tapered", "leaning"):
        low, up = (rng.uniform(0.55, 1.0), 1.0) if rng.random() < 0.5 else (1.0, rng.uniform(0.35, 0.9))
        shift = rng.uniform(-0.25, 0.25) * width * (kind == "leaning")
        x = width / 2
        body = polygon([(-low * x, lift), (low * x, lift), (up * x + shift, top), (-up * x + shift, top)])
        parts = [turn_upright(body, -depth / 2, depth / 2, look.wood)]
        rows = pick(rng, (3, 4, 5))
        for row in range(rows):
            share = (row + 0.5) / rows
            wide = 2 * x * (low + (up - low) * share) - 4 * thick
            parts.append(
                box(
                    (shift * share, -depth / 2, lift + share * high),
                    (wide, 1.2 * thick, high / rows - 1.4 * thick),
                    look.second_wood,
                )
            )
    elif kind == "stepped":
        parts = []
        rows, side = pick(rng, (3, 4, 5)), pick(rng, (-1, 1))
        step = high / rows
        for row in range(rows):
            wide = width * (1 - row / rows * rng.uniform(0.6, 1.0))
            x = side * (width - wide) / 2
            parts.append(
                box(
                    (x, 0, lift + (row + 0.5) * step),
                    (wide, depth, step + 0.4),
                    (look.wood, look.second_wood)[row % 2],
                )
            )
    elif kind == "arched":
        arch = ellipse(width, rng.uniform(0.3, 1.0) * width, 0, 180, 12)
        body = shift_outline(np.concatenate([[[-width / 2, -high]], [[width / 2, -high]], arch]), 0, top)
        parts = [
            turn_upright(body, -depth / 2, depth / 2, look.wood),
            box((0, -depth / 2, lift + high / 2), (0.8 * width, 1.4 * thick, 0.86 * high), look.second_wood),
        ]
    elif kind == "corner":
        x, y, cut = width / 2, width / 2, rng.uniform(0.3, 0.8) * width
        body = polygon([(-x, -y + cut), (-x + cut, -y), (x, -y), (x, y), (0, y), (-x, y)])
        parts = [
            prism(body, lift, top, look.wood),
            prism(0.9 * body, top - 1, top + rng.uniform(3, 9), look.second_wood),
        ]
        depth = width
    elif kind == "trunk":
        high = rng.uniform(30, 60)
        top = lift + high
        lid = shift_outline(ellipse(depth, rng.uniform(0.3, 1.0) * depth, 0, 180, 12), 0, top - 0.5)
        parts = [
            *striped((0, 0, lift + high / 2), (width, depth, high), 0, 5, (look.wood, look.metal)),
            turn_sideways(lid, -width / 2, width / 2, look.second_wood),
        ]
    else:
        high = rng.uniform(40, 85)
        parts = block(rng, (-width / 2, -depth / 2, lift), (width, depth, high), thick, look)
        glass = (rng.uniform(0.3, 0.9) * width, rng.uniform(35, 100))
        z = lift + high + glass[1] / 2 + rng.uniform(-3, 6)
        mirror = shift_outline(round_corners(*glass, pick(rng, (2.0, 2.0, 6.0))), 0, z)
        parts.append(turn_upright(mirror, 0.5 * depth - 2 * thick, 0.5 * depth - thick, look.metal))
        parts.append(
            box(
                (0, depth / 2 - thick / 2, lift + high + glass[1] / 2 - 4),
                (3 * thick, thick, glass[1]),
                look.wood,
            )
        )
        for s in pick(rng, ((), (-1, 1), (1,))):
            box_high = rng.uniform(10, 35)
            parts.append(
                box(
                    (s * 0.38 * width, 0.12 * depth, lift + high + box_high / 2 - 0.5),
                    (0.22 * width, 0.6 * depth, box_high + 1),
                    look.second_wood,
                )
            )
    return parts + (cabinet_base(rng, (0.8 * width, 0.8 * depth), lift, thick, look) if lift else [])
