"""What a judge sees: a picture of the object and one montage of each candidate."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from verdict3d.errors import ItemFailure

Pixels = NDArray[np.uint8]

_SMALLEST_PX = 8
_LARGEST_PX = 8192


def picture(image: Image.Image | Pixels) -> Pixels:
    """Return an image as (height, width, 3) uint8, transparent parts on black.

    Raises:
        ItemFailure: ``bad_image``: other dtype or shape, or a side outside 8 to 8192 pixels.
    """
    if isinstance(image, Image.Image):
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            shown = image.convert("RGBA")
            black = Image.new("RGBA", shown.size, (0, 0, 0, 255))
            image = Image.alpha_composite(black, shown)
        pixels: Pixels = np.asarray(image.convert("RGB"), dtype=np.uint8)
    else:
        pixels = np.ascontiguousarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ItemFailure(
            "bad_image",
            f"a panel picture is {pixels.dtype} {pixels.shape}; expected uint8 (height, width, 3)",
        )
    if not all(_SMALLEST_PX <= side <= _LARGEST_PX for side in pixels.shape[:2]):
        raise ItemFailure(
            "bad_image",
            f"a panel picture has {pixels.shape[1]} x {pixels.shape[0]} pixels; allowed: {_SMALLEST_PX} to "
            f"{_LARGEST_PX} a side",
        )
    return pixels


def read_picture(path: str | Path) -> Pixels:
    """Read a PNG or JPEG file as :func:`picture` does.

    Raises:
        ItemFailure: ``missing_image`` or ``bad_image``, with the path.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return picture(image)
    except FileNotFoundError as error:
        raise ItemFailure("missing_image", f"{path} is missing") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ItemFailure("bad_image", f"{path} cannot be read as an image: {error}") from error


def picture_digest(pixels: Pixels) -> str:
    """Return the SHA-256 of a picture's shape and values."""
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Panel:
    """Three pictures: the reference and the montages of candidates X and Y, each uint8 (height, width, 3)."""

    reference: Pixels
    x: Pixels
    y: Pixels

    @cached_property
    def digests(self) -> tuple[str, str, str]:
        """Digests of reference, X and Y."""
        return picture_digest(self.reference), picture_digest(self.x), picture_digest(self.y)


@dataclass(frozen=True, eq=False)
class PairRequest:
    """A question to a judge: which of X and Y is the better mesh of the reference's object?

    Args:
        panel: What is shown.
        reference: Digest of the reference picture.
        x: Digest of mesh X.
        y: Digest of mesh Y.
        rig: Digest of the camera rig that made the montages.
    """

    panel: Panel = field(repr=False)
    reference: str
    x: str
    y: str
    rig: str

    @classmethod
    def of(cls, panel: Panel, x: str, y: str, rig: str) -> PairRequest:
        """Build a request whose reference digest is that of the panel's picture."""
        return cls(panel, panel.digests[0], x, y, rig)
