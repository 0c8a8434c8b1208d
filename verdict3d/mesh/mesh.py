"""The triangle mesh that all rooms exchange: validation, normalisation, digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from verdict3d.config_generators import MeshLimits
from verdict3d.errors import ItemFailure
from verdict3d.records.assets import Note

GLTF_SUFFIXES = (".glb", ".gltf")
SUFFIXES = (*GLTF_SUFFIXES, ".obj", ".ply", ".stl")
"""Mesh files that can be read; .glb, .obj and .ply can be written."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh in the object frame (right-handed, z up, front -y), outward by winding.

    Attributes:
        vertices: (V, 3) float32.
        faces: (F, 3) int32 indices into ``vertices``, counter-clockwise seen from outside.
        colors: (V, 3) uint8 sRGB, or None.
        uv: (V, 2) float32, or None. (0, 0) is the texture's lower left corner: v = 1 is the edge of its first
            row. The texture repeats outside [0, 1].
        texture: (H, W, 3) uint8 sRGB, or None; present exactly when ``uv`` is. Beside ``colors`` the surface
            has the product of both, as fractions of 255.
        notes: What was changed while the mesh was read from a file.

    Raises:
        ValueError: A shape or dtype differs from the above.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    colors: NDArray[np.uint8] | None = None
    uv: NDArray[np.float32] | None = None
    texture: NDArray[np.uint8] | None = None
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.vertices)
        _expect("vertices", self.vertices, np.float32, (None, 3))
        _expect("faces", self.faces, np.int32, (None, 3))
        if self.colors is not None:
            _expect("colors", self.colors, np.uint8, (count, 3))
        if (self.uv is None) != (self.texture is None):
            raise ValueError("uv and texture come together: give both or neither")
        if self.uv is not None and self.texture is not None:
            _expect("uv", self.uv, np.float32, (count, 2))
            _expect("texture", self.texture, np.uint8, (None, None, 3))


MeshOrFailure = Mesh | ItemFailure
"""What becomes of one item."""


def _expect(name: str, array: np.ndarray, dtype: type, shape: tuple[int | None, ...]) -> None:
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        want = tuple("any" if side is None else side for side in shape)
        raise ValueError(f"{name} is {array.dtype} {array.shape}; expected {np.dtype(dtype)} {want}")


def find_used_vertices(mesh: Mesh) -> NDArray[np.bool_]:
    """Return (V,) whether a face names the vertex."""
    used = np.zeros(len(mesh.vertices), dtype=bool)
    used[mesh.faces.ravel()] = True
    return used


def average_face_colors(mesh: Mesh) -> NDArray[np.float32]:
    """Return the colour (F, 3) in [0, 1] of each face: its corners' mean, times the texture at its middle."""
    shades = None if mesh.colors is None else (mesh.colors[mesh.faces].mean(axis=1) / 255.0)
    if mesh.texture is not None and mesh.uv is not None:
        height, width = mesh.texture.shape[:2]
        middle = mesh.uv[mesh.faces].mean(axis=1) % 1.0
        column = np.minimum((middle[:, 0] * width).astype(np.int64), width - 1)
        row = np.minimum(((1.0 - middle[:, 1]) * height).astype(np.int64), height - 1)
        texels = mesh.texture[row, column] / 255.0
        return (texels if shades is None else texels * shades).astype(np.float32)
    if shades is not None:
        return shades.astype(np.float32)
    return np.full((len(mesh.faces), 3), 0.78, dtype=np.float32)


def check_mesh(mesh: Mesh, limits: MeshLimits) -> Mesh:
    """Return ``mesh`` without unused vertices.

    Raises:
        ItemFailure: ``no_faces``, ``too_many_faces``, ``index_out_of_range`` or ``non_finite``.
    """
    faces = mesh.faces
    if len(faces) == 0:
        raise ItemFailure("no_faces", "the mesh has no faces")
    if len(faces) > limits.faces:
        raise ItemFailure("too_many_faces", f"{len(faces)} faces; at most {limits.faces} are allowed")
    if faces.min() < 0 or faces.max() >= len(mesh.vertices):
        raise ItemFailure(
            "index_out_of_range", f"a face names vertex {faces.max()} of {len(mesh.vertices)} vertices"
        )
    used = find_used_vertices(mesh)
    if not used.all():
        renumbered = (np.cumsum(used) - 1).astype(np.int32)
        mesh = replace(
            mesh,
            vertices=mesh.vertices[used],
            faces=renumbered[faces],
            colors=None if mesh.colors is None else mesh.colors[used],
            uv=None if mesh.uv is None else mesh.uv[used],
        )
    if not np.isfinite(mesh.vertices).all():
        raise ItemFailure("non_finite", "a vertex coordinate is NaN or infinite")
    if mesh.uv is not None and not np.isfinite(mesh.uv).all():
        raise ItemFailure("non_finite", "a texture coordinate is NaN or infinite")
    return mesh


def normalize(mesh: Mesh) -> Mesh:
    """Centre the bounding box of the used vertices at the origin and scale its longest side to 1.

    Raises:
        ItemFailure: ``no_faces``, or ``zero_extent`` when all points coincide.
    """
    if len(mesh.faces) == 0:
        raise ItemFailure("no_faces", "a mesh without faces cannot be normalised")
    vertices = mesh.vertices.astype(np.float64)
    used = vertices[find_used_vertices(mesh)]
    low, high = used.min(axis=0), used.max(axis=0)
    longest = float((high - low).max())
    if not longest > 0:
        raise ItemFailure("zero_extent", "all points of the mesh coincide, it cannot be scaled")
    return replace(mesh, vertices=((vertices - (low + high) / 2) / longest).astype(np.float32))


def mesh_digest(mesh: Mesh) -> str:
    """Return the SHA-256 of all arrays of ``mesh``, vertex and face order included; -0 counts as 0."""
    digest = hashlib.sha256()
    for name in ("vertices", "faces", "colors", "uv", "texture"):
        array = getattr(mesh, name)
        if array is not None:
            digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
            digest.update((array + array.dtype.type(0)).tobytes())
    return digest.hexdigest()
