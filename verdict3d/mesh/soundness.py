"""Soundness of a mesh by itself: floating pieces, holes, faces without area."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from verdict3d.mesh.mesh import Mesh, find_used_vertices
from verdict3d.mesh.sampling import compute_areas_and_normals, draw_points, measure_diagonal
from verdict3d.randomness import numpy_generator

Areas = NDArray[np.float64]

_SAMPLES = 10_000
_CONTACT = 0.02
"""Pieces nearer than this share of the bounding box diagonal touch each other."""


def weld(points: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return (N,) the place of each of (N, 3) points: the same for points that coincide exactly.

    Places are numbered from 0, ascending by x, then y, then z. A caller that wants a tolerance rounds first.
    """
    order = np.lexsort(points.T[::-1])
    ascending = points[order]
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.concatenate([[0], (ascending[1:] != ascending[:-1]).any(axis=1).cumsum()])
    return places


def find_components(faces: NDArray[np.integer]) -> tuple[int, NDArray[np.int64]]:
    """Return the number of components and the component (F,) of each face.

    Faces are of one component when a chain of shared vertices joins them.

    Args:
        faces: (F, 3) numbers of welded vertices, at least one face.
    """
    count = int(faces.max()) + 1
    starts, ends = faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel()
    graph = coo_array((np.ones(len(starts), dtype=np.int8), (starts, ends)), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    used, components = np.unique(labels[faces[:, 0]], return_inverse=True)
    return len(used), components.reshape(-1).astype(np.int64)


@dataclass(frozen=True)
class Floaters:
    """Pieces of a mesh that do not touch each other.

    Attributes:
        components: Connected components of the triangles (parts that only overlap count separately).
        pieces: Groups of components that touch or overlap.
        floating_share: Share of the surface area outside the largest piece, in [0, 1].
    """

    components: int
    pieces: int
    floating_share: float


@dataclass(frozen=True)
class Validity:
    """Soundness of the triangulation; shares are in [0, 1].

    Attributes:
        watertight_share: Share of the area that belongs to components whose every edge joins exactly two
            faces that run through it in opposite directions; None without any area.
        degenerate_share: Share of faces without area.
        boundary_edge_share: Share of edges with one face.
        non_manifold_edge_share: Share of edges with more than two faces.
    """

    watertight_share: float | None
    degenerate_share: float
    boundary_edge_share: float
    non_manifold_edge_share: float


def measure_soundness(
    mesh: Mesh, seed: int = 0, areas: Areas | None = None
) -> tuple[Validity | None, Floaters]:
    """Measure the triangulation (None without faces), and find the pieces of ``mesh``.

    Components with sampled surface points within 2% of the bounding box diagonal are one piece.

    Args:
        mesh: With faces or without, in any frame.
        seed: Decides the sampled points.
        areas: The area (F,) of each face, where it is known.
    """
    if len(mesh.faces) == 0:
        return None, Floaters(0, 0, 0.0)
    faces = weld(mesh.vertices)[mesh.faces]
    areas = compute_areas_and_normals(mesh)[0] if areas is None else areas
    components = find_components(faces)
    extent = measure_diagonal(mesh.vertices[find_used_vertices(mesh)])
    return _measure_validity(faces, extent, areas, *components), _count_floaters(
        mesh, seed, extent, areas, *components
    )


def _measure_validity(
    faces: NDArray[np.int64], extent: float, areas: Areas, count: int, component: NDArray[np.int64]
) -> Validity:
    """Measure a triangulation with welded faces.

    Edges are sorted as numbers that say where they start, where they end and which way a face runs through
    them. An edge lies in the component of its ends, so no edge is looked up by its faces again.
    """
    vertices = int(faces.max()) + 1
    keys = np.empty((3, len(faces)), dtype=np.int64)
    for key, (start, end) in zip(keys, ((0, 1), (1, 2), (2, 0)), strict=True):
        starts, ends = faces[:, start], faces[:, end]
        key[:] = (np.minimum(starts, ends) * vertices + np.maximum(starts, ends)) * 2 + (starts < ends)
    ordered = np.sort(keys, axis=None)
    edges = ordered >> 1
    first = np.flatnonzero(np.diff(edges, prepend=-1))
    uses = np.diff(first, append=len(edges))
    forward = np.add.reduceat(ordered & 1, first)
    component_of = np.zeros(vertices, dtype=np.int64)
    component_of[faces] = component[:, None]
    closed = np.ones(count, dtype=bool)
    closed[component_of[edges[first[(uses != 2) | (forward != 1)]] // vertices]] = False
    total = float(areas.sum())
    return Validity(
        watertight_share=float(areas[closed[component]].sum() / total) if total > 0 else None,
        degenerate_share=float((areas <= 1e-12 * extent**2).mean()),
        boundary_edge_share=float((uses == 1).mean()),
        non_manifold_edge_share=float((uses > 2).mean()),
    )


def _count_floaters(
    mesh: Mesh, seed: int, extent: float, areas: Areas, count: int, component: NDArray[np.int64]
) -> Floaters:
    """Find the pieces: components with sampled surface points close to each other are one piece."""
    by_component = np.bincount(component, weights=areas, minlength=count)
    if count == 1 or not by_component.sum() > 0:
        return Floaters(count, count, 0.0 if count == 1 else 1 - 1 / count)
    points, faces = draw_points(mesh, areas, _SAMPLES, numpy_generator(seed, "floaters"))
    firsts = np.unique(component, return_index=True)[1]
    centers = mesh.vertices[mesh.faces[firsts]].mean(axis=1)
    labels = np.concatenate([component[faces], np.arange(count)])
    tree = cKDTree(np.concatenate([points.T, centers]))
    near = tree.query_pairs(_CONTACT * extent, output_type="ndarray")
    joined = coo_array(
        (np.ones(len(near), dtype=np.int8), (labels[near[:, 0]], labels[near[:, 1]])), shape=(count, count)
    )
    pieces, piece = connected_components(joined, directed=False)
    by_piece = np.bincount(piece, weights=by_component, minlength=pieces)
    return Floaters(count, int(pieces), float(1 - by_piece.max() / by_piece.sum()))
