"""One mesh as binary glTF 2.0: small, deterministic, valid by the specification."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from verdict3d.mesh.axes import GLTF_UP, turn_into_file
from verdict3d.mesh.mesh import Mesh

MAGIC, VERSION, JSON_CHUNK, BIN_CHUNK = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_FLOAT, _UINT32 = 5126, 5125
_ARRAY_BUFFER, _ELEMENT_BUFFER = 34962, 34963


def linear_from_srgb(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return linear light in [0, 1] of sRGB values in [0, 1] (IEC 61966-2-1)."""
    values = np.asarray(values, dtype=np.float64)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return sRGB values in [0, 1] of linear light, clipped to [0, 1] (IEC 61966-2-1)."""
    values = np.clip(np.asarray(values, dtype=np.float64), 0.0, 1.0)
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


class _Buffer:
    """The binary chunk under construction, with its views and accessors."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add_view(self, content: bytes, target: int | None = None) -> int:
        self.content += b"\0" * (-len(self.content) % 4)
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.content), "byteLength": len(content)}
        if target is not None:
            view["target"] = target
        self.content += content
        self.views.append(view)
        return len(self.views) - 1

    def add_array(self, array: NDArray[Any], component: int, kind: str, target: int, **extra: Any) -> int:
        view = self.add_view(np.ascontiguousarray(array).tobytes(), target)
        count = array.size if kind == "SCALAR" else len(array)
        self.accessors.append(
            {"bufferView": view, "componentType": component, "count": count, "type": kind, **extra}
        )
        return len(self.accessors) - 1


def encode_glb(mesh: Mesh) -> bytes:
    """Return ``mesh`` as GLB: y-up, vertex colours as linear COLOR_0, the texture embedded as PNG."""
    buffer = _Buffer()
    positions = turn_into_file(mesh.vertices, GLTF_UP).astype("<f4")
    reach = {"min": positions.min(axis=0).tolist(), "max": positions.max(axis=0).tolist()}
    attributes = {"POSITION": buffer.add_array(positions, _FLOAT, "VEC3", _ARRAY_BUFFER, **reach)}
    document: dict[str, Any] = {"asset": {"version": "2.0", "generator": "Verdict3D"}}
    surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 0.9}
    if mesh.uv is not None and mesh.texture is not None:
        attributes["TEXCOORD_0"] = buffer.add_array(mesh.uv.astype("<f4"), _FLOAT, "VEC2", _ARRAY_BUFFER)
        picture = io.BytesIO()
        # glTF's v points down: the picture is turned over, so that the coordinates stay as they are, exactly
        Image.fromarray(mesh.texture[::-1]).save(picture, format="PNG")
        document["images"] = [{"bufferView": buffer.add_view(picture.getvalue()), "mimeType": "image/png"}]
        document["textures"] = [{"source": 0}]
        surface["baseColorTexture"] = {"index": 0}
    if mesh.colors is not None:
        colors = linear_from_srgb(np.arange(256) / 255).astype("<f4")[mesh.colors]
        attributes["COLOR_0"] = buffer.add_array(colors, _FLOAT, "VEC3", _ARRAY_BUFFER)
    indices = buffer.add_array(mesh.faces.astype("<u4"), _UINT32, "SCALAR", _ELEMENT_BUFFER)
    primitive = {"attributes": attributes, "indices": indices, "material": 0, "mode": 4}
    document |= {
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [{"pbrMetallicRoughness": surface, "doubleSided": True}],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.content)}],
    }
    return _write_container(document, bytes(buffer.content))


def _write_container(document: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    return b"".join(
        (
            struct.pack("<III", MAGIC, VERSION, 12 + 8 + len(text) + 8 + len(binary)),
            struct.pack("<II", len(text), JSON_CHUNK),
            text,
            struct.pack("<II", len(binary), BIN_CHUNK),
            binary,
        )
    )
