"""Binary glTF 2.0 from untrusted sources: triangles, base colours, textures, node transforms.

Everything must lie inside the file. Vertex data keep glTF's frame; ``mesh/files.py`` turns them.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np

from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.own_folder import read_picture
from verdict3d.mesh.readers.pieces import Piece
from verdict3d.mesh.readers.reading import Reading
from verdict3d.mesh.writers.glb import BIN_CHUNK, JSON_CHUNK, MAGIC, linear_from_srgb, srgb_from_linear

_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_HARMLESS = {"KHR_mesh_quantization", "KHR_texture_transform", "KHR_lights_punctual", "EXT_texture_webp"}

Json = dict[str, Any]


def read_glb(content: bytes, reading: Reading) -> list[Piece]:
    """Parse a GLB into pieces in the scene's frame (y-up).

    Raises:
        ItemFailure: ``external_reference``, ``unsupported_feature``, ``too_many_faces``, ``broken_file``,
            ``broken_texture`` or ``texture_too_large``.
        ValueError, KeyError, IndexError, TypeError, struct.error: The file is malformed.
    """
    document, binary = _chunks(content)
    return list(_Scene(document, binary, reading).pieces())


def _chunks(content: bytes) -> tuple[Json, bytes]:
    magic, version, length = struct.unpack_from("<III", content)
    if magic != MAGIC or version != 2:
        raise ItemFailure("broken_file", "the file does not begin as a binary glTF 2.0")
    if length > len(content):
        raise ItemFailure("broken_file", f"the file is cut off: {len(content)} of {length} bytes are there")
    chunks: dict[int, bytes] = {}
    offset = 12
    while offset + 8 <= length:
        size, kind = struct.unpack_from("<II", content, offset)
        if offset + 8 + size > length:
            raise ItemFailure("broken_file", "a chunk reaches beyond the end of the file")
        chunks.setdefault(kind, content[offset + 8 : offset + 8 + size])
        offset += 8 + size
    document = json.loads(chunks[JSON_CHUNK])
    if not isinstance(document, dict):
        raise ItemFailure("broken_file", "the glTF document is not a JSON object")
    return document, chunks.get(BIN_CHUNK, b"")


class _Scene:
    def __init__(self, document: Json, binary: bytes, reading: Reading) -> None:
        self._document, self._reading, self._limits = document, reading, reading.limits
        needed = set(document.get("extensionsRequired", ()))
        unknown = {name for name in needed - _HARMLESS if not str(name).startswith("KHR_materials_")}
        if unknown:
            raise ItemFailure("unsupported_feature", f"the file needs {', '.join(sorted(map(str, unknown)))}")
        self._buffers = [self._buffer(entry, binary) for entry in document.get("buffers", [])]
        for image in document.get("images", []):
            if "uri" in image:
                _embedded(image["uri"])
        self._pictures: dict[int, np.ndarray] = {}

    def pieces(self) -> Iterator[Piece]:
        """Yield every primitive of the scene, placed."""
        total = 0
        for mesh_index, transform in self._placed_meshes():
            for primitive in _entry(self._document, "meshes", mesh_index)["primitives"]:
                if primitive.get("mode", _TRIANGLES) not in (_TRIANGLES, _STRIP, _FAN):
                    continue
                total += self._face_bound(primitive)
                if total > self._limits.faces:
                    raise ItemFailure(
                        "too_many_faces", f"more than {self._limits.faces} faces, the most that is allowed"
                    )
                yield self._piece(primitive, transform)

    def _buffer(self, entry: Json, binary: bytes) -> bytes:
        content = _embedded(entry["uri"]) if "uri" in entry else binary
        if len(content) < entry["byteLength"]:
            raise ItemFailure("broken_file", "a buffer is shorter than the file says")
        return content

    def _placed_meshes(self) -> Iterator[tuple[int, np.ndarray]]:
        """Walk the node tree; a node may be reached only once."""
        nodes = self._document.get("nodes", [])
        scenes = self._document.get("scenes")
        if scenes:
            roots = _entry(self._document, "scenes", self._document.get("scene", 0)).get("nodes", [])
        else:
            children = {child for node in nodes for child in node.get("children", ())}
            roots = [index for index in range(len(nodes)) if index not in children]
        stack = [(index, np.eye(4)) for index in reversed(roots)]
        seen: set[int] = set()
        while stack:
            index, parent = stack.pop()
            if index in seen:
                raise ItemFailure("broken_file", f"node {index} is used twice: the nodes are not a tree")
            seen.add(index)
            node = _entry(self._document, "nodes", index)
            transform = parent @ _node_matrix(node)
            if "mesh" in node:
                yield node["mesh"], transform
            stack += [(child, transform) for child in reversed(node.get("children", []))]

    def _face_bound(self, primitive: Json) -> int:
        name = primitive["indices"] if "indices" in primitive else primitive["attributes"]["POSITION"]
        count = int(_entry(self._document, "accessors", name)["count"])
        return count // 3 if primitive.get("mode", _TRIANGLES) == _TRIANGLES else count

    def _piece(self, primitive: Json, transform: np.ndarray) -> Piece:
        attributes = primitive["attributes"]
        local = self._array(attributes["POSITION"])[:, :3]
        vertices = local @ transform[:3, :3].T + transform[:3, 3]
        if "indices" in primitive:
            order = self._raw(primitive["indices"]).ravel().astype(np.int64)
        else:
            order = np.arange(len(vertices))
        faces = _triangles(order, primitive.get("mode", _TRIANGLES))
        if np.linalg.det(transform[:3, :3]) < 0:
            faces = faces[:, ::-1]
        return Piece(vertices, faces, **self._surface(primitive, len(vertices)))

    def _surface(self, primitive: Json, count: int) -> dict[str, np.ndarray]:
        """Return the keyword arguments of ``Piece`` that say its colour."""
        attributes = primitive["attributes"]
        material = (
            _entry(self._document, "materials", primitive["material"]) if "material" in primitive else {}
        )
        surface = material.get("pbrMetallicRoughness", {})
        factor = np.clip(np.array(surface.get("baseColorFactor", [1.0] * 4), dtype=np.float64)[:3], 0, 1)
        reference = surface.get("baseColorTexture")
        if reference is not None:
            moved = reference.get("extensions", {}).get("KHR_texture_transform", {})
            channel = f"TEXCOORD_{moved.get('texCoord', reference.get('texCoord', 0))}"
            if channel in attributes:
                uv = self._array(attributes[channel])
                _expect_rows(uv, count)
                try:
                    texture = _tinted(self._picture(reference["index"]), factor)
                except ItemFailure as failure:
                    self._reading.lose_texture(failure)
                else:
                    return {"uv": _moved_uv(uv, moved), "texture": texture}
        if "COLOR_0" in attributes:
            colors = self._array(attributes["COLOR_0"])[:, :3]
            _expect_rows(colors, count)
            return {"colors": _bytes_from_linear(colors * factor)}
        return {"flat": _bytes_from_linear(factor)} if "baseColorFactor" in surface else {}

    def _picture(self, texture_index: int) -> np.ndarray:
        texture = _entry(self._document, "textures", texture_index)
        source = texture.get(
            "source", texture.get("extensions", {}).get("EXT_texture_webp", {}).get("source")
        )
        if source is None:
            raise ItemFailure("unsupported_feature", "a texture is in a format that cannot be read")
        if source not in self._pictures:
            image = _entry(self._document, "images", source)
            content = _embedded(image["uri"]) if "uri" in image else self._view(image["bufferView"])
            upside_down = read_picture(content, self._reading)  # glTF's v points down
            self._pictures[source] = np.ascontiguousarray(upside_down[::-1])
        return self._pictures[source]

    def _view(self, index: int) -> bytes:
        view = _entry(self._document, "bufferViews", index)
        if "EXT_meshopt_compression" in view.get("extensions", {}):
            raise ItemFailure("unsupported_feature", "the file's buffers are compressed with meshopt")
        start, length = view.get("byteOffset", 0), view["byteLength"]
        content = self._buffers[view["buffer"]]
        if start < 0 or length < 0 or start + length > len(content):
            raise ItemFailure("broken_file", "a buffer view reaches beyond its buffer")
        return content[start : start + length]

    def _raw(self, index: int) -> np.ndarray:
        """Return the accessor's (count, width) array in its stored type."""
        accessor = _entry(self._document, "accessors", index)
        if "sparse" in accessor or "bufferView" not in accessor:
            raise ItemFailure("unsupported_feature", "sparse and empty accessors cannot be read")
        count, width = int(accessor["count"]), _WIDTHS[accessor["type"]]
        if not 0 <= count <= 4 * self._limits.faces + 64:
            raise ItemFailure("too_many_faces", f"an accessor has {count} elements")
        dtype = np.dtype(_COMPONENTS[accessor["componentType"]])
        row = width * dtype.itemsize
        stride = _entry(self._document, "bufferViews", accessor["bufferView"]).get("byteStride") or row
        content, start = self._view(accessor["bufferView"]), accessor.get("byteOffset", 0)
        if start < 0 or stride < row or (count and start + stride * (count - 1) + row > len(content)):
            raise ItemFailure("broken_file", "an accessor reaches beyond its buffer view")
        return np.ndarray((count, width), dtype, content, start, (stride, dtype.itemsize))

    def _array(self, index: int) -> np.ndarray:
        """Return the accessor as float64, normalised integers scaled to [-1, 1] or [0, 1]."""
        raw = self._raw(index)
        values = raw.astype(np.float64)
        if raw.dtype.kind in "iu" and _entry(self._document, "accessors", index).get("normalized"):
            values = np.maximum(values / np.iinfo(raw.dtype).max, -1.0)
        return values


def _entry(document: Json, table: str, index: int) -> Json:
    if not isinstance(index, int) or index < 0:
        raise ItemFailure("broken_file", f"{index!r} is no index into {table}")
    entry = document[table][index]
    if not isinstance(entry, dict):
        raise ItemFailure("broken_file", f"{table}[{index}] is not an object")
    return entry


def _embedded(uri: str) -> bytes:
    """Return the content of a ``data:`` URI; any other URI is refused."""
    if not uri.startswith("data:"):
        raise ItemFailure(
            "external_reference", f"the GLB refers to {uri[:80]!r}; everything must be embedded"
        )
    header, _, payload = uri.partition(",")
    return base64.b64decode(payload) if header.endswith(";base64") else unquote_to_bytes(payload)


def _node_matrix(node: Json) -> np.ndarray:
    """Return the (4, 4) parent_from_node transform."""
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    x, y, z, w = (float(value) for value in node.get("rotation", (0, 0, 0, 1)))
    norm = x * x + y * y + z * z + w * w
    s = 2.0 / norm if norm > 0 else 0.0
    rotation = np.array(
        [
            [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
            [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
            [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array(node.get("scale", (1, 1, 1)), dtype=np.float64)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


def _triangles(order: np.ndarray, mode: int) -> np.ndarray:
    if mode == _TRIANGLES:
        return order[: len(order) // 3 * 3].reshape(-1, 3)
    if len(order) < 3:
        return np.zeros((0, 3), dtype=np.int64)
    if mode == _FAN:
        return np.stack([np.full(len(order) - 2, order[0]), order[1:-1], order[2:]], axis=1)
    faces = np.stack([order[:-2], order[1:-1], order[2:]], axis=1)
    faces[1::2] = faces[1::2, [1, 0, 2]]
    return faces


def _expect_rows(values: np.ndarray, count: int) -> None:
    if len(values) != count:
        raise ItemFailure("broken_file", f"an attribute has {len(values)} rows for {count} vertices")


def _moved_uv(uv: np.ndarray, moved: Json) -> np.ndarray:
    """Apply KHR_texture_transform: scale, then rotation, then offset."""
    scaled = uv * np.array(moved.get("scale", (1.0, 1.0)))
    angle = float(moved.get("rotation", 0.0))
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = scaled @ np.array([[cosine, -sine], [sine, cosine]])
    return turned + np.array(moved.get("offset", (0.0, 0.0)))


def _tinted(texture: np.ndarray, factor: np.ndarray) -> np.ndarray:
    if (factor == 1).all():
        return texture
    table = _bytes_from_linear(linear_from_srgb(np.arange(256)[:, None] / 255) * factor)
    return np.stack([table[texture[..., channel], channel] for channel in range(3)], axis=-1)


def _bytes_from_linear(values: np.ndarray) -> np.ndarray:
    return np.rint(srgb_from_linear(np.nan_to_num(values)) * 255).astype(np.uint8)
