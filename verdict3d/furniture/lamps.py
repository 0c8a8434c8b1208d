"""Lamps. Units are centimetres, the floor is z = 0, the front faces -y."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from verdict3d.furniture.palette import Palette, draw_palette, pick
from verdict3d.furniture.parts import Color, Part, box, rod


def lamp(rng: np.random.Generator) -> list[Part]:
    """Table, floor, tripod, arc, pendant and reading lamps."""
    look = draw_palette(rng)
    kinds = (_table_lamp, _table_lamp, _floor_lamp, _tripod_lamp, _arc_lamp, _pendant_lamp, _reading_lamp)
    return pick(rng, kinds)(rng, look)


def _shade(rng: np.random.Generator, low: float, radius: float, high: float, color: Color) -> Part:
    """A drum, an empire shade or a cone, standing on z = ``low`` at the origin."""
    return rod((0, 0, low), (0, 0, low + high), radius, color, radius * rng.uniform(0.4, 1.0))


def _table_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    body, radius = rng.uniform(18, 34), rng.uniform(7, 12)
    color = pick(rng, (look.fabric, look.wood, look.metal))
    kind = pick(rng, ("bottle", "block", "stack", "stem"))
    parts = [rod((0, 0, 0), (0, 0, 2.4), radius, look.metal, 0.94 * radius)]
    if kind == "bottle":
        parts.append(rod((0, 0, 2), (0, 0, 0.55 * body), 0.6 * radius, color, radius))
        parts.append(rod((0, 0, 0.54 * body), (0, 0, body), radius, color, 0.3 * radius))
    elif kind == "block":
        parts.append(box((0, 0, body / 2 + 1), (1.3 * radius, 1.3 * radius, body), color, 2.0))
    elif kind == "stack":
        for share, wide in ((0.0, 0.9), (0.33, 0.65), (0.62, 0.8)):
            parts.append(
                rod((0, 0, 2 + share * body), (0, 0, 2 + (share + 0.34) * body), wide * radius, color)
            )
    else:
        parts.append(rod((0, 0, 1), (0, 0, body), 1.6, color))
    neck = body + rng.uniform(3, 6)
    parts.append(rod((0, 0, body - 2), (0, 0, neck + 3), 1.2, look.metal))
    return [*parts, _shade(rng, neck, rng.uniform(13, 20), rng.uniform(15, 24), look.shade)]


def _floor_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    height, radius = rng.uniform(105, 140), rng.uniform(14, 19)
    return [
        rod((0, 0, 0), (0, 0, 4.4), radius, look.metal, 0.9 * radius),
        rod((0, 0, 2), (0, 0, height + 4), 2.3, look.metal),
        _shade(rng, height, rng.uniform(20, 28), rng.uniform(24, 36), look.shade),
    ]


def _tripod_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    height, reach = rng.uniform(80, 115), rng.uniform(24, 34)
    hub = height * rng.uniform(0.7, 1.0)
    parts = [rod((0, 0, hub - 4), (0, 0, height + 4), 2.8, look.metal)]
    for number in range(3):
        angle = 2 * math.pi * number / 3 - math.pi / 2
        toe = (reach * math.cos(angle), reach * math.sin(angle), 0.0)
        parts.append(rod((0.05 * toe[0], 0.05 * toe[1], hub), toe, 2.4, look.wood, 1.9))
    return [*parts, _shade(rng, height, rng.uniform(20, 28), rng.uniform(24, 34), look.shade)]


def _arc_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    """A pole with an arm in three pieces that hangs its shade to one side."""
    height, reach, side = rng.uniform(120, 150), rng.uniform(50, 80), pick(rng, (-1, 1))
    drop, radius = rng.uniform(14, 24), rng.uniform(15, 21)
    x = -side * reach / 2
    corner, tip = height * 0.84, side * reach / 2
    joints = [
        (x, 0.0, 2.0),
        (x, 0.0, corner),
        (x + side * 0.25 * reach, 0.0, height),
        (x + side * 0.7 * reach, 0.0, height + 2),
        (tip, 0.0, height - drop),
    ]
    parts = [rod(a, b, 2.4, look.metal) for a, b in pairwise(joints)]
    parts.append(rod((x, 0, 0), (x, 0, 5), radius * 0.9, look.wood))
    low = height - drop - 18
    return [*parts, rod((tip, 0, low), (tip, 0, height - drop + 1), radius, look.shade, 0.45 * radius)]


def _pendant_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    cord, radius, high = rng.uniform(35, 70), rng.uniform(20, 30), rng.uniform(18, 34)
    parts = [
        rod((0, 0, high + cord), (0, 0, high + cord + 4), rng.uniform(7, 10), look.metal),
        rod((0, 0, high - 2), (0, 0, high + cord + 1), 1.7, look.metal),
        rod((0, 0, high - 1), (0, 0, high + 6), 4, look.metal),
    ]
    if rng.random() < 0.4:
        parts.append(rod((0, 0, 0), (0, 0, 0.5 * high), 0.7 * radius, look.shade, radius))
        parts.append(rod((0, 0, 0.5 * high - 0.2), (0, 0, high), radius, look.shade, 0.5 * radius))
        return parts
    return [*parts, rod((0, 0, 0), (0, 0, high), radius, look.shade, radius * rng.uniform(0.3, 0.95))]


def _reading_lamp(rng: np.random.Generator, look: Palette) -> list[Part]:
    """Base, two arms with a joint and a conical head, bent towards one side."""
    side, first, second = pick(rng, (-1, 1)), rng.uniform(24, 32), rng.uniform(22, 30)
    lean, bend = math.radians(rng.uniform(5, 30)), math.radians(rng.uniform(25, 65))
    elbow = (-side * first * math.sin(lean), 0.0, 3 + first * math.cos(lean))
    tip = (elbow[0] + side * second * math.sin(bend), 0.0, elbow[2] + second * math.cos(bend))
    aim = math.radians(rng.uniform(20, 55))
    head = (tip[0] + side * 13 * math.sin(aim), -3.0, tip[2] - 13 * math.cos(aim))
    base = rng.uniform(8.5, 12)
    return [
        rod((0, 0, 0), (0, 0, 3.2), base, look.fabric, 0.9 * base),
        rod((0, 0, 2), elbow, 1.3, look.metal),
        rod(elbow, tip, 1.3, look.metal),
        rod((elbow[0], -2.0, elbow[2]), (elbow[0], 2.0, elbow[2]), 2.2, look.fabric),
        rod(head, tip, rng.uniform(8, 10.5), look.fabric, 3.2),
    ]
