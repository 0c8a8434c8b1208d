"""Pictures on surfaces: decoded within the file's budget, and sampled as the file says they repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.reading import Reading
from verdict3d.pictures import open_picture
from verdict3d.provenance import digest_bytes

Wrap = Literal["repeat", "mirror", "clamp"]
"""How a texture goes on beyond its borders."""

KEPT_PX = 4096
"""Sides that are longer are reduced: no picture shows more of a texture."""

_PIXEL_BYTES = 6  # while it is decoded


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture on a surface; one object for one picture, however often it is used.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB, first row at the upper edge, v = 1.
        alpha: (H, W) uint8, or None where it is opaque.
        wrap: How it goes on in u and in v.
    """

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    wrap: tuple[Wrap, Wrap] = ("repeat", "repeat")


class Textures:
    """Decodes the pictures of one mesh file, each content once.

    Args:
        reading: Limits, budget and notes of the mesh file.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._decoded: dict[str, Texture] = {}

    def decode(self, content: bytes, name: str) -> Texture:
        """Return a picture as a texture that repeats; its size is checked before it is decoded.

        Args:
            content: The picture's file.
            name: What messages call it.

        Raises:
            ItemFailure: ``texture_too_large``, ``broken_texture`` or ``too_costly``.
        """
        key = digest_bytes(content)
        if key not in self._decoded:
            self._decoded[key] = self._decode(content, name)
        return self._decoded[key]

    def _decode(self, content: bytes, name: str) -> Texture:
        allowed = self._reading.limits.texture_px**2
        affordable = int(self._reading.bytes_left / _PIXEL_BYTES)
        try:
            image = open_picture(content, name, min(allowed, affordable), upright=False)
        except ItemFailure as failure:
            if failure.reason != "too_large":
                raise ItemFailure("broken_texture", str(failure)) from failure
            if affordable < allowed:
                self._reading.spend(_PIXEL_BYTES * (affordable + 1), "a texture")
            raise ItemFailure("texture_too_large", str(failure)) from failure
        self._reading.spend(_PIXEL_BYTES * image.width * image.height, "a texture")
        if max(image.size) > KEPT_PX:
            size = f"{image.width} x {image.height}"
            image = image.reduce(-(-max(image.size) // KEPT_PX))
            text = f"{name} has {size} px; {image.width} x {image.height} px are kept"
            self._reading.note("texture_reduced", text)
        pixels = np.asarray(image)
        if pixels.shape[2] == 3:
            return Texture(pixels)
        return Texture(np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3]))


def wrap_texture(places: NDArray[np.int64], size: int, wrap: Wrap) -> NDArray[np.int64]:
    """Return which pixel, 0 to ``size`` - 1, stands at each place of an endless row of pixels."""
    if wrap == "clamp":
        return places.clip(0, size - 1)
    if wrap == "repeat":
        return places % size
    turned = places % (2 * size)
    return np.minimum(turned, 2 * size - 1 - turned)
