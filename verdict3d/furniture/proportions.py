"""Proportions of an object: heights, widths and depths changed piecewise, so that parts still meet.

A monotone map of each coordinate moves the faces of upright boxes, the ends of bars and rods and the centres
of all other parts; a bar keeps its thickness and what is round stays round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from verdict3d.furniture.parts import Part, Vector, _make_axes_along, measure_bounds

_UPRIGHT = 1e-6


@dataclass(frozen=True)
class Spread:
    """How much proportions vary.

    Attributes:
        sizes: (3,) natural logarithm of the largest factor on width, depth and height.
        inner: (3,) the same of the pieces within.
        mirrored: Left and right change alike.
    """

    sizes: tuple[float, float, float]
    inner: tuple[float, float, float]
    mirrored: bool = True


@dataclass(frozen=True)
class _Axis:
    """A monotone, piecewise linear map of one coordinate."""

    knots: Vector
    images: Vector

    def __call__(self, value: Vector | float) -> Vector:
        return np.asarray(np.interp(value, self.knots, self.images))


def _draw_axis(
    rng: np.random.Generator, low: float, high: float, size: float, inner: float, mirrored: bool
) -> _Axis:
    pieces = 4
    factors = np.exp(rng.uniform(-inner, inner, size=pieces))
    if mirrored:
        factors = (factors + factors[::-1]) / 2
    factors *= np.exp(rng.uniform(-size, size))
    knots = np.linspace(low, high, pieces + 1)
    steps = np.diff(knots) * factors
    return _Axis(knots, np.concatenate([[0.0], np.cumsum(steps)]))


def vary_proportions(rng: np.random.Generator, parts: Sequence[Part], spread: Spread) -> list[Part]:
    """Return the parts in other proportions; where an upright outline is among them, of the whole only."""
    low, high = measure_bounds(parts)
    bent = any(part.kind == "prism" and part.rotation[2, 2] < 0.5 for part in parts)
    inner = (0.0, 0.0, 0.0) if bent else spread.inner
    axes = [
        _draw_axis(rng, low[i] - 1e-3, high[i] + 1e-3, spread.sizes[i], inner[i], i == 0 and spread.mirrored)
        for i in range(3)
    ]
    return [_vary(part, axes) for part in parts]


def _move_to(axes: Sequence[_Axis], point: Vector) -> Vector:
    return np.array([float(axis(value)) for axis, value in zip(axes, point, strict=True)])


def _vary(part: Part, axes: Sequence[_Axis]) -> Part:
    turn = np.abs(part.rotation)
    plain = bool((turn.max(axis=1) > 1 - _UPRIGHT).all())
    long = part.half_size[2] > 2.5 * part.half_size[0]
    if part.kind in ("cylinder", "tapered") and (long or not plain):
        along = part.rotation[:, 2] * part.half_size[2]
        start, end = _move_to(axes, part.center - along), _move_to(axes, part.center + along)
        way = end - start
        length = float(np.linalg.norm(way))
        x, y, z = way / length
        rotation = part.rotation if plain else _make_axes_along((float(x), float(y), float(z)))
        half = np.array([*part.half_size[:2], length / 2])
        return replace(part, center=(start + end) / 2, half_size=half, rotation=rotation)
    reach = turn @ part.half_size
    low, high = _move_to(axes, part.center - reach), _move_to(axes, part.center + reach)
    center = (low + high) / 2
    if plain:
        grown = turn.T @ ((high - low) / 2)
    else:
        slopes = (high - low) / (2 * reach)
        grown = part.half_size * np.linalg.norm(part.rotation * slopes[:, None], axis=0)
    if part.kind in ("cylinder", "lathe"):
        grown[:2] = float(np.sqrt(grown[0] * grown[1]))
    rounding = min(part.rounding * float(grown.min() / part.half_size.min()), 0.9 * float(grown.min()))
    if part.kind != "rounded_box":
        rounding = 0.0
    return replace(part, center=center, half_size=grown, rounding=rounding)
