"""Random points on surfaces: on all of a surface, or on what can be reached from outside.

Assets are often assembled from overlapping solids; generators make one skin. Surfaces buried inside an object
belong to neither what is seen nor what is judged, so measures of agreement leave them out on both sides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from verdict3d.mesh.mesh import Mesh

Points = NDArray[np.float32]

_GRID = 40
_DENSE = 240_000
"""Dense enough that a closed surface leaves no cell empty: 20 points a cell on the faces of a cube."""


def compute_areas_and_normals(mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the area (F,) and unit normal (F, 3) float64 of each face; a face without area has normal 0."""
    corners = _gather_corners(mesh)
    (ax, ay, az), (bx, by, bz) = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    doubled = np.sqrt(x * x + y * y + z * z)
    return doubled / 2, np.stack([x, y, z], axis=1) / np.maximum(doubled, 1e-30)[:, None]


def _gather_corners(mesh: Mesh) -> NDArray[np.float64]:
    """Return the faces' corners as (3 axes, 3 corners, F): numpy is several times faster along long rows."""
    return np.take(mesh.vertices.T.astype(np.float64), mesh.faces.T, axis=1)


def sample_surface(mesh: Mesh, count: int, generator: np.random.Generator) -> tuple[Points, Points]:
    """Draw points uniformly by area.

    Args:
        mesh: With faces or without.
        count: Number of points.
        generator: Decides everything.

    Returns:
        Points and unit normals, (count, 3) float32 each; (0, 3) when the mesh has no area.
    """
    points, normals, _ = draw_faces(mesh, count, generator)
    return points, normals


def draw_faces(
    mesh: Mesh, count: int, generator: np.random.Generator
) -> tuple[Points, Points, NDArray[np.int64]]:
    """Return points and normals as ``sample_surface`` does, and the face (count,) int64 of each point."""
    areas, face_normals = compute_areas_and_normals(mesh)
    points, faces = draw_points(mesh, areas, count, generator)
    return np.ascontiguousarray(points.T), face_normals[faces].astype(np.float32), faces


def draw_points(
    mesh: Mesh, areas: NDArray[np.float64], count: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return points (3, count) float32 and the face (count,) int64 of each, in ascending order.

    Args:
        mesh: With faces or without.
        areas: The area (F,) of each face; without any there are no points.
        count: Number of points.
        generator: Decides everything.
    """
    total = float(areas.sum())
    if not total > 0:
        return np.zeros((3, 0), dtype=np.float32), np.zeros(0, dtype=np.int64)
    steps = (np.arange(count) + generator.random(count)) / count
    ends = np.searchsorted(steps * total, np.cumsum(areas)[:-1], side="left")
    faces = np.repeat(np.arange(len(areas)), np.diff(ends, prepend=0, append=count))
    first, second = np.sqrt(generator.random(count)), generator.random(count)
    weights = 1 - first, first * (1 - second), first * second
    points = np.empty((3, count), dtype=np.float32)
    for along, corners in zip(points, _gather_corners(mesh), strict=True):
        a, b, c = (corner.take(faces) * weight for corner, weight in zip(corners, weights, strict=True))
        along[:] = a + b + c
    return points, faces


def sample_outside(
    mesh: Mesh,
    count: int,
    generator: np.random.Generator,
    surface: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> tuple[Points, Points]:
    """Draw points uniformly by area from the surface that empty space outside touches.

    Space is a grid of 40 cells along the longest side; a point counts as outer when the outside, flooded from
    the border through cells without surface, comes to within one cell of it. A surface buried deeper than
    about two cells is left out. Open meshes let the flood in and keep both sides.

    Args:
        mesh: With faces or without, at any scale.
        count: Number of points, at most 240,000.
        generator: Decides everything.
        surface: Areas and normals of the faces, as :func:`compute_areas_and_normals`, where they are known.

    Returns:
        Points and unit normals, (count, 3) float32 each, fewer only when hardly any surface is outside;
        (0, 3) when the mesh has no area.
    """
    areas, face_normals = compute_areas_and_normals(mesh) if surface is None else surface
    points, faces = draw_points(mesh, areas, _DENSE, generator)
    if len(faces) > 0:
        low, high = points.min(axis=1), points.max(axis=1)
        side = max(float((high - low).max()), 1e-12) / _GRID
        cells = ((points - low[:, None]) / side).astype(np.int64) + 2
        filled = np.zeros(cells.max(axis=1) + 3, dtype=bool)
        cell = np.ravel_multi_index(tuple(cells), filled.shape)
        filled.ravel()[cell] = True
        labels, _ = ndimage.label(~filled)
        outside = ndimage.binary_dilation(labels == labels[0, 0, 0], structure=np.ones((3, 3, 3), dtype=bool))
        kept = np.flatnonzero(outside.ravel()[cell])
        kept = kept[generator.permutation(len(kept))[:count]]
        points, faces = points[:, kept], faces[kept]
    return np.ascontiguousarray(points.T), face_normals[faces].astype(np.float32)


def measure_diagonal(points: NDArray[np.floating]) -> float:
    """Return the diagonal of the bounding box of (N, 3) points."""
    return float(np.linalg.norm(points.max(axis=0).astype(np.float64) - points.min(axis=0)))
