"""Photos in: reading them, and the crop to the object that TRELLIS conditions on.

The crop needs an alpha channel; ``verdict3d.trellis.photos`` makes one where it is missing. Spec section (a).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from verdict3d.errors import ItemFailure
from verdict3d.pictures import open_picture

RELEASED_SIZE_PX = 518
FOREGROUND_ALPHA = 204  # 0.8 of 255; a pixel above it belongs to the object
MARGIN = 1.2  # side of the crop in sides of the object's box
MAX_PIXELS = 2**26
"""Largest photo that is decoded: 67 megapixels, 256 MiB of memory."""

REMOVE_BACKGROUND = (
    "remove the background first and save it with transparency (PNG or WebP), or have it removed by "
    "`--background u2net` (or photos.background in params.yaml)"
)
"""What to do about a photo without transparency."""


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read a photo from an untrusted file, upright: RGBA when it has transparency, else RGB.

    Raises:
        ItemFailure: As :func:`verdict3d.pictures.open_picture`.
    """
    return open_picture(Path(path), str(path), max_pixels)


def find_object_box(image: Image.Image) -> tuple[float, float, float, float]:
    """Return the square crop (left, upper, right, lower) around the object of an RGBA photo, in pixels.

    It may reach beyond the image, where the photo counts as transparent.

    Raises:
        ItemFailure: ``no_alpha`` or ``no_foreground``.
    """
    if image.mode != "RGBA":
        raise ItemFailure(
            "no_alpha", f"the photo has no alpha channel (mode {image.mode}); {REMOVE_BACKGROUND}"
        )
    alpha = np.asarray(image.getchannel("A"))
    if alpha.size and alpha.min() == 255:
        raise ItemFailure("no_alpha", f"every pixel of the photo is opaque; {REMOVE_BACKGROUND}")
    rows, columns = (np.flatnonzero((alpha > FOREGROUND_ALPHA).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        allowed = f"no pixel has an alpha above {FOREGROUND_ALPHA}"
        raise ItemFailure(
            "no_foreground", f"the photo is transparent everywhere ({allowed}); keep the object opaque"
        )
    left, right, upper, lower = (int(edge) for edge in (columns[0], columns[-1], rows[0], rows[-1]))
    half = int(MARGIN * max(right - left, lower - upper)) // 2
    if half == 0:
        size = f"{right - left + 1} x {lower - upper + 1} pixels"
        raise ItemFailure("no_foreground", f"the object in the photo is {size}; give a larger picture of it")
    middle_x, middle_y = (left + right) / 2, (upper + lower) / 2
    return middle_x - half, middle_y - half, middle_x + half, middle_y + half


def preprocess_image(image: Image.Image, size_px: int = RELEASED_SIZE_PX) -> Image.Image:
    """Crop an RGBA photo to its object, resize it, and put it on black.

    Args:
        image: RGBA photo, straight alpha.
        size_px: Side of the result; 518 for the released models.

    Returns:
        RGB picture of ``size_px`` squared.

    Raises:
        ItemFailure: ``no_alpha`` or ``no_foreground``.
    """
    cropped = image.crop(find_object_box(image)).resize((size_px, size_px), Image.Resampling.LANCZOS)
    pixels = np.asarray(cropped).astype(np.float32) / 255
    composed = pixels[:, :, :3] * pixels[:, :, 3:]
    return Image.fromarray((composed * 255).astype(np.uint8))
