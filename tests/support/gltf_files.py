"""glTF files made by hand, for what no writer makes: every kind of content, also wrong ones."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SQUARE = np.float32([[-0.5, 0, 0], [0.5, 0, 0], [0.5, 1, 0], [-0.5, 1, 0]])
"""A square of side 1 that stands upright, y up, and looks along z."""
SQUARE_FACES = np.uint32([[0, 1, 2], [0, 2, 3]])
SQUARE_UV = np.float32([[0, 1], [1, 1], [1, 0], [0, 0]])

_COMPONENTS = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
_KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


def png(pixels: np.ndarray) -> bytes:
    """Return pixels as PNG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def glb_of(document: dict[str, Any], binary: bytes = b"") -> bytes:
    """Return a document and its binary chunk as GLB."""
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    if binary:
        chunks += struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks


class GltfFile:
    """A document under construction; ``json`` may be changed at will before it is written."""

    def __init__(self) -> None:
        self.binary = bytearray()
        tables = ("nodes", "meshes", "accessors", "bufferViews", "materials", "textures", "images")
        self.json: dict[str, Any] = {"asset": {"version": "2.0"}, "scenes": [{"nodes": []}]}
        self.json |= {name: [] for name in (*tables, "samplers", "skins")}

    def add(self, table: str, entry: dict[str, Any]) -> int:
        """Add an entry to a table and return its number."""
        self.json[table].append(entry)
        return len(self.json[table]) - 1

    def view(self, content: bytes, **more: Any) -> int:
        self.binary += b"\0" * (-len(self.binary) % 4)
        start = len(self.binary)
        self.binary += content
        return self.add("bufferViews", {"buffer": 0, "byteOffset": start, "byteLength": len(content), **more})

    def accessor(self, array: np.ndarray, **more: Any) -> int:
        rows = array.reshape(len(array), -1)
        entry = {
            "bufferView": self.view(np.ascontiguousarray(rows).tobytes()),
            "componentType": _COMPONENTS[array.dtype.str[1:]],
            "count": len(rows),
            "type": _KINDS[rows.shape[1]],
        }
        return self.add("accessors", entry | more)

    def primitive(
        self, vertices: np.ndarray = SQUARE, faces: np.ndarray = SQUARE_FACES, **more: Any
    ) -> dict[str, Any]:
        """Return a primitive; ``more`` are attributes (arrays) in capitals, and its other fields."""
        attributes = {"POSITION": self.accessor(vertices)}
        attributes |= {name: self.accessor(values) for name, values in more.items() if name.isupper()}
        fields = {name: value for name, value in more.items() if not name.isupper()}
        return {"attributes": attributes, "indices": self.accessor(faces.ravel()), **fields}

    def shape(self, *primitives: dict[str, Any], **node: Any) -> int:
        """Add a mesh with a node of the scene, and return the node's number."""
        number = self.add("nodes", {"mesh": self.add("meshes", {"primitives": list(primitives)}), **node})
        self.json["scenes"][0]["nodes"].append(number)
        return number

    def picture(self, content: bytes, sampler: dict[str, Any] | None = None) -> int:
        """Add a texture with an embedded picture and return its number."""
        image = self.add("images", {"bufferView": self.view(content), "mimeType": "image/png"})
        texture = {"source": image}
        if sampler is not None:
            texture["sampler"] = self.add("samplers", sampler)
        return self.add("textures", texture)

    def material(
        self, texture: int | None = None, factor: tuple[float, ...] | None = None, **more: Any
    ) -> int:
        surface: dict[str, Any] = {}
        if texture is not None:
            surface["baseColorTexture"] = {"index": texture}
        if factor is not None:
            surface["baseColorFactor"] = list(factor)
        return self.add("materials", {"pbrMetallicRoughness": surface, **more})

    def document(self) -> dict[str, Any]:
        """Return the document without its empty tables."""
        filled = {name: value for name, value in self.json.items() if value or name == "scenes"}
        filled.setdefault("buffers", [{"byteLength": len(self.binary)}] if self.binary else [])
        return filled

    def write(self, path: Path) -> Path:
        """Write a .glb, or a .gltf with its buffer beside it."""
        document = self.document()
        if path.suffix == ".glb":
            path.write_bytes(glb_of(document, bytes(self.binary)))
        else:
            document["buffers"][0]["uri"] = f"{path.stem}.bin"
            path.with_suffix(".bin").write_bytes(self.binary)
            path.write_text(json.dumps(document))
        return path
