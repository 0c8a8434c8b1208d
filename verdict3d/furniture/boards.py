"""Tables over free outlines. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import numpy as np

from verdict3d.furniture.frames import LEG_STYLES, four_legs, leg
from verdict3d.furniture.outlines import (
    band,
    board_outline,
    polygon,
    smooth,
    turn_sideways,
    turn_upright,
    turned_profile,
)
from verdict3d.furniture.palette import Palette, pick
from verdict3d.furniture.parts import Part, bar, box, lathe, move, prism, rod
from verdict3d.furniture.patterns import striped


def support(
    rng: np.random.Generator, size: tuple[float, float], top: float, thick: float, look: Palette
) -> list[Part]:
    """Draw what carries a board of (width, depth) whose underside is at ``top``."""
    width, depth = size
    frame = pick(rng, (look.wood, look.metal, look.second_wood))
    kind = pick(
        rng, ("vase", "vase", "pair", "slab", "block", "crossed", "hoops", "fins", "frame", "legs", "sheet")
    )
    if kind == "vase":
        return [
            lathe(
                turned_profile(rng, rng.uniform(0.14, 0.46) * min(size), 0, top + 0.5, pick(rng, (3, 4, 5))),
                frame,
            )
        ]
    if kind == "pair":
        radius, x = rng.uniform(0.12, 0.24) * min(width, 1.4 * depth), rng.uniform(0.2, 0.36) * width
        profile = turned_profile(rng, radius, 0, top + 0.5, pick(rng, (2, 3, 4)))
        return [lathe(profile, frame, axis=(s * x, 0)) for s in (-1, 1)]
    if kind == "slab":
        wide, low = rng.uniform(0.3, 0.9) * width, rng.uniform(0.3, 0.9) * width
        slab = polygon([(-low / 2, 0), (low / 2, 0), (wide / 2, top + 0.5), (-wide / 2, top + 0.5)])
        parts = [turn_upright(slab, -thick, thick, frame)]
        if rng.random() < 0.6:
            reach = rng.uniform(0.25, 0.45) * depth
            parts.append(
                turn_sideways(
                    polygon([(-reach, 0), (reach, 0), (reach, top + 0.5), (-reach, top + 0.5)]),
                    -thick,
                    thick,
                    frame,
                )
            )
        return parts
    if kind == "block":
        share = rng.uniform(0.25, 0.8, size=2)
        x = pick(rng, (0.0, rng.uniform(-0.5, 0.5))) * (1 - share[0]) * width
        return [box((x, 0, top / 2), (share[0] * width, share[1] * depth, top + 1), look.second_wood)]
    if kind == "crossed":
        x, y, up = (rng.uniform(0.2, 0.45) * side for side in (width, depth, width))
        return [
            bar((s * x, t * y, 0), (-s * up, -t * y, top + 0.5), 1.3 * thick, frame)
            for s in (-1, 1)
            for t in (-1, 1)
        ]
    if kind == "hoops":
        foot, head = rng.uniform(0.2, 0.5, size=2) * depth
        hoop = band([(-head, top), (-foot, thick / 2), (foot, thick / 2), (head, top)], 1.2 * thick)
        x = rng.uniform(0.2, 0.46) * width
        return [turn_sideways(hoop, s * x - 0.7 * thick, s * x + 0.7 * thick, frame) for s in (-1, 1)]
    if kind == "fins":
        count, reach = pick(rng, (3, 4, 5)), rng.uniform(0.3, 0.48)
        angles = 2 * np.pi * (np.arange(count) / count) + rng.uniform(0, 1)
        ends = [(reach * width * np.cos(a), reach * depth * np.sin(a)) for a in angles]
        inner = rng.uniform(0.05, 0.9)
        return [
            bar((x, y, 0), (inner * x, inner * y, top + 0.5), 1.5 * thick, frame, thick) for x, y in ends
        ] + (
            [rod((0, 0, top - 2 * thick), (0, 0, top + 0.5), 0.16 * min(size), frame)] if inner < 0.4 else []
        )
    if kind == "frame":
        low = rng.uniform(0.0, 0.4) * top
        board = box((0, 0, low + thick / 2), (0.9 * width, 0.9 * depth, 1.1 * thick), look.second_wood)
        return [board, *four_legs((0.92 * width, 0.92 * depth), top + 0.5, 1.3 * thick, frame, "square")]
    if kind == "sheet":
        x = rng.uniform(0.2, 0.48) * width
        path = [(x, top), (-x * rng.uniform(0.2, 1), thick / 2), (x, thick / 2), (-x, top)]
        if rng.random() < 0.5:
            path = [(-x, top), (x * rng.uniform(-1, 0.6), thick / 2), (x, top)]
        return [turn_upright(band(path, 1.3 * thick), -0.32 * depth, 0.32 * depth, frame)]
    splay = rng.uniform(-0.12, 0.1) * min(size)
    legs = (rng.uniform(0.55, 0.95) * width, rng.uniform(0.6, 0.95) * depth)
    return four_legs(legs, top + 0.5, rng.uniform(1.2, 2.4) * thick, frame, pick(rng, LEG_STYLES), splay)


def form_table(rng: np.random.Generator, look: Palette) -> list[Part]:
    """Tables of any outline and height, with one or two tiers, blocks or one side let down to the floor."""
    width, depth, high = rng.uniform(60, 180), rng.uniform(40, 110), rng.uniform(26, 95)
    largest = max(width, depth, high)
    thick = rng.uniform(0.036, 0.085) * largest
    top = high - thick
    kind = pick(rng, ("plain", "plain", "plain", "tiers", "waterfall", "corner", "wide", "drawers"))
    if kind == "waterfall":
        x = width / 2
        path = [(-x, 0), (-x, top), (x, top)]
        if rng.random() < 0.4:
            path = [(-x, thick / 2), (rng.uniform(-0.4, 0.6) * x, thick / 2), (-x + thick, top), (x, top)]
        path = smooth(path) if rng.random() < 0.5 else path
        parts = [turn_upright(band(path, thick), -depth / 2, depth / 2, look.wood)]
        if rng.random() < 0.6:
            parts += [
                leg(
                    0.85 * x,
                    s * 0.4 * depth,
                    top,
                    (0.85 * x, s * 0.4 * depth),
                    1.4 * thick,
                    look.metal,
                    "round",
                )[0]
                for s in (-1, 1)
            ]
        else:
            parts.append(
                box((0.6 * x, 0, top / 2), (rng.uniform(0.1, 0.7) * x, 0.7 * depth, top), look.second_wood)
            )
        return parts
    if kind == "corner":
        cut = rng.uniform(0.3, 0.65, size=2)
        wing = (cut[0] * width, cut[1] * depth)
        side = pick(rng, (-1, 1))
        parts = [
            box((0, (depth - wing[1]) / 2, top + thick / 2), (width, wing[1], thick), look.wood),
            box((side * (width - wing[0]) / 2, 0, top + thick / 2), (wing[0], depth, thick), look.wood),
        ]
        spots = [(side, -1), (side, 1), (-side, 1)]
        return parts + [
            rod(
                (x * 0.44 * width, y * 0.44 * depth, 0),
                (x * 0.44 * width, y * 0.44 * depth, top + 1),
                rng.uniform(0.6, 1.6) * thick,
                look.second_wood,
            )
            for x, y in spots
        ]
    outline = board_outline(rng, width, depth)
    flat = rng.random() < 0.3
    if flat:
        count = pick(rng, (3, 5))
        parts = list(
            striped(
                (0, 0, top + thick / 2),
                (width, depth, thick),
                pick(rng, (0, 1)),
                count,
                (look.wood, look.second_wood),
            )
        )
    else:
        parts = [prism(outline, top, high, look.wood)]
    if kind == "wide":
        parts.append(
            prism(
                outline * rng.uniform(0.3, 0.8),
                high - 1,
                high + rng.uniform(0.06, 0.25) * largest,
                look.second_wood,
            )
        )
    if kind == "drawers":
        deep = rng.uniform(0.15, 0.5) * top
        parts.append(box((0, 0, top - deep / 2 + 0.5), (0.8 * width, 0.72 * depth, deep), look.second_wood))
    if kind == "tiers":
        z, share = rng.uniform(0.12, 0.65) * top, rng.uniform(0.5, 1.25)
        shift = rng.uniform(-0.3, 0.3) * width * (rng.random() < 0.5)
        parts += move([prism(outline * share, z, z + thick, look.second_wood)], (shift, 0, 0))
    if rng.random() < 0.2:
        x = rng.uniform(-0.3, 0.3) * width
        parts.append(
            lathe(
                turned_profile(
                    rng,
                    rng.uniform(5, 0.16 * min(width, depth) + 5),
                    high - 0.5,
                    high + rng.uniform(10, 40),
                    4,
                ),
                look.fabric,
                axis=(x, 0),
            )
        )
    room = 1.0 if flat else 0.7
    return parts + support(rng, (room * width, room * depth), top, thick, look)
