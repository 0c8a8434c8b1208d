"""Points on surfaces: all of it, or what can be reached from outside.

Assets are often assembled from overlapping solids; generators make one skin. Surfaces buried inside an object
belong to neither what is seen nor what is judged, so measures of agreement leave them out on both sides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from verdict3d.assets.mesh import Mesh

Points = NDArray[np.float32]

_GRID = 40
_DENSE = 240_000
"""Dense enough that a closed surface leaves no cell empty: 20 points a cell on the faces of a cube."""


def areas_and_normals(mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the area (F,) and unit normal (F, 3) float64 of each face; a face without area has normal 0."""
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    doubled = np.linalg.norm(crossed, axis=1)
    return doubled / 2, crossed / np.maximum(doubled, 1e-30)[:, None]


def surface_points(mesh: Mesh, count: int, generator: np.random.Generator) -> tuple[Points, Points]:
    """Draw points uniformly by area.

    Args:
        mesh: With faces or without.
        count: Number of points.
        generator: Decides everything.

    Returns:
        Points and unit normals, (count, 3) float32 each; (0, 3) when the mesh has no area.
    """
    points, normals, _ = sampled_faces(mesh, count, generator)
    return points, normals


def sampled_faces(
    mesh: Mesh, count: int, generator: np.random.Generator
) -> tuple[Points, Points, NDArray[np.int64]]:
    """Return points and normals as ``surface_points`` does, and the face (count,) int64 of each point."""
    areas, face_normals = areas_and_normals(mesh)
    total = float(areas.sum())
    if not total > 0:
        nothing = np.zeros((0, 3), dtype=np.float32)
        return nothing, nothing, np.zeros(0, dtype=np.int64)
    steps = (np.arange(count) + generator.random(count)) / count
    faces = np.minimum(np.searchsorted(np.cumsum(areas), steps * total, side="right"), len(areas) - 1)
    first, second = np.sqrt(generator.random(count)), generator.random(count)
    a, b, c = mesh.vertices.astype(np.float64)[mesh.faces].swapaxes(0, 1)
    points = a[faces] * (1 - first)[:, None]
    points += b[faces] * (first * (1 - second))[:, None]
    points += c[faces] * (first * second)[:, None]
    return points.astype(np.float32), face_normals[faces].astype(np.float32), faces


def outer_points(mesh: Mesh, count: int, generator: np.random.Generator) -> tuple[Points, Points]:
    """Draw points uniformly by area from the surface that empty space outside touches.

    Space is a grid of 40 cells along the longest side; a point counts as outer when the outside, flooded from
    the border through cells without surface, comes to within one cell of it. A surface buried deeper than
    about two cells is left out. Open meshes let the flood in and keep both sides.

    Args:
        mesh: With faces or without, at any scale.
        count: Number of points, at most 240,000.
        generator: Decides everything.

    Returns:
        Points and unit normals, (count, 3) float32 each, fewer only when hardly any surface is outside;
        (0, 3) when the mesh has no area.
    """
    points, normals = surface_points(mesh, _DENSE, generator)
    if len(points) == 0:
        return points, normals
    low, high = points.min(axis=0), points.max(axis=0)
    side = max(float((high - low).max()), 1e-12) / _GRID
    cells = np.floor((points - low) / side).astype(np.int64) + 2
    filled = np.zeros(tuple(cells.max(axis=0) + 3), dtype=bool)
    filled[tuple(cells.T)] = True
    labels, _ = ndimage.label(~filled)
    outside = ndimage.binary_dilation(labels == labels[0, 0, 0], structure=np.ones((3, 3, 3), dtype=bool))
    kept = np.flatnonzero(outside[tuple(cells.T)])
    kept = kept[generator.permutation(len(kept))[:count]]
    return points[kept], normals[kept]


def diagonal(points: NDArray[np.floating]) -> float:
    """Return the diagonal of the bounding box of (N, 3) points."""
    return float(np.linalg.norm(points.max(axis=0).astype(np.float64) - points.min(axis=0)))
