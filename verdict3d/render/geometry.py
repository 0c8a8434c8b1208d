"""Per-face quantities of a mesh, and its textures at the size that a picture can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import ItemFailure

if TYPE_CHECKING:
    from verdict3d.mesh.mesh import Mesh

NORMALS_PER_ROW = 2048
"""Faces in one row of the texture of normals; the shader knows it too."""

Floats = NDArray[np.float64]


def check_drawable(mesh: Mesh) -> None:
    """Check that a mesh has faces, whose corners are there and finite.

    Raises:
        ItemFailure: ``no_faces``, ``index_out_of_range`` or ``non_finite``.
    """
    faces, count = mesh.faces, len(mesh.vertices)
    if len(faces) == 0:
        raise ItemFailure("no_faces", "the mesh has no faces: there is nothing to draw")
    if faces.min() < 0 or faces.max() >= count:
        raise ItemFailure("index_out_of_range", f"faces name vertices outside 0 to {count - 1}")
    if not np.isfinite(mesh.vertices).all():
        raise ItemFailure("non_finite", "the mesh has coordinates that are not finite")


def face_corners(mesh: Mesh) -> Floats:
    """Return the faces' corners as (3 axes, 3 corners, F) float64.

    Raises:
        ItemFailure: As :func:`check_drawable`.
    """
    check_drawable(mesh)
    return np.take(np.ascontiguousarray(mesh.vertices.T, dtype=np.float64), mesh.faces.T, axis=1)


def face_crosses(corners: Floats) -> Floats:
    """Return twice the area vectors, (3, F), of corners (3, 3, F): outward where the winding is."""
    (ax, ay, az), (bx, by, bz) = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def face_normals(mesh: Mesh) -> NDArray[np.float32]:
    """Return unit normals (F, 3) by winding (counter-clockwise seen from outside); 0 for empty faces.

    Raises:
        ItemFailure: As :func:`face_corners`.
    """
    crosses = face_crosses(face_corners(mesh))
    length = np.sqrt(np.einsum("ij,ij->j", crosses, crosses))
    return (crosses / np.where(length > 0.0, length, 1.0)).T.astype(np.float32)


def normal_rows(normals: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay face normals (F, 3) out as (rows, NORMALS_PER_ROW, 4) texels, padded with zeros."""
    rows = -(-len(normals) // NORMALS_PER_ROW)
    texels = np.zeros((rows * NORMALS_PER_ROW, 4), dtype=np.float32)
    texels[: len(normals), :3] = normals
    return texels.reshape(rows, NORMALS_PER_ROW, 4)


@dataclass(frozen=True)
class BoxedTexture:
    """A texture averaged down to what the picture can show, in place of driver-made mip levels.

    Args:
        pixels: (H, W, 3) uint8, first row at v = 0 (the bottom of the picture).
    """

    pixels: NDArray[np.uint8]

    @classmethod
    def fit(cls, texture: NDArray[np.uint8], samples_px: int) -> BoxedTexture:
        """Reduce ``texture`` by a power of two until its longer side is at most 2 ``samples_px``.

        Args:
            texture: (H, W, 3) uint8, first row on top.
            samples_px: Samples along one side of the picture.
        """
        factor = 1
        while max(texture.shape[:2]) > 2 * samples_px * factor:
            factor *= 2
        upright = texture[::-1]
        if factor > 1:
            rows, columns = (min(factor, side) for side in texture.shape[:2])
            height, width = texture.shape[0] // rows, texture.shape[1] // columns
            blocks = upright[: height * rows, : width * columns]
            blocks = blocks.reshape(height, rows, width, columns, 3)
            upright = np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
        return cls(np.ascontiguousarray(upright))
