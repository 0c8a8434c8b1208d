"""What stands around a piece on one plate: screens, portals, posts. Units are centimetres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verdict3d.furniture.outlines import (
    board_outline,
    turned_profile,
)
from verdict3d.furniture.palette import Palette, pick
from verdict3d.furniture.parts import Part, box, lathe, measure_bounds, move, prism, rod


def surround(rng: np.random.Generator, parts: Sequence[Part], look: Palette) -> list[Part]:
    """Build a portal, a screen behind or a post with a board, all standing on a plate below the piece."""
    low, high = measure_bounds(parts)
    (width, depth, tall), middle = high - low, (low + high) / 2
    longest = float((high - low).max())
    thick = rng.uniform(0.036, 0.07) * longest
    x, y, floor = float(middle[0]), float(middle[1]), float(low[2])
    plate = (width * rng.uniform(1.0, 1.5), depth * rng.uniform(1.0, 1.4))
    result = [box((x, y, floor - thick / 2 + 0.6), (plate[0], plate[1], thick), look.second_wood)]
    top = floor + max(tall * rng.uniform(0.6, 1.6), 0.25 * longest)
    up = (top + floor) / 2
    kind = pick(rng, ("screen", "portal", "post", "wall", "plate"))
    if kind == "screen":
        share = rng.uniform(0.3, 1.0)
        shift = rng.uniform(-0.5, 0.5) * (1 - share) * plate[0]
        result.append(
            box(
                (x + shift, y + plate[1] / 2 - thick / 2, up),
                (share * plate[0], thick, top - floor),
                look.second_fabric,
            )
        )
    elif kind == "portal":
        sides = pick(rng, ((-1, 1), (-1, 1), (1,), (-1,)))
        deep = rng.uniform(0.15, 1.0) * plate[1]
        result += [
            box(
                (x + s * (plate[0] - thick) / 2, y + (plate[1] - deep) / 2, up),
                (thick, deep, top - floor),
                look.wood,
            )
            for s in sides
        ]
        share = 1.0 if len(sides) == 2 else rng.uniform(0.4, 1.0)
        result.append(
            box(
                (
                    x + (sides[0] * (1 - share) / 2 * plate[0] if len(sides) == 1 else 0.0),
                    y + (plate[1] - deep) / 2,
                    top,
                ),
                (share * plate[0], deep, thick),
                look.wood,
            )
        )
    elif kind == "post":
        side = pick(rng, (-1, 1))
        place = (x + side * 0.46 * plate[0], y + rng.uniform(-0.4, 0.4) * plate[1])
        result.append(rod((*place, floor - thick / 2), (*place, top), 0.8 * thick, look.metal))
        wide = rng.uniform(0.2, 0.7) * longest
        result += move(
            [
                prism(
                    board_outline(rng, wide, rng.uniform(0.5, 1.0) * wide),
                    top - thick,
                    top + rng.uniform(0, 4) * thick,
                    look.shade,
                )
            ],
            (*place, 0),
        )
    elif kind == "wall":
        side = pick(rng, (-1, 1))
        share = rng.uniform(0.4, 1.0)
        result.append(
            box(
                (x + side * (plate[0] - thick) / 2, y + (1 - share) * plate[1] / 2, up),
                (thick, share * plate[1], top - floor),
                look.second_fabric,
            )
        )
    if rng.random() < 0.3:
        radius = rng.uniform(0.06, 0.13) * longest
        spot = (x - 0.4 * plate[0], y - 0.4 * plate[1])
        result.append(
            lathe(
                turned_profile(rng, radius, floor - thick / 2, floor + rng.uniform(0.15, 0.5) * longest, 4),
                look.fabric,
                axis=spot,
            )
        )
    return result
