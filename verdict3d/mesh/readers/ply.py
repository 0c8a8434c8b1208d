"""PLY, ASCII and binary: vertices, polygons of any sizes, colours of vertices or faces, one texture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.own_folder import OwnFolder
from verdict3d.mesh.readers.pieces import Piece
from verdict3d.mesh.readers.ply_elements import Element, Numbers, read_elements
from verdict3d.mesh.readers.polygons import triangulate
from verdict3d.mesh.readers.reading import Reading

_COLORS = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))
_COORDINATES = (("texture_u", "texture_v"), ("u", "v"), ("s", "t"))


def read_ply(content: bytes, folder: OwnFolder, reading: Reading) -> Piece:
    """Parse a PLY file.

    Args:
        content: The file.
        folder: Where its picture may come from.
        reading: Limits, budget and notes of the file.

    Returns:
        The surface in the file's frame; polygons are cut into triangles.

    Raises:
        ItemFailure: ``broken_file``, ``no_faces``, ``too_many_faces``, ``too_costly`` or
            ``index_out_of_range``, or a refused or missing picture where ``reading`` wants textures.
        KeyError, ValueError: The file is malformed.
    """
    elements, picture = read_elements(content, reading)
    vertex, face = elements.get("vertex"), elements.get("face")
    if vertex is None or face is None or not face.count or not face.lists:
        points = 0 if vertex is None else vertex.count
        raise ItemFailure("no_faces", f"the file holds {points} points and no faces")
    vertices = np.stack([vertex.single[axis] for axis in "xyz"], axis=1)
    corners, sizes = _read_corners(face)
    kept = sizes >= 3
    corner_kept = np.repeat(kept, sizes)
    with np.errstate(invalid="ignore"):  # NaN in text: out of range below
        indices = corners[corner_kept].astype(np.int64)
    if len(indices) - 2 * int(kept.sum()) > reading.limits.faces:
        raise ItemFailure(
            "too_many_faces", f"more than {reading.limits.faces} faces, the most that is allowed"
        )
    if not len(indices):
        raise ItemFailure("no_faces", "the file holds no triangles")
    if indices.min() < 0 or indices.max() >= len(vertices):
        raise ItemFailure("index_out_of_range", f"a face names none of the {len(vertices)} vertices")
    corners_at = vertices[indices] if sizes.max() > 3 else vertices[:0]  # triangles stay as they are
    rows, polygons = triangulate(corners_at, sizes[kept], reading.check_time)
    uv = _read_texture_coordinates(vertex, face, indices, corner_kept)
    if picture is not None and uv is not None:
        try:
            texture = folder.read_texture(picture)
        except ItemFailure as failure:
            reading.lose_texture(failure)
        else:
            flat = rows.ravel()
            return Piece(vertices[indices[flat]], _in_order(len(rows)), uv=uv[flat], texture=texture)
    colors = _read_colors(vertex)
    if colors is None and (by_face := _read_colors(face)) is not None:
        own = np.repeat(by_face[kept][polygons], 3, axis=0)
        return Piece(vertices[indices[rows.ravel()]], _in_order(len(rows)), colors=own)
    return Piece(vertices, indices[rows], colors=colors)


def _in_order(count: int) -> NDArray[np.int64]:
    return np.arange(3 * count, dtype=np.int64).reshape(-1, 3)


def _read_corners(face: Element) -> tuple[Numbers, NDArray[np.int64]]:
    for name in ("vertex_indices", "vertex_index"):
        if name in face.lists:
            return face.lists[name]
    return next(iter(face.lists.values()))


def _read_colors(element: Element) -> NDArray[np.uint8] | None:
    """Return red, green and blue (N, 3); floating-point ones are shares of 1."""
    kinds = {name: kind for name, _, kind in element.properties}
    for names in _COLORS:
        if all(name in element.single for name in names):
            scale = 255.0 if kinds[names[0]].startswith("f") else 1.0
            values = np.stack([element.single[name] for name in names], axis=1)
            return np.clip(np.rint(np.nan_to_num(values) * scale), 0, 255).astype(np.uint8)
    return None


def _read_texture_coordinates(
    vertex: Element, face: Element, indices: NDArray[np.int64], corner_kept: NDArray[np.bool_]
) -> Numbers | None:
    """Return (N, 2) of each kept corner: written with the faces, else with the vertices."""
    if "texcoord" in face.lists:
        flat, lengths = face.lists["texcoord"]
        if (lengths == 2 * _read_corners(face)[1]).all():
            return flat.reshape(-1, 2)[corner_kept]
    for names in _COORDINATES:
        if all(name in vertex.single for name in names):
            return np.stack([vertex.single[name] for name in names], axis=1)[indices]
    return None
