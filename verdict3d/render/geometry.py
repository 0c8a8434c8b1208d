"""What the vertex buffers hold: one entry per face corner, so that faces are flat on every driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import ItemFailure

if TYPE_CHECKING:
    from verdict3d.assets.mesh import Mesh


def face_normals(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return unit normals (F, 3) by winding (counter-clockwise seen from outside); 0 for empty faces."""
    corners = vertices[faces]
    cross = np.cross(
        (corners[:, 1] - corners[:, 0]).astype(np.float64), (corners[:, 2] - corners[:, 0]).astype(np.float64)
    )
    length = np.sqrt(np.einsum("ij,ij->i", cross, cross))
    return (cross / np.where(length > 0.0, length, 1.0)[:, None]).astype(np.float32)


def corner_positions(mesh: Mesh) -> NDArray[np.float32]:
    """Return the corners' positions, (3 F, 3) float32."""
    corners = np.asarray(mesh.vertices, dtype=np.float32)[mesh.faces.reshape(-1)]
    if not np.isfinite(corners).all():
        raise ItemFailure("non_finite", "the mesh has coordinates that are not finite")
    return corners


def corner_normals(mesh: Mesh) -> NDArray[np.float32]:
    """Return each face's normal three times, (3 F, 3) float32."""
    return np.repeat(face_normals(np.asarray(mesh.vertices, dtype=np.float32), mesh.faces), 3, axis=0)


def corner_colors(mesh: Mesh) -> NDArray[np.uint8]:
    """Return the corners' colours, (3 F, 3) uint8."""
    assert mesh.colors is not None
    return mesh.colors[mesh.faces.reshape(-1)]


def corner_uv(mesh: Mesh) -> NDArray[np.float32]:
    """Return the corners' texture coordinates, (3 F, 2) float32."""
    assert mesh.uv is not None
    return mesh.uv[mesh.faces.reshape(-1)]


@dataclass(frozen=True)
class BoxedTexture:
    """A texture averaged down to what the picture can show, in place of driver-made mip levels.

    Args:
        pixels: (H, W, 3) uint8, first row at v = 0.
        key: Its size, to tell one reduction from another.
    """

    pixels: NDArray[np.uint8]
    key: tuple[int, int]

    @classmethod
    def fit(cls, texture: NDArray[np.uint8], samples_px: int) -> BoxedTexture:
        """Reduce ``texture`` by a power of two until its longer side is at most 2 ``samples_px``."""
        factor = 1
        while max(texture.shape[:2]) > 2 * samples_px * factor:
            factor *= 2
        height, width = (max(side // factor, 1) for side in texture.shape[:2])
        rows, columns = min(factor, texture.shape[0]), min(factor, texture.shape[1])
        blocks = texture[: height * rows, : width * columns].reshape(height, rows, width, columns, 3)
        mean = blocks.mean(axis=(1, 3)) if factor > 1 else texture
        return cls(np.ascontiguousarray(np.rint(mean).astype(np.uint8)), (height, width))
