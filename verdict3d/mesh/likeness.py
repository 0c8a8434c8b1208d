"""Whether two meshes are one object saved again: in another order, scaled, moved, with rounded numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from verdict3d.mesh.mesh import Mesh, average_face_colors, find_used_vertices
from verdict3d.mesh.sampling import compute_areas_and_normals
from verdict3d.provenance import digest_json

Measures = NDArray[np.float64]

TOLERANCE = 2e-3
"""How far corners and middles of faces may lie apart, in longest sides: numbers of 10 bits are as coarse."""
_NEAR = 0.01  # relative difference of measures
_LEFT = 0.01  # share of the area that may have no counterpart
_TURN, _TINT = 0.02, 0.02  # normals and colours beside places, so that flipped and repainted faces differ
_STEPS = (0.02, 0.02, 0.05)  # of the key: two ratios of sides, and the logarithm of the area
_OFFSET = 0.37  # keeps round ratios (1/2, 1/4) off the borders of a step


def measure_likeness(mesh: Mesh) -> Measures:
    """Return what copies share, (4,): the box's sides and the area, of a normalised mesh with faces."""
    points = mesh.vertices[find_used_vertices(mesh)].astype(np.float64)
    return np.append(np.ptp(points, axis=0), compute_areas_and_normals(mesh)[0].sum())


def are_near(first: Measures, others: Measures) -> NDArray[np.bool_]:
    """Return (N,) which measures (N, 4) may be those of copies of a mesh with the measures ``first`` (4,)."""
    differences = np.abs(others - first)
    near: NDArray[np.bool_] = np.all(differences <= _NEAR * np.maximum(first, 0.1), axis=1)
    return near


def write_likeness_key(measures: Measures) -> str:
    """Return a digest that copies share (but for the rare ones at the border of a step), and others may.

    It holds whichever axis of the mesh points up.
    """
    low, middle, high = np.sort(measures[:3])
    values = np.array([low / high, middle / high, np.log(max(measures[3], 1e-9))])
    return digest_json([int(step) for step in np.floor(values / _STEPS + _OFFSET)])


def are_copies(first: Mesh, second: Mesh) -> bool:
    """Return whether two normalised meshes have the same vertices and faces, in any order, up to rounding.

    Windings and colours count.
    """
    if not are_near(measure_likeness(first), measure_likeness(second)[None])[0]:
        return False
    corners = [mesh.vertices[find_used_vertices(mesh)].astype(np.float64) for mesh in (first, second)]
    if max(_find_farthest(*corners), _find_farthest(*corners[::-1])) > TOLERANCE:
        return False
    (one, one_areas), (other, other_areas) = _describe(first), _describe(second)
    return max(_find_unmatched(one, one_areas, other), _find_unmatched(other, other_areas, one)) <= _LEFT


def _find_farthest(points: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    distances, _ = cKDTree(others).query(points)
    return float(distances.max())


def _describe(mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return middle, normal and colour of each face, (F, 9), the latter two scaled, and the areas (F,)."""
    areas, normals = compute_areas_and_normals(mesh)
    middles = mesh.vertices[mesh.faces].astype(np.float64).mean(axis=1)
    return np.hstack([middles, _TURN * normals, _TINT * average_face_colors(mesh)]), areas


def _find_unmatched(
    rows: NDArray[np.float64], areas: NDArray[np.float64], others: NDArray[np.float64]
) -> float:
    """Return the share of the area whose faces have no counterpart among ``others``."""
    distances, _ = cKDTree(others).query(rows, distance_upper_bound=TOLERANCE)
    return float(areas[np.isinf(distances)].sum() / max(areas.sum(), 1e-12))
