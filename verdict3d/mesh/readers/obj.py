"""Wavefront OBJ: positions, vertex colours, texture coordinates, polygons, and what they are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.mtl import Material, read_materials
from verdict3d.mesh.readers.obj_text import read_text
from verdict3d.mesh.readers.own_folder import OwnFolder
from verdict3d.mesh.readers.pieces import Piece
from verdict3d.mesh.readers.polygons import triangulate
from verdict3d.mesh.readers.reading import Reading
from verdict3d.mesh.readers.transparency import Layer, without_transparency

Indices = NDArray[np.int64]

_VERTEX_BYTES = 48
_UP = 1  # usually
_NO_MATERIAL = Material()


def read_obj(content: bytes, folder: OwnFolder, reading: Reading) -> list[Piece]:
    """Parse an OBJ; negative numbers count back from the latest element.

    Args:
        content: The file.
        folder: Where material libraries and textures may come from.
        reading: Limits, budget and notes of this file.

    Returns:
        One piece for each material that looks different.

    Raises:
        ItemFailure: ``too_many_faces``, ``too_costly``, ``index_out_of_range``, ``broken_file``, or a refused
            or missing reference where ``reading`` wants textures.
        ValueError: A number or a line is malformed.
    """
    reading.spend(_VERTEX_BYTES * (content.count(b"\nv ") + content.count(b"\nvt ")), "its vertices")
    parsed = read_text(content, reading)
    if not parsed.sizes or not parsed.vertices:
        return []
    table, corners = np.concatenate(parsed.vertices), np.concatenate(parsed.corners)
    uv = np.concatenate([*parsed.coordinates, np.zeros((0, 2))])
    if not len(corners):
        return []
    if corners[:, 0].max() >= len(table) or corners[:, 1].max() >= max(len(uv), 1):
        raise ItemFailure("index_out_of_range", f"a face names none of the {len(table)} vertices")
    triangles, polygons = triangulate(
        table[corners[:, 0], :3], np.concatenate(parsed.sizes), reading.check_time
    )
    looks: dict[Material, int] = {}
    known = read_materials(parsed.libraries, folder, reading)
    if known:
        _note_missing(parsed.names, known, reading)
    numbers = [looks.setdefault(_find_material(name, known), len(looks)) for name in parsed.names]
    look = np.array(numbers)[np.concatenate(parsed.materials)[polygons]]
    layers = []
    for material, number in looks.items():
        reading.check_time()
        own = corners[triangles[look == number]]
        textured = (own[..., 1] >= 0).all(axis=1) & (material.picture is not None)
        layers.append(
            _make_layer(_make_textured_piece(own[textured], table, uv, material, folder, reading), material)
        )
        layers.append(_make_layer(_make_plain_piece(own[~textured], table, material), material))
    return without_transparency([layer for layer in layers if len(layer.piece.faces)], _UP, reading)


def _make_layer(piece: Piece, material: Material) -> Layer:
    if material.opacity == 1.0 and not material.cut_out:
        return Layer(piece)
    opacity = np.full(len(piece.vertices), material.opacity)
    return Layer(piece, opacity, blends=material.opacity < 1.0)


def _note_missing(names: Iterable[str], known: dict[str, Material], reading: Reading) -> None:
    missing = [
        name for name in names if name and _find_material(name, known) == _NO_MATERIAL and name not in known
    ]
    if missing:
        name = missing[0].encode("latin-1").decode("utf-8", errors="replace")
        message = f"no library has {len(missing)} of its materials, such as {name!r}"
        reading.lose_texture(ItemFailure("missing_material", message))


def _find_material(name: str, known: dict[str, Material]) -> Material:
    """Return a material by its name, in which a number sign may stand or begin a comment."""
    return known.get(name) or known.get(re.sub(r"\s#.*", "", name) if "#" in name else name) or _NO_MATERIAL


def _make_textured_piece(
    corners: Indices,
    table: np.ndarray,
    uv: np.ndarray,
    material: Material,
    folder: OwnFolder,
    reading: Reading,
) -> Piece:
    """Return the piece of triangles (T, 3, 2) with texture coordinates, plain where the picture is lost."""
    if not len(corners) or material.picture is None:
        return _make_plain_piece(corners[:0], table, material)
    try:
        texture = folder.read_texture(material.picture)
    except ItemFailure as failure:
        reading.lose_texture(failure)
        return _make_plain_piece(corners, table, material)
    used, places = np.unique(corners.reshape(-1, 2), axis=0, return_inverse=True)
    return Piece(
        table[used[:, 0], :3],
        places.reshape(-1, 3).astype(np.int64),
        uv=uv[used[:, 1]] * material.scale + material.offset,
        texture=texture,
    )


def _make_plain_piece(corners: Indices, table: np.ndarray, material: Material) -> Piece:
    """Return the piece of triangles (T, 3, 2) in vertex colours, where some have none in the material's."""
    used, places = np.unique(corners[..., 0].ravel(), return_inverse=True)
    rows, faces = table[used], places.reshape(-1, 3).astype(np.int64)
    if len(rows) and np.isfinite(rows[:, 3:]).all():
        scale = 255.0 if rows[:, 3:].max() <= 1.0 else 1.0
        colors = np.clip(np.rint(rows[:, 3:] * scale), 0, 255).astype(np.uint8)
        return Piece(rows[:, :3], faces, colors=colors)
    flat = None if material.color is None else np.array(material.color, dtype=np.uint8)
    return Piece(rows[:, :3], faces, flat=flat)
