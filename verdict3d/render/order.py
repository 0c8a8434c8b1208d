"""An order of faces that follows from the faces themselves: the file's own order decides nothing.

Where two faces lie at the same depth, OpenGL keeps the one that was drawn first. Drawn in this order, and
those that look at the camera before the others, the same faces give the same picture, however a file lists
them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from verdict3d.mesh.mesh import Mesh, average_face_colors
from verdict3d.render.geometry import check_drawable

_CELLS = 128  # the box's longest side is divided into
_CELL_BITS, _PLACE_BITS, _TONE_BITS = 21, 27, 16
RULE = {"cells": _CELLS, "bits": [_CELL_BITS, _PLACE_BITS, _TONE_BITS], "version": 1}

Words = NDArray[np.uint64]


def order_faces(mesh: Mesh) -> Mesh:
    """Return ``mesh`` with its faces, and the corners of each face, in an order of their own.

    Faces near each other stay together, as drawing in software wants it. Of faces with the same three corners
    the brighter one comes first. Windings stay.

    Raises:
        ItemFailure: ``no_faces``, ``index_out_of_range`` or ``non_finite``.
    """
    check_drawable(mesh)
    points = mesh.vertices + np.float32(0)  # -0 becomes 0
    places = _mix_rows(points.view(np.uint32))[mesh.faces]
    turn = (places.argmin(axis=1)[:, None] + np.arange(3)) % 3
    faces, places = np.take_along_axis(mesh.faces, turn, axis=1), np.take_along_axis(places, turn, axis=1)
    cell = _number_cells(points)[faces[:, 0]]
    keys = (cell << np.uint64(_PLACE_BITS)) | (_combine(places) >> np.uint64(64 - _PLACE_BITS))
    keys = (keys << np.uint64(_TONE_BITS)) | _rank_tones(mesh, faces)
    return replace(mesh, faces=np.ascontiguousarray(faces[np.argsort(keys, kind="stable")]))


def _rank_tones(mesh: Mesh, faces: NDArray[np.int32]) -> Words:
    """Return a key (F,) of ``_TONE_BITS`` that is smaller for a brighter face, then follows its colour."""
    if mesh.texture is None and mesh.colors is None:
        return np.zeros(len(faces), dtype=np.uint64)
    colors = np.rint(average_face_colors(replace(mesh, faces=faces)) * 255).astype(np.uint64)
    darkness = np.uint64(255) - colors.sum(axis=1) // np.uint64(3)
    return (darkness << np.uint64(8)) | (_mix_rows(colors) >> np.uint64(56))


def _number_cells(points: NDArray[np.float32]) -> Words:
    """Return the number (V,) of the cell that holds each point, along a Z-order curve (Morton 1966)."""
    low = points.min(axis=0).astype(np.float64)
    extent = float((points.max(axis=0) - low).max())
    at = (points - low) * (_CELLS / extent if extent > 0 else 0.0)
    steps = np.minimum(at, _CELLS - 1).astype(np.uint64)
    for shift, mask in ((8, 0x00F00F), (4, 0x0C30C3), (2, 0x249249)):
        steps = (steps | (steps << np.uint64(shift))) & np.uint64(mask)
    result: Words = steps[:, 0] | (steps[:, 1] << np.uint64(1)) | (steps[:, 2] << np.uint64(2))
    return result


def _mix_rows(rows: NDArray[np.unsignedinteger]) -> Words:
    """Return one number (N,) that follows from every bit of each of (N, K) rows, their order included."""
    return _combine(_mix(rows.astype(np.uint64)))


def _combine(words: Words) -> Words:
    total = np.zeros(len(words), dtype=np.uint64)
    for column in words.T:
        total = _mix(total + column)
    return total


def _mix(words: Words) -> Words:
    """Return the words with their bits mixed (the finaliser of SplitMix64, Steele et al. 2014)."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
