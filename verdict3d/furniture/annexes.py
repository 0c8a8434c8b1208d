"""What is built onto a piece: blocks, tables, steps, screens, planters. Centimetres, the floor is z = 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from verdict3d.furniture.outlines import (
    ball,
    ellipse,
    polygon,
    shift_outline,
    turn_sideways,
)
from verdict3d.furniture.palette import Palette, pick
from verdict3d.furniture.parts import Part, Vector, box, lathe, measure_bounds, move, prism
from verdict3d.furniture.patterns import striped
from verdict3d.furniture.surrounds import surround

AnnexSide = Literal["left", "right", "front"]


SIDES: tuple[AnnexSide, ...] = ("left", "left", "right", "right", "front")


def build_on(rng: np.random.Generator, parts: Sequence[Part], look: Palette, count: int) -> list[Part]:
    """Return the parts and ``count`` things, at most three, built onto their sides or over them."""
    result = list(parts)
    if count and rng.random() < 0.3:
        result += surround(rng, result, look)
        count -= 1
    free: tuple[AnnexSide, ...] = SIDES
    for _ in range(count):
        side = pick(rng, free)
        free = tuple(other for other in free if other != side)
        result += _beside(rng, result, side, look)
    return result


def _find_outer_point(part: Part, way: Vector) -> Vector:
    """Return a point of the part's surface (3,) that lies about as far out along ``way`` (3,) as any."""
    x, y, z = part.half_size
    if part.kind in ("box", "rounded_box"):
        local = np.concatenate([np.diag(part.half_size), -np.diag(part.half_size)])
    elif part.kind == "prism" and part.outline is not None:
        local = np.concatenate([part.outline * [x, y], np.zeros((len(part.outline), 1))], axis=1)
    else:
        angles = np.pi * np.arange(8) / 4
        ring = np.stack([np.cos(angles) * x, np.sin(angles) * y, 0 * angles], axis=1)
        rows = [(1.0, -0.9), (0.5 + part.taper / 2, 0.0), (part.taper, 0.9)]
        if part.outline is not None:
            rows = [(float(radius), float(height)) for radius, height in part.outline]
        local = np.concatenate([ring * radius + [0, 0, height * z] for radius, height in rows])
    points = local @ part.rotation.T + part.center
    return np.asarray(points[int((points @ way).argmax())])


def _beside(rng: np.random.Generator, parts: Sequence[Part], side: AnnexSide, look: Palette) -> list[Part]:
    """Stand something on the floor that holds the outermost point of a side within its near face."""
    low, high = measure_bounds(parts)
    longest, floor = float((high - low).max()), float(low[2])
    across, axis, sign = {"left": (1, 0, -1), "right": (1, 0, 1), "front": (0, 1, -1)}[side]
    points = np.stack([_find_outer_point(part, np.eye(3)[axis] * sign) for part in parts])
    contact = points[int((sign * points[:, axis]).argmax())]
    rim = 0.025 * longest
    if side == "front" and contact[2] - floor > 0.3 * longest:  # it would hide the piece
        return _beside(rng, parts, pick(rng, ("left", "right")), look)
    reach = rng.uniform(0.14, 0.55) * longest
    span = max(rng.uniform(0.2, 1.15) * float(high[across] - low[across]), rng.uniform(0.14, 0.4) * longest)
    if side == "front":
        reach, span = 0.6 * reach, min(span, 0.5 * longest)
    need = float(contact[2]) - floor + rim
    most = 1.0 if side != "front" else 0.35
    tall = max(need, float(np.exp(rng.uniform(np.log(0.1), np.log(most)))) * longest)
    middle = contact[across] + rng.uniform(-1, 1) * (span / 2 - rim)
    out = contact[axis] + sign * (reach / 2 - rim)
    size = (reach, span, tall) if across == 1 else (span, reach, tall)
    place = (out, middle, floor) if across == 1 else (middle, out, floor)
    return move(_thing(rng, size, need, 0.034 * longest, look, open_sides=side != "front"), place)


def _thing(
    rng: np.random.Generator,
    size: tuple[float, float, float],
    need: float,
    thick: float,
    look: Palette,
    *,
    open_sides: bool,
) -> list[Part]:
    """Draw something that fills ``size`` over the origin, solid to its edges up to ``need``."""
    wide, deep, high = size
    colors = (look.wood, look.second_wood, look.fabric, look.second_fabric)
    color = pick(rng, colors)
    kinds = ("block", "block", "planter", "steps", "wedge", "pair", "tower")
    kind = pick(rng, (*kinds, "rack", "rack", "table", "bow") if open_sides else kinds)
    if kind == "rack":
        rows = max(1, min(4, round(high / max(wide, 6 * thick))))
        zs = np.linspace(thick / 2, high - thick / 2, rows + 1)
        parts = [box((0, 0, z), (wide, deep, thick), color) for z in zs]
        parts += [box((s * (wide - thick) / 2, 0, high / 2), (thick, deep, high), color) for s in (-1, 1)]
        return parts + (
            [box((0, (deep - thick) / 2, high / 2), (wide, thick, high), look.second_wood)]
            if rng.random() < 0.5
            else []
        )
    if kind == "table":
        parts = [box((0, 0, high - thick / 2), (wide, deep, thick), color)]
        return parts + [
            box((s * (wide - thick) / 2, 0, high / 2), (thick, deep, high), look.second_wood) for s in (-1, 1)
        ]
    if kind == "bow":
        return [
            prism(
                np.concatenate(
                    [
                        [[-wide / 2, deep / 2]],
                        shift_outline(ellipse(wide, 2 * deep, 180, 359.8, 14), 0, deep / 2),
                        [[wide / 2, deep / 2]],
                    ]
                )[1:-1],
                0,
                high,
                color,
            ),
            box((0, 0, need / 2), (wide, deep, need), look.second_wood),
        ]
    if kind == "planter":
        pot = max(need, high * rng.uniform(0.3, 0.8))
        radius = 0.5 * min(wide, deep)
        return [
            box((0, 0, pot / 2), (wide, deep, pot), color),
            lathe(
                ball(radius, pot - 2, max(high, pot + radius) * rng.uniform(1.0, 1.3)),
                (look.fabric // 2 + np.array([10, 60, 10], np.uint8)),
            ),
        ]
    if kind == "steps":
        return [
            box((0, 0, high / 2), (wide, deep, high), color),
            box(
                (0, -deep / 2 - 0.2 * deep + 1, high / 4), (wide, 0.4 * deep + 2, high / 2), look.second_wood
            ),
        ]
    if kind == "wedge":
        y = deep / 2
        return [
            turn_sideways(
                polygon([(-y, 0), (y, 0), (y, high), (-y, max(need, high * rng.uniform(0.15, 0.8)))]),
                -wide / 2,
                wide / 2,
                color,
            )
        ]
    if kind == "pair":
        low = max(need, high * rng.uniform(0.3, 0.8))
        cut = deep * rng.uniform(0.3, 0.7)
        return [
            box((0, (deep - cut) / 2, high / 2), (wide, cut, high), color),
            box((0, -cut / 2, low / 2), (wide, deep - cut + 1, low), look.second_wood),
        ]
    if kind == "tower":
        share = rng.uniform(0.35, 0.8)
        x = pick(rng, (-1, 1)) * (1 - share) * wide / 2
        low = min(max(need, high * rng.uniform(0.35, 0.75)), high - 1)
        return [
            box((0, 0, low / 2), (wide, deep, low), color),
            box(
                (x, 0, (high + low) / 2),
                (share * wide, rng.uniform(0.5, 1.0) * deep, high - low + 1),
                look.second_wood,
            ),
        ]
    return striped(
        (0, 0, high / 2), (wide, deep, high), 2, pick(rng, (1, 1, 2, 3)), (color, pick(rng, colors))
    )
