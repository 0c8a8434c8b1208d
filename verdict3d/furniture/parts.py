"""Solid parts that furniture is made of: boxes, bars, cylinders, prisms, turned profiles."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["box", "rounded_box", "cylinder", "tapered", "prism", "lathe"]
Vector = NDArray[np.float64]
Point = Sequence[float] | Vector
Color = NDArray[np.uint8]

MIN_HALF_THICKNESS = 0.015
"""Half of the thinnest part of a normalised object; a 64³ grid still sees it."""
MAX_ROUNDING = 0.07
"""Largest radius of rounded edges of a normalised object."""

_IDENTITY: Vector = np.eye(3)


@dataclass(frozen=True, eq=False)
class Part:
    """One watertight solid in the object frame (z up, front -y).

    Attributes:
        kind: ``box``; ``rounded_box`` (edges and corners rounded by ``rounding``, inside ``half_size``);
            ``cylinder`` (round, along its own z; a cone frustum when ``taper`` < 1); ``tapered`` (a square
            bar or frustum along its own z); ``prism`` (``outline`` in its own x and y, extruded along its own
            z); ``lathe`` (``outline`` in radius and z, turned about its own z).
        center: (3,) float64.
        half_size: (3,) float64, half extents along the part's own axes. For ``cylinder`` and ``lathe``
            the first two are equal: the largest radius.
        rotation: (3, 3) float64, object_from_part: its columns are the part's axes.
        rounding: Radius of rounded edges, below the smallest half size; 0 for the other kinds.
        taper: Size of the +z end divided by the -z end, in (0, 1]; 1 for boxes.
        color: (3,) uint8, sRGB.
        outline: (n, 2) float64, a simple polygon, counter-clockwise, in units of ``half_size``; n is even and
            vertex i lies across from vertex n - 1 - i, so that the quads between them fill it. A ``lathe``
            has radius in [0, 1] and z in [-1, 1]. None for the other kinds.
    """

    kind: Kind
    center: Vector
    half_size: Vector
    rotation: Vector
    rounding: float
    taper: float
    color: Color
    outline: Vector | None = None


def box(center: Point, size: Point, color: Color, rounding: float = 0.0) -> Part:
    """Return an axis-aligned box of full ``size``; ``rounding`` > 0 rounds its edges."""
    half = np.asarray(size, dtype=np.float64) / 2
    radius = min(rounding, 0.9 * float(half.min()))
    kind: Kind = "rounded_box" if radius > 0 else "box"
    return Part(kind, np.asarray(center, dtype=np.float64), half, _IDENTITY, max(radius, 0.0), 1.0, color)


def _make_axes_along(direction: tuple[float, float, float]) -> Vector:
    """Return a rotation whose third column is ``direction`` (unit), the first as near to x as possible."""
    x, y, z = direction
    first = (1 - x * x, -x * y, -x * z) if abs(x) < 0.9 else (-x * y, 1 - y * y, -y * z)
    length = math.sqrt(first[0] ** 2 + first[1] ** 2 + first[2] ** 2)
    a, b, c = (value / length for value in first)
    return np.array([[a, y * c - z * b, x], [b, z * a - x * c, y], [c, x * b - y * a, z]])


def _between(kind: Kind, start: Point, end: Point, start_half: float, end_half: float, color: Color) -> Part:
    if end_half > start_half:
        start, end, start_half, end_half = end, start, end_half, start_half
    sx, sy, sz = (float(value) for value in start)
    ex, ey, ez = (float(value) for value in end)
    length = math.sqrt((ex - sx) ** 2 + (ey - sy) ** 2 + (ez - sz) ** 2)
    direction = ((ex - sx) / length, (ey - sy) / length, (ez - sz) / length)
    return Part(
        kind,
        np.array([(sx + ex) / 2, (sy + ey) / 2, (sz + ez) / 2]),
        np.array([start_half, start_half, length / 2]),
        _make_axes_along(direction),
        0.0,
        end_half / start_half,
        color,
    )


def rod(start: Point, end: Point, radius: float, color: Color, end_radius: float | None = None) -> Part:
    """Return a round bar (a cone frustum when the radii differ) between two points."""
    return _between("cylinder", start, end, radius, radius if end_radius is None else end_radius, color)


def bar(start: Point, end: Point, width: float, color: Color, end_width: float | None = None) -> Part:
    """Return a square bar between two points, tapering from ``width`` to ``end_width`` (full widths)."""
    return _between("tapered", start, end, width / 2, (width if end_width is None else end_width) / 2, color)


def prism(outline: Vector, low: float, high: float, color: Color) -> Part:
    """Return a solid between the heights ``low`` and ``high`` over an outline (n, 2) as ``Part`` wants it."""
    least, most = outline.min(axis=0), outline.max(axis=0)
    center, half = (least + most) / 2, (most - least) / 2
    place = np.array([center[0], center[1], (low + high) / 2])
    size = np.array([half[0], half[1], (high - low) / 2])
    return Part("prism", place, size, _IDENTITY, 0.0, 1.0, color, (outline - center) / half)


def lathe(profile: Sequence[tuple[float, float]], color: Color, *, axis: Point = (0.0, 0.0)) -> Part:
    """Return a solid turned about a vertical axis through ``axis`` (x, y).

    Args:
        profile: (radius, z) from below upwards; the first and the last are joined to the axis.
        color: (3,) uint8.
        axis: Where it stands.
    """
    points = np.asarray(profile, dtype=np.float64)
    low, high = points[:, 1].min(), points[:, 1].max()
    wide, half = float(points[:, 0].max()), float(high - low) / 2
    inner = points[::-1] * [0.0, 1.0]
    ring = np.concatenate([points, inner]) - [0.0, (low + high) / 2]
    place = np.array([axis[0], axis[1], (low + high) / 2])
    return Part("lathe", place, np.array([wide, wide, half]), _IDENTITY, 0.0, 1.0, color, ring / [wide, half])


def move(parts: Iterable[Part], offset: Point) -> list[Part]:
    """Return ``parts`` shifted by ``offset`` (3,)."""
    shift = np.asarray(offset, dtype=np.float64)
    return [replace(part, center=part.center + shift) for part in parts]


def turn(parts: Iterable[Part], axis: Literal["x", "y", "z"], degrees: float) -> list[Part]:
    """Return ``parts`` rotated about an axis through the origin, counter-clockwise seen from its tip."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rotation = np.eye(3)
    rotation[first, first] = rotation[second, second] = cosine
    rotation[second, first], rotation[first, second] = sine, -sine
    return [replace(part, center=rotation @ part.center, rotation=rotation @ part.rotation) for part in parts]


def measure_reach(part: Part) -> Vector:
    """Return (2, 3) lowest and highest coordinates of the part, exact for every kind."""
    axes = np.abs(part.rotation)
    half = part.half_size
    if part.kind in ("box", "rounded_box"):
        reach = axes @ (half - part.rounding) + part.rounding
        return np.stack([part.center - reach, part.center + reach])
    if part.outline is not None:
        flat, upright = part.outline * half[:2], part.outline * half[[0, 2]]
        if part.kind == "prism":
            places = flat @ part.rotation[:, :2].T
            spread = axes[:, 2] * half[2]
        else:
            places = upright[:, 1:] * part.rotation[:, 2]
            spread = upright[:, :1] * np.sqrt(np.maximum(0.0, 1.0 - axes[:, 2] ** 2))
        return part.center + np.stack([(places - spread).min(axis=0), (places + spread).max(axis=0)])
    if part.kind == "cylinder":
        wide = half[0] * np.sqrt(np.maximum(0.0, 1.0 - axes[:, 2] ** 2))
    else:
        wide = axes[:, :2] @ half[:2]
    along = part.rotation[:, 2] * half[2]
    ends = np.stack([part.center - along, part.center + along])
    spread = np.stack([wide, wide * part.taper])
    return np.stack([(ends - spread).min(axis=0), (ends + spread).max(axis=0)])


def measure_bounds(parts: Sequence[Part]) -> Vector:
    """Return (2, 3) lowest and highest coordinates of the union of ``parts``."""
    reach = np.stack([measure_reach(part) for part in parts])
    return np.stack([reach[:, 0].min(axis=0), reach[:, 1].max(axis=0)])


def _scale(part: Part, center: Vector, scale: float, min_half: float) -> Part:
    half = np.maximum(part.half_size * scale, min_half)
    taper = part.taper
    if part.kind in ("cylinder", "tapered"):
        taper = min(1.0, max(taper, min_half / float(half[:2].min())))
    rounding = min(part.rounding * scale, 0.9 * float(half.min()), MAX_ROUNDING)
    outline = part.outline
    if part.kind == "lathe" and outline is not None:
        radius = outline[:, 0]
        least = min(1.0, min_half / float(half[0]))
        outline = np.stack([np.where(radius > 0, np.maximum(radius, least), 0.0), outline[:, 1]], axis=1)
    if part.kind == "prism" and outline is not None:
        outline = _thicken(outline * half[:2], 2 * min_half) / half[:2]
    center = (part.center - center) * scale
    return Part(part.kind, center, half, part.rotation, rounding, taper, part.color, outline)


def _thicken(outline: Vector, least: float) -> Vector:
    """Return an outline whose ends are blunt with its halves at least ``least`` apart."""
    count = len(outline) // 2
    first, second = outline[:count], outline[count:][::-1]
    apart = np.linalg.norm(first - second, axis=1)
    if min(apart[0], apart[-1]) < 0.5 * np.median(apart) or apart.min() >= least:
        return outline
    middle, grown = (first + second) / 2, np.maximum(1.0, least / np.maximum(apart, 1e-9))[:, None]
    first, second = middle + (first - middle) * grown, middle + (second - middle) * grown
    return np.concatenate([first, second[::-1]])


def normalize_parts(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Centre the union's bounding box at the origin and scale its longest side to 1.

    Parts that would be thinner than twice ``MIN_HALF_THICKNESS`` are thickened.
    """
    result = tuple(parts)
    for min_half in (1.08 * MIN_HALF_THICKNESS, MIN_HALF_THICKNESS):
        low, high = measure_bounds(result)
        scale = 1.0 / float((high - low).max())
        result = tuple(_scale(part, (low + high) / 2, scale, min_half) for part in result)
    low, high = measure_bounds(result)
    longest, center = float((high - low).max()), (low + high) / 2
    return tuple(_scale(part, center, 1.0 / longest, 0.0) for part in result)
