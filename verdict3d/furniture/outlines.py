"""Outlines of prisms and profiles of turned solids. Units are centimetres.

An outline is (n, 2) float64, counter-clockwise, n even; vertex i lies across from vertex n - 1 - i.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from verdict3d.furniture.palette import pick
from verdict3d.furniture.parts import Color, Part, Vector, prism, turn

Profile = list[tuple[float, float]]


def polygon(points: Sequence[tuple[float, float]]) -> Vector:
    """Return a convex outline through an even number of points, counter-clockwise."""
    return np.asarray(points, dtype=np.float64)


def shift_outline(outline: Vector, x: float, y: float) -> Vector:
    """Return an outline moved in its plane."""
    return outline + np.array([x, y])


def ellipse(width: float, depth: float, start: float = 0.0, end: float = 360.0, count: int = 24) -> Vector:
    """Return an ellipse of full size, or its segment between two angles in degrees."""
    angles = np.radians(np.linspace(start, end, count, endpoint=end - start < 359.9))
    return np.stack([width / 2 * np.cos(angles), depth / 2 * np.sin(angles)], axis=1)


def round_corners(width: float, depth: float, power: float) -> Vector:
    """Return a superellipse: 2 is an ellipse, 5 a box with round corners."""
    angles = 2 * np.pi * (np.arange(24) + 0.5) / 24
    cosine, sine = np.cos(angles), np.sin(angles)
    x, y = (np.sign(value) * np.abs(value) ** (2 / power) for value in (cosine, sine))
    return np.stack([width / 2 * x, depth / 2 * y], axis=1)


def arc(width: float, depth: float, thick: float, start: float, end: float, count: int = 12) -> Vector:
    """Return a band along an ellipse of outer size (width, depth), between two angles in degrees."""
    angles = np.radians(np.linspace(start, end, count))
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outer, inner = ring * [width / 2, depth / 2], ring * [width / 2 - thick, depth / 2 - thick]
    return np.concatenate([outer, inner[::-1]])


def band(points: Sequence[tuple[float, float]], thick: float) -> Vector:
    """Return a band of even thickness along a polyline that nowhere turns back sharply."""
    path = np.asarray(points, dtype=np.float64)
    steps = np.diff(path, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    normals = np.stack([steps[:, 1], -steps[:, 0]], axis=1)
    before, after = np.vstack([normals[:1], normals]), np.vstack([normals, normals[-1:]])
    mean = before + after
    mitre = mean / np.maximum((mean * after).sum(axis=1, keepdims=True), 0.35)
    side = mitre * thick / 2
    return np.concatenate([path + side, (path - side)[::-1]])


def smooth(points: Sequence[tuple[float, float]], rounds: int = 1) -> list[tuple[float, float]]:
    """Return a polyline with its corners cut (Chaikin), its ends kept."""
    path = [np.asarray(point, dtype=np.float64) for point in points]
    for _ in range(rounds):
        cut = [path[0]]
        for here, there in itertools.pairwise(path):
            cut += [0.75 * here + 0.25 * there, 0.25 * here + 0.75 * there]
        path = [*cut, path[-1]]
    return [(float(x), float(y)) for x, y in path]


def turn_upright(outline: Vector, front: float, back: float, color: Color) -> Part:
    """Return a solid whose outline is seen from the front, (x, z), between two depths y."""
    return turn([prism(outline, -back, -front, color)], "x", 90)[0]


def turn_sideways(outline: Vector, left: float, right: float, color: Color) -> Part:
    """Return a solid whose outline is seen from the side, (y, z), between two widths x."""
    return turn(turn([prism(outline, left, right, color)], "x", 90), "z", 90)[0]


def board_outline(rng: np.random.Generator, width: float, depth: float) -> Vector:
    """Draw the outline of a table top or a seat."""
    kind = pick(rng, ("ellipse", "round", "hexagon", "trapezoid", "half", "drop"))
    if kind == "ellipse":
        return ellipse(width, depth)
    if kind == "round":
        return round_corners(width, depth, rng.uniform(2.6, 6))
    if kind == "hexagon":
        return ellipse(width, depth, count=pick(rng, (6, 8)))
    if kind == "half":
        return shift_outline(ellipse(width, 2 * depth, 180, 359.8, 14), 0.0, depth / 2)
    x, y = width / 2, depth / 2
    share = rng.uniform(0.35, 0.8)
    narrow = pick(rng, (-1.0, 1.0))
    low, high = (x, share * x) if narrow > 0 else (share * x, x)
    if kind == "trapezoid":
        return polygon([(-low, -y), (low, -y), (high, y), (-high, y)])
    shift = rng.uniform(-0.3, 0.3) * x
    return polygon([(-low, -y), (shift, -1.05 * y), (low, -y), (high, y), (shift, 1.05 * y), (-high, y)])


def turned_profile(rng: np.random.Generator, radius: float, low: float, high: float, knots: int) -> Profile:
    """Draw the profile of a vase: ``knots`` radii up to ``radius``, joined smoothly."""
    radii = radius * rng.uniform(0.3, 1.0, size=knots)
    radii[int(rng.integers(knots))] = radius
    heights = low + (high - low) * np.linspace(0, 1, knots)
    if rng.random() < 0.5:
        return [(float(r), float(z)) for r, z in zip(radii, heights, strict=True)]
    return smooth(list(zip(radii.tolist(), heights.tolist(), strict=True)))


def dome(radius: float, low: float, high: float, steps: int = 6) -> Profile:
    """Return half an ellipsoid standing on ``low``."""
    angles = np.linspace(0, 0.94 * math.pi / 2, steps)
    return [(radius * math.cos(a), low + (high - low) * math.sin(a)) for a in angles]


def ball(radius: float, low: float, high: float, steps: int = 9) -> Profile:
    """Return an ellipsoid between two heights."""
    angles = np.linspace(-0.94 * math.pi / 2, 0.94 * math.pi / 2, steps)
    middle, half = (low + high) / 2, (high - low) / 2
    return [(radius * math.cos(a), middle + half * math.sin(a)) for a in angles]
