"""Legs, feet and back rests that several categories share. Units are centimetres, the floor is z = 0."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from verdict3d.furniture.palette import pick
from verdict3d.furniture.parts import Color, Part, bar, box, move, rod

LegStyle = Literal["square", "tapered", "round", "cone", "turned"]
BackStyle = Literal["panel", "slats", "ladder", "spindles", "upholstered", "open"]

LEG_STYLES: tuple[LegStyle, ...] = ("square", "tapered", "round", "cone", "turned")


def leg(
    x: float, y: float, top: float, foot: tuple[float, float], width: float, color: Color, style: LegStyle
) -> list[Part]:
    """Return one leg from (x, y, top) down to ``foot`` (x, y) on the floor."""
    head, toe = (x, y, top), (foot[0], foot[1], 0.0)
    if style == "square":
        return [bar(head, toe, width, color)]
    if style == "tapered":
        return [bar(head, toe, width * 1.1, color, 0.68 * width)]
    if style == "round":
        return [rod(head, toe, width / 2, color)]
    if style == "cone":
        return [rod(head, toe, width * 0.58, color, 0.36 * width)]
    return _turned_leg(head, toe, width, color)


def _turned_leg(
    head: tuple[float, float, float], toe: tuple[float, float, float], width: float, color: Color
) -> list[Part]:
    def at(share: float) -> tuple[float, float, float]:
        return (
            head[0] + share * (toe[0] - head[0]),
            head[1] + share * (toe[1] - head[1]),
            head[2] + share * (toe[2] - head[2]),
        )

    return [
        bar(head, at(0.24), width * 1.1, color),
        rod(at(0.22), at(0.5), 0.38 * width, color, 0.62 * width),
        rod(at(0.49), at(0.62), 0.62 * width, color, 0.4 * width),
        rod(at(0.6), at(0.9), 0.52 * width, color, 0.36 * width),
        rod(at(0.89), at(1.0), 0.36 * width, color, 0.5 * width),
    ]


def four_legs(
    size: tuple[float, float],
    top: float,
    width: float,
    color: Color,
    style: LegStyle,
    splay: float = 0.0,
) -> list[Part]:
    """Return legs under the corners of a (width, depth) top, feet ``splay`` outside of the heads."""
    x, y = size[0] / 2 - 0.55 * width, size[1] / 2 - 0.55 * width
    parts: list[Part] = []
    for sx in (-1, 1):
        for sy in (-1, 1):
            foot = (sx * (x + splay), sy * (y + splay))
            parts += leg(sx * x, sy * y, top, foot, width, color, style)
    return parts


def stretchers(
    size: tuple[float, float], height: float, width: float, color: Color, style: str
) -> list[Part]:
    """Return bars between four legs: ``h`` (two sides and a middle one), ``box`` (all around), ``sides``."""
    x, y = size[0] / 2 - 0.55 * width, size[1] / 2 - 0.55 * width
    thick = 0.75 * width
    parts = [box((sx * x, 0, height), (thick, 2 * y, thick), color) for sx in (-1, 1)]
    if style == "h":
        parts.append(box((0, 0, height), (2 * x, thick, thick), color))
    if style == "box":
        parts += [box((0, sy * y, height), (2 * x, thick, thick), color) for sy in (-1, 1)]
    return parts


def pedestal(top: float, radius: float, reach: float, color: Color, foot: str, arms: int = 4) -> list[Part]:
    """Return a centre column on a ``disc``, a ``cone`` or a ``star`` of feet reaching ``reach`` outwards."""
    column = rod((0, 0, 0.5 * radius), (0, 0, top), radius, color)
    if foot == "disc":
        return [column, rod((0, 0, 0), (0, 0, 1.1 * radius), reach, color, 0.92 * reach)]
    if foot == "cone":
        return [column, rod((0, 0, 0), (0, 0, 0.3 * top), reach, color, 1.0 * radius)]
    parts = [column]
    for number in range(arms):
        angle = 2 * math.pi * (number + 0.5) / arms
        x, y = math.cos(angle), math.sin(angle)
        tip = (reach * x, reach * y, 0.9 * radius)
        parts.append(bar((0, 0, 2.6 * radius), tip, 1.7 * radius, color, 1.3 * radius))
        parts.append(rod((tip[0], tip[1], 0), (tip[0], tip[1], 1.5 * radius), 0.8 * radius, color))
    return parts


def back_rest(
    rng: np.random.Generator,
    size: tuple[float, float],
    thick: float,
    frame: Color,
    fill: Color,
    style: BackStyle,
) -> list[Part]:
    """Return an upright back of (width, height): lower edge at z = 0, centred on x = y = 0."""
    width, height = size
    if style == "panel":
        low = pick(rng, (0.0, 0.0, 0.3)) * height
        panel = box(
            (0, 0, (low + height) / 2), (width, thick, height - low), frame, rng.uniform(0, 0.4) * thick
        )
        return [panel, *_posts(width * 0.72, low + 2, thick, frame)] if low else [panel]
    if style == "upholstered":
        low = rng.uniform(0.06, 0.3) * height
        pad = box(
            (0, -0.2 * thick, (low + height) / 2), (width, 1.7 * thick, height - low), fill, 0.75 * thick
        )
        return [pad, *_posts(width * 0.8, low + 3, thick, frame)]
    rail = rng.uniform(1.3, 2.4) * thick
    top = box((0, 0, height - rail / 2), (width, 1.1 * thick, rail), frame, pick(rng, (0.0, 0.3)) * thick)
    if style == "spindles":
        count = max(3, int(width / rng.uniform(2.4, 3.4) / thick))
        places = np.linspace(-0.5, 0.5, count) * (width - 1.4 * thick)
        return [top, *(rod((x, 0, 0), (x, 0, height - rail / 2), 0.5 * thick, frame) for x in places)]
    parts = [top, *_posts(width - thick, height - rail / 2, thick, frame)]
    inner = width - 2 * thick
    if style == "slats":
        count = max(1, int(inner / (rng.uniform(2.3, 3.2) * thick)))
        low = rng.uniform(0.05, 0.25) * height
        parts.append(box((0, 0, low), (inner + thick, 0.9 * thick, 1.1 * thick), frame))
        places = (np.arange(count) + 0.5) / count - 0.5
        slat = min(0.55 * inner / count, 2.2 * thick)
        length = height - rail / 2 - low
        parts += [box((x * inner, 0, low + length / 2), (slat, 0.8 * thick, length), fill) for x in places]
    if style == "ladder":
        count = int(rng.integers(1, 4))
        pitch = (height - rail) / (count + 0.6)
        bars = [height - rail - pitch * (number + 0.75) + 0.2 * pitch for number in range(count)]
        parts += [box((0, 0, z), (inner + thick, 0.85 * thick, 0.5 * pitch), fill) for z in bars]
    return parts


def _posts(spread: float, height: float, thick: float, color: Color) -> list[Part]:
    return [box((sx * spread / 2, 0, height / 2), (thick, thick, height), color) for sx in (-1, 1)]


def feet(size: tuple[float, float], height: float, width: float, color: Color, style: LegStyle) -> list[Part]:
    """Return short legs below a body of (width, depth) whose underside is at ``height``."""
    return four_legs((size[0] - width, size[1] - width), height + 0.5, width, color, style)


def grid_cushions(
    size: tuple[float, float, float], count: int, center: tuple[float, float, float], color: Color
) -> list[Part]:
    """Return ``count`` soft cushions side by side along x that fill ``size`` around ``center``."""
    pitch = size[0] / count
    softness = 0.36 * min(pitch, size[1], size[2])
    cushion = box((0, 0, 0), (pitch * 0.975, size[1], size[2]), color, softness)
    places = (np.arange(count) + 0.5) * pitch - size[0] / 2
    return [move([cushion], (center[0] + x, center[1], center[2]))[0] for x in places]
