"""Occluders that cover a stated share of the object's area, exact to a pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from verdict3d.degrade.picture import Box, Floats

FILLS = ("erase", "grey", "texture")
"""``erase`` removes the pixels (alpha 0: black for the generator); the others paint an opaque thing."""

_SHAPES = ("rectangle", "ellipse", "stroke")


def occlude(straight: Floats, box: Box, share: float, rng: np.random.Generator) -> Floats:
    """Cover ``share`` of the object's area with one to three shapes of one fill.

    Every pixel gets the size at which the growing shapes reach it; the size that covers the wanted area is
    then read from the sorted values. The shapes for one generator state do not depend on ``share``, so a
    larger share covers everything a smaller one does. Painted occluders stick out of the object but end at
    its box, so that the generator frames the picture as before.

    Args:
        straight: (H, W, 4) in [0, 1].
        box: The object's box.
        share: Wanted share of the summed alpha inside the box, in (0, 1).
        rng: Draws count, kinds, places and the fill.
    """
    inside = (slice(box.top, box.bottom), slice(box.left, box.right))
    reach = _reach(straight[..., 3][inside], box, rng)
    fill = FILLS[rng.integers(len(FILLS))]
    paint = _paint(fill, box, rng)
    covered = _covered(reach, straight[..., 3][inside], share)
    result = straight.copy()
    result[inside][covered] = paint[covered]
    return result


def _reach(alpha: Floats, box: Box, rng: np.random.Generator) -> Floats:
    """Return for each pixel of the box the common size at which one of the drawn shapes covers it."""
    rows, columns = np.mgrid[0 : box.height, 0 : box.width].astype(np.float64)
    object_rows, object_columns = np.nonzero(alpha >= min(0.5, alpha.max()))
    reach = np.full(alpha.shape, np.inf)
    for _ in range(int(rng.integers(1, 4))):
        center = int(rng.integers(len(object_rows)))
        kind = _SHAPES[rng.integers(len(_SHAPES))]
        angle, stretch = rng.uniform(0.0, np.pi), np.exp(rng.uniform(-0.6, 0.6))
        x, y = columns - object_columns[center], rows - object_rows[center]
        along = np.abs(np.cos(angle) * x + np.sin(angle) * y)
        across = np.abs(np.cos(angle) * y - np.sin(angle) * x)
        if kind == "rectangle":
            size = np.maximum(along * stretch, across / stretch)
        elif kind == "ellipse":
            size = np.hypot(along * stretch, across / stretch)
        else:  # a long bar with round ends
            half_length = rng.uniform(0.3, 0.6) * max(box.width, box.height)
            size = np.hypot(np.maximum(along - half_length, 0.0), across)
        reach = np.minimum(reach, size)
    return reach


def _covered(reach: Floats, alpha: Floats, share: float) -> NDArray[np.bool_]:
    order = np.argsort(reach, axis=None, kind="stable")
    area = np.cumsum(alpha.ravel()[order])
    count = int(np.searchsorted(area, share * area[-1])) + 1
    covered = np.zeros(alpha.size, dtype=bool)
    covered[order[:count]] = True
    return covered.reshape(alpha.shape)


def _paint(fill: str, box: Box, rng: np.random.Generator) -> Floats:
    """Return what the occluder looks like over the whole box, (height, width, 4)."""
    paint = np.zeros((box.height, box.width, 4))
    if fill == "erase":
        return paint
    paint[..., 3] = 1.0
    if fill == "grey":
        paint[..., :3] = rng.uniform(0.25, 0.75)
        return paint
    cells = rng.integers(0, 256, size=(*rng.integers(3, 9, size=2), 3), dtype=np.uint8)
    pattern = Image.fromarray(cells, "RGB").resize((box.width, box.height), Image.Resampling.BICUBIC)
    paint[..., :3] = np.asarray(pattern, dtype=np.float64) / 255.0
    return paint
