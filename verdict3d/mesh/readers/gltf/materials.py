"""What a glTF primitive looks like: base colour, texture, opacity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.gltf.accessors import Accessors, read_rows
from verdict3d.mesh.readers.gltf.document import SPECULAR, Document, Json, find_extension
from verdict3d.mesh.readers.pieces import is_sound
from verdict3d.mesh.readers.textures import Texture, Wrap
from verdict3d.mesh.readers.transparency import HALF
from verdict3d.mesh.writers.glb import srgb_from_linear

_WRAPS: dict[int, Wrap] = {33071: "clamp", 33648: "mirror", 10497: "repeat"}
_SOURCES = ("EXT_texture_webp", "EXT_texture_avif")


@dataclass(frozen=True, eq=False)
class Surface:
    """The looks of a primitive's vertices, V of them.

    Attributes:
        colors: (V, 3) uint8 sRGB, or None.
        flat: (3,) uint8 sRGB of all vertices, or None.
        uv: (V, 2), or None.
        texture: Present exactly when ``uv`` is.
        opacity: (V,) in [0, 1]; None for an opaque material.
        cutoff: Opacity from which on it is seen.
        blends: Whether what lies behind should shine through.
    """

    colors: NDArray[np.uint8] | None
    flat: NDArray[np.uint8] | None
    uv: NDArray[np.float64] | None
    texture: Texture | None
    opacity: NDArray[np.float64] | None
    cutoff: float
    blends: bool


class Materials:
    """Reads materials and their textures.

    Args:
        document: The file.
        accessors: Its numbers.
    """

    def __init__(self, document: Document, accessors: Accessors) -> None:
        self._document, self._accessors = document, accessors
        self._textures: dict[int, Texture | None] = {}
        self._wrapped: dict[tuple[int, tuple[Wrap, Wrap]], Texture] = {}

    def find_surface(self, primitive: Json, used: NDArray[np.int64]) -> Surface:
        """Return the looks of those vertices of a primitive that ``used`` (V,) names.

        Raises:
            ItemFailure: ``broken_file`` or ``too_costly``; or, where the limits refuse a mesh whose texture
                cannot be read, the reason why.
        """
        material = (
            self._document.find_entry("materials", primitive["material"]) if "material" in primitive else {}
        )
        surface = material.get("pbrMetallicRoughness", {})
        names = ("baseColorFactor", "baseColorTexture")
        if (glossy := find_extension(material, SPECULAR)) is not None:
            surface, names = glossy, ("diffuseFactor", "diffuseTexture")
        factor = np.clip(np.array(surface.get(names[0], [1.0] * 4), dtype=np.float64), 0, 1)
        if factor.shape != (4,):
            raise ItemFailure("broken_file", "the colour of a material is not four numbers")
        uv, texture = self._read_texture(primitive, surface.get(names[1]), used)
        colors = self._accessors.read_attribute(primitive, "COLOR_0")
        mode = material.get("alphaMode", "OPAQUE")
        opacity = None if mode == "OPAQUE" else np.full(len(used), factor[3])
        flat = _encode_linear(factor[:3]) if names[0] in surface else None
        shades = None
        if colors is not None:
            colors = read_rows(colors, 4 if colors.shape[1] == 4 else 3, used)
            if not (colors[:, :3] == 1).all() or texture is None:
                shades, flat = _encode_linear(colors[:, :3] * factor[:3]), None
            if opacity is not None and colors.shape[1] == 4:
                opacity = opacity * np.clip(np.nan_to_num(colors[:, 3]), 0, 1)
        cutoff = float(material.get("alphaCutoff", HALF)) if mode == "MASK" else HALF
        return Surface(shades, flat, uv, texture, opacity, cutoff, mode == "BLEND")

    def _read_texture(
        self, primitive: Json, reference: Json | None, used: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], Texture] | tuple[None, None]:
        """Return where the vertices lie on the texture, and the texture; two None where it cannot be had."""
        if reference is None:
            return None, None
        moved = find_extension(reference, "KHR_texture_transform") or {}
        channel = f"TEXCOORD_{moved.get('texCoord', reference.get('texCoord', 0))}"
        places = self._accessors.read_attribute(primitive, channel)
        if places is None:
            return None, None
        uv = _move_uv(read_rows(places, 2, used), moved)
        if not is_sound(uv):
            message = "a texture coordinate is NaN, infinite or beyond 100,000"
            self._document.reading.lose_texture(ItemFailure("non_finite", message))
            return None, None
        texture = self._wrap_texture(reference["index"])
        return (None, None) if texture is None else (uv, texture)

    def _wrap_texture(self, index: Any) -> Texture | None:
        """Return a texture; the same object for the same picture that goes on in the same way."""
        entry = self._document.find_entry("textures", index)
        if index not in self._textures:
            try:
                self._textures[index] = self._find_picture(entry)
            except ItemFailure as failure:
                self._document.reading.lose_texture(failure)
                self._textures[index] = None
        texture = self._textures[index]
        if texture is None:
            return None
        sampler = self._document.find_entry("samplers", entry["sampler"]) if "sampler" in entry else {}
        across, up = (_WRAPS.get(sampler.get(name, 10497), "repeat") for name in ("wrapS", "wrapT"))
        key = (id(texture), (across, up))
        if key not in self._wrapped:
            # glTF's v points down: the picture is turned over, and coordinates stay as they are, exactly
            alpha = None if texture.alpha is None else texture.alpha[::-1]
            self._wrapped[key] = Texture(texture.pixels[::-1], alpha, (across, up))
        return self._wrapped[key]

    def _find_picture(self, texture: Json) -> Texture:
        sources = [(find_extension(texture, name) or {}).get("source") for name in _SOURCES]
        found = [source for source in (*sources, texture.get("source")) if source is not None]
        if not found:
            names = ", ".join(map(str, texture.get("extensions", {}))) or "no format"
            raise ItemFailure("unsupported_texture", f"a texture has {names[:80]} only, which cannot be read")
        return self._read_image(found[0])

    def _read_image(self, index: Any) -> Texture:
        image = self._document.find_entry("images", index)
        uri = image.get("uri")
        if isinstance(uri, str) and not uri.startswith("data:"):
            return self._document.folder.read_texture(unquote(uri))
        content = (
            self._accessors.view(image["bufferView"]) if uri is None else self._document.read_content(uri)
        )
        return self._document.folder.textures.decode(bytes(content), f"image {index}")


def _move_uv(uv: NDArray[np.float64], moved: Json) -> NDArray[np.float64]:
    """Apply KHR_texture_transform: scale, then rotation, then offset."""
    if not moved:
        return uv
    scaled = uv * np.array(moved.get("scale", (1.0, 1.0)))
    angle = float(moved.get("rotation", 0.0))
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = scaled @ np.array([[cosine, -sine], [sine, cosine]])
    return turned + np.array(moved.get("offset", (0.0, 0.0)))


def _encode_linear(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(srgb_from_linear(np.nan_to_num(values)) * 255).astype(np.uint8)
