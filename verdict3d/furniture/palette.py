"""Colours of one piece of furniture: woods, metals and fabrics that go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from verdict3d.furniture.parts import Color

Choice = TypeVar("Choice")

_WOODS = (
    (193, 154, 107),  # oak
    (222, 190, 148),  # birch
    (112, 74, 48),  # walnut
    (146, 84, 54),  # cherry
    (84, 58, 44),  # wenge
    (176, 124, 76),  # teak
    (232, 226, 214),  # white lacquer
    (62, 62, 64),  # black stain
    (118, 140, 126),  # painted sage
    (88, 110, 132),  # painted blue
)
_METALS = ((168, 172, 176), (52, 54, 58), (190, 152, 84), (176, 112, 78), (214, 214, 210))
_FABRICS = (
    (48, 112, 118),  # teal
    (208, 156, 60),  # mustard
    (190, 98, 70),  # terracotta
    (52, 66, 104),  # navy
    (132, 136, 140),  # grey
    (134, 152, 118),  # sage
    (204, 162, 154),  # blush
    (224, 214, 196),  # cream
    (116, 60, 72),  # burgundy
    (90, 96, 76),  # olive
    (150, 170, 190),  # dusty blue
)
_SHADES = ((240, 232, 214), (226, 206, 168), (214, 220, 220), (196, 120, 84), (84, 112, 116), (236, 196, 120))


@dataclass(frozen=True, eq=False)
class Palette:
    """Colours (3,) uint8 sRGB of one object; each differs visibly from its neighbours."""

    wood: Color
    second_wood: Color
    metal: Color
    fabric: Color
    second_fabric: Color
    shade: Color


def pick(rng: np.random.Generator, options: Sequence[Choice]) -> Choice:
    """Return one of ``options``; repeat an option to weigh it."""
    return options[int(rng.integers(len(options)))]


def draw_palette(rng: np.random.Generator) -> Palette:
    """Draw the colours of one object, with a little variation of each."""
    wood = pick(rng, _WOODS)
    fabric = pick(rng, _FABRICS)
    return Palette(
        wood=_vary(rng, wood),
        second_wood=_vary(rng, _pick_unlike(rng, wood, _WOODS)),
        metal=_vary(rng, _pick_unlike(rng, wood, _METALS)),
        fabric=_vary(rng, _pick_unlike(rng, wood, (fabric, *_FABRICS))),
        second_fabric=_vary(rng, _pick_unlike(rng, fabric, _FABRICS)),
        shade=_vary(rng, pick(rng, _SHADES)),
    )


def shade(color: Color, factor: float) -> Color:
    """Return ``color`` lighter (factor > 1) or darker, clipped."""
    return np.clip(color * factor, 0, 255).astype(np.uint8)


def _pick_unlike(
    rng: np.random.Generator, other: tuple[int, int, int], options: Sequence[tuple[int, int, int]]
) -> tuple[int, int, int]:
    start = int(rng.integers(len(options)))
    for step in range(len(options)):
        option = options[(start + step) % len(options)]
        if sum(abs(a - b) for a, b in zip(option, other, strict=True)) > 110:
            return option
    return options[start]


def _vary(rng: np.random.Generator, color: tuple[int, int, int]) -> Color:
    value = np.array(color) * rng.uniform(0.9, 1.08) + rng.uniform(-7, 7, size=3)
    return np.clip(value, 8, 247).astype(np.uint8)
