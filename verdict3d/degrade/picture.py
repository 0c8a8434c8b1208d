"""Pictures as arrays: straight and premultiplied alpha, and the box of the object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from verdict3d.errors import ItemFailure

FULL_BOX_PX = 518
"""Side of the object box that spatial constants are stated for (the conditioner's input)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Box:
    """Pixels ``left <= column < right`` and ``top <= row < bottom``."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def scale(self) -> float:
        """Longer side over 518 px: what spatial constants are multiplied by."""
        return max(self.width, self.height) / FULL_BOX_PX


def as_floats(image: Image.Image) -> Floats:
    """Return (H, W, 4) float64 in [0, 1], straight alpha."""
    return np.asarray(image, dtype=np.float64) / 255.0


def as_image(straight: Floats) -> Image.Image:
    """Return an RGBA image from (H, W, 4) in [0, 1], straight alpha; colour under alpha 0 becomes black."""
    scaled = np.clip(straight, 0.0, 1.0)
    scaled *= 255.0
    levels = np.rint(scaled, out=scaled).astype(np.uint8)
    levels[levels[..., 3] == 0] = 0
    return Image.fromarray(levels, "RGBA")


def premultiply(straight: Floats) -> Floats:
    """Return colour times alpha, with alpha."""
    premultiplied = straight.copy()
    premultiplied[..., :3] *= straight[..., 3:]
    return premultiplied


def unpremultiply(premultiplied: Floats) -> Floats:
    """Return straight alpha from premultiplied, clipped to [0, 1]; colour is 0 where alpha is."""
    straight = np.zeros_like(premultiplied)
    alpha = np.clip(premultiplied[..., 3:], 0.0, 1.0, out=straight[..., 3:])
    color = straight[..., :3]
    np.divide(premultiplied[..., :3], alpha, out=color, where=alpha > 1e-6)
    np.clip(color, 0.0, 1.0, out=color)
    return straight


def object_box(image: Image.Image) -> Box:
    """Return the box of the pixels that are at least half opaque, or of all visible ones if none is.

    Raises:
        ItemFailure: Every pixel is transparent (``empty_picture``).
    """
    alpha = np.asarray(image.getchannel("A"))
    mask = alpha >= 128
    if not mask.any():
        mask = alpha > 0
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        raise ItemFailure("empty_picture", "the picture shows no object: every pixel is transparent")
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
