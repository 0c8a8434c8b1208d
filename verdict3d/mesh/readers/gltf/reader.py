"""glTF 2.0 files, binary and text, as pieces of a scene: what a viewer shows of their surfaces."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.gltf.accessors import Accessors, read_rows
from verdict3d.mesh.readers.gltf.document import DRACO, Document, Json, find_extension
from verdict3d.mesh.readers.gltf.materials import Materials
from verdict3d.mesh.readers.gltf.nodes import Placed, place_meshes
from verdict3d.mesh.readers.own_folder import OwnFolder
from verdict3d.mesh.readers.pieces import Piece
from verdict3d.mesh.readers.reading import Reading
from verdict3d.mesh.readers.transparency import Layer, without_transparency

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_PRIMITIVE_BYTES = 16384  # what a primitive takes as Python objects, and its time
_UP = 1  # glTF 2.0, section 3.4: +Y is up


def read_gltf(content: bytes, folder: OwnFolder, reading: Reading) -> list[Piece]:
    """Parse a .glb or .gltf into pieces in the scene's frame (y-up), as its nodes show it at rest.

    Args:
        content: The file.
        folder: Where buffers and pictures may come from.
        reading: Limits, budget and notes of the file.

    Raises:
        ItemFailure: ``unsupported_feature``, ``external_reference``, ``missing_reference``,
            ``too_many_faces``, ``too_costly`` or ``broken_file``.
        ValueError, KeyError, IndexError, TypeError, struct.error: The file is malformed.
    """
    document = Document.parse(content, folder, reading)
    accessors = Accessors(document)
    scene = _Scene(document, accessors, Materials(document, accessors))
    layers = [layer for placed in place_meshes(document, accessors) for layer in scene.make_layers(placed)]
    return without_transparency(layers, _UP, reading)


class _Scene:
    def __init__(self, document: Document, accessors: Accessors, materials: Materials) -> None:
        self._document, self._accessors, self._materials = document, accessors, materials
        self._reading = document.reading
        self._faces = 0

    def make_layers(self, placed: Placed) -> Iterator[Layer]:
        """Yield every primitive of a mesh, once for each instance."""
        for primitive in placed.mesh["primitives"]:
            if primitive.get("mode", _TRIANGLES) not in (_TRIANGLES, _STRIP, _FAN):
                continue
            if "POSITION" not in primitive["attributes"]:
                continue
            self._count(primitive, len(placed.transforms))
            faces, used = self._read_triangles(primitive)
            if not len(faces):
                continue
            local = self._read_positions(primitive, placed, used)
            surface = self._materials.find_surface(primitive, used)
            self._reading.spend(48 * len(used) * len(placed.transforms), "the placed vertices")
            for vertices, turned in self._place(primitive, placed, used, local):
                piece = Piece(
                    vertices,
                    faces[:, ::-1] if turned else faces,
                    surface.colors,
                    surface.flat,
                    surface.uv,
                    surface.texture,
                )
                yield Layer(piece, surface.opacity, surface.cutoff, surface.blends)

    def _count(self, primitive: Json, instances: int) -> None:
        """Pay for a primitive before its numbers are looked at."""
        name = primitive["indices"] if "indices" in primitive else primitive["attributes"]["POSITION"]
        count = self._accessors.count(name)
        faces = count // 3 if primitive.get("mode", _TRIANGLES) == _TRIANGLES else max(0, count - 2)
        self._faces += faces * instances
        most = self._reading.limits.faces
        if self._faces > most:
            raise ItemFailure("too_many_faces", f"more than {most} faces, the most that is allowed")
        self._reading.spend(_PRIMITIVE_BYTES * instances + 24 * faces * instances, "a part of a mesh")

    def _read_triangles(self, primitive: Json) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (F, 3) faces and (V,) which of the primitive's vertices they use."""
        count = self._accessors.count(primitive["attributes"]["POSITION"])
        corners = self._accessors.read_corners(primitive)
        mode = _TRIANGLES if find_extension(primitive, DRACO) else primitive.get("mode", _TRIANGLES)
        faces = _make_faces(np.arange(count) if corners is None else corners, mode)
        if not len(faces):
            return faces, np.zeros(0, dtype=np.int64)
        low, high = int(faces.min()), int(faces.max())
        if low < 0 or high >= count:
            raise ItemFailure("index_out_of_range", f"a face names vertex {high} of {count}")
        if high - low < 4 * faces.size:
            seen = np.zeros(high - low + 1, dtype=bool)
            seen[faces.ravel() - low] = True
            return (np.cumsum(seen) - 1)[faces - low], np.flatnonzero(seen) + low
        used, places = np.unique(faces, return_inverse=True)
        return places.reshape(-1, 3), used

    def _read_positions(
        self, primitive: Json, placed: Placed, used: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return (V, 3) positions in the mesh's frame, moved by its morph targets at rest."""
        local = self._read_rows(primitive, "POSITION", 3, used)
        weights: list[float] = placed.node.get("weights") or placed.mesh.get("weights") or []
        for target, weight in zip(primitive.get("targets", ()), weights, strict=False):
            if weight and "POSITION" in target:
                moved = self._accessors.read_values(target["POSITION"])
                local = local + float(weight) * read_rows(moved, 3, used)
        return local

    def _place(
        self, primitive: Json, placed: Placed, used: NDArray[np.int64], local: NDArray[np.float64]
    ) -> Iterator[tuple[NDArray[np.float64], bool]]:
        """Yield (V, 3) positions in the scene's frame, and whether they are mirrored, for each instance."""
        if placed.joints is not None and "JOINTS_0" in primitive["attributes"]:
            yield self._skin(primitive, placed.joints, used, local)
            return
        for transform in placed.transforms:
            turned = bool(np.linalg.det(transform[:3, :3]) < 0)
            yield local @ transform[:3, :3].T + transform[:3, 3], turned

    def _skin(
        self,
        primitive: Json,
        joints: NDArray[np.float64],
        used: NDArray[np.int64],
        local: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], bool]:
        """Return the positions of a skinned mesh: each vertex is moved by a weighted mix of joints."""
        mixed, total = np.zeros((len(used), 3, 4)), np.zeros(len(used))
        for number in (0, 1):
            if f"JOINTS_{number}" not in primitive["attributes"]:
                continue
            which = self._read_rows(primitive, f"JOINTS_{number}", 4, used).astype(np.int64)
            shares = self._read_rows(primitive, f"WEIGHTS_{number}", 4, used)
            if which.min() < 0 or which.max() >= len(joints):
                raise ItemFailure("broken_file", f"a vertex hangs on joint {which.max()} of {len(joints)}")
            self._reading.spend(2 * 96 * len(used), "a skinned mesh")
            for corner in range(4):
                mixed += joints[which[:, corner], :3] * shares[:, corner, None, None]
            total += shares.sum(axis=1)
        mixed /= np.where(total > 0, total, 1.0)[:, None, None]
        turned = bool(np.linalg.det(mixed[:, :, :3]).mean() < 0)
        return np.einsum("vij,vj->vi", mixed[:, :, :3], local) + mixed[:, :, 3], turned

    def _read_rows(
        self, primitive: Json, name: str, width: int, used: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        values = self._accessors.read_attribute(primitive, name)
        if values is None:
            raise ItemFailure("broken_file", f"a part of a mesh has no {name}")
        return read_rows(values, width, used)


def _make_faces(order: NDArray[np.int64], mode: int) -> NDArray[np.int64]:
    """Return the (F, 3) triangles of a list, strip or fan of corners."""
    if mode == _TRIANGLES:
        return order[: len(order) // 3 * 3].reshape(-1, 3)
    if len(order) < 3:
        return np.zeros((0, 3), dtype=np.int64)
    if mode == _FAN:
        return np.stack([np.full(len(order) - 2, order[0]), order[1:-1], order[2:]], axis=1)
    faces = np.stack([order[:-2], order[1:-1], order[2:]], axis=1)
    faces[1::2] = faces[1::2, [1, 0, 2]]
    return faces
