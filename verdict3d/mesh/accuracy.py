"""Accuracy of a generated mesh against the true one: F-score, Chamfer distance, normal consistency."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.sampling import Points, compute_areas_and_normals, measure_diagonal, sample_outside
from verdict3d.mesh.soundness import measure_soundness
from verdict3d.randomness import numpy_generator
from verdict3d.records.generations import Truth

SAMPLES = 10_000
F_SCORE_THRESHOLD = 0.05
"""Share of the truth's bounding box diagonal within which a point counts as met."""


class Neighbours(NamedTuple):
    """Distance (N,) and index (N,) of each point's nearest neighbour in the truth, and the reverse."""

    there: tuple[NDArray[np.float64], NDArray[np.int64]]
    back: tuple[NDArray[np.float64], NDArray[np.int64]]


def find_neighbours(points: Points, truth: Points, tree: cKDTree | None = None) -> Neighbours:
    """Find the nearest neighbours of two sets of points.

    Args:
        points: (N, 3) from the generated surface, at least one.
        truth: (M, 3) from the true surface, at least one.
        tree: The tree of ``truth``, where there is one.

    Returns:
        Distances float64 in the unit of the points, and indices int64: (N,) into the truth, (M,) back.
    """
    tree = cKDTree(truth) if tree is None else tree
    return Neighbours(tree.query(points), cKDTree(points).query(truth))


def f_score(
    points: Points, truth: Points, threshold: float | None = None, *, near: Neighbours | None = None
) -> float:
    """Harmonic mean of precision and recall of points within ``threshold`` (Knapitsch et al. 2017).

    Args:
        points: (N, 3) from the generated surface.
        truth: (M, 3) from the true surface.
        threshold: Distance; by default 5% of the diagonal of the truth's bounding box.
        near: Their neighbours, where they are known.

    Returns:
        In [0, 1]; 0 without points, which meet nothing of the truth.

    Raises:
        ValueError: The truth is empty, so there is nothing to meet.
    """
    if len(truth) == 0:
        raise ValueError("no F-score without points of the true surface")
    if len(points) == 0:
        return 0.0
    limit = F_SCORE_THRESHOLD * measure_diagonal(truth) if threshold is None else threshold
    there, back = near or find_neighbours(points, truth)
    precision, recall = float((there[0] <= limit).mean()), float((back[0] <= limit).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def chamfer_distance(points: Points, truth: Points, *, near: Neighbours | None = None) -> float | None:
    """Mean of the two mean nearest distances (Fan et al. 2017, without squares).

    Args:
        points: (N, 3) from the generated surface.
        truth: (M, 3) from the true surface.
        near: Their neighbours, where they are known.

    Returns:
        At least 0, in the unit of the points; None when either set is empty.
    """
    if len(points) == 0 or len(truth) == 0:
        return None
    there, back = near or find_neighbours(points, truth)
    return float(there[0].mean() + back[0].mean()) / 2


def normal_consistency(
    points: Points,
    normals: Points,
    truth: Points,
    truth_normals: Points,
    *,
    near: Neighbours | None = None,
) -> float | None:
    """Mean |cosine| between a point's normal and its nearest neighbour's, both ways (Mescheder et al. 2019).

    Args:
        points: (N, 3) from the generated surface.
        normals: (N, 3) unit normals there.
        truth: (M, 3) from the true surface.
        truth_normals: (M, 3) unit normals there.
        near: Neighbours of the points, where they are known.

    Returns:
        In [0, 1], about 0.5 for unrelated surfaces; None when either set is empty.
    """
    if len(points) == 0 or len(truth) == 0:
        return None
    there, back = near or find_neighbours(points, truth)
    forward = np.abs((normals * truth_normals[there[1]]).sum(axis=1)).mean()
    backward = np.abs((truth_normals * normals[back[1]]).sum(axis=1)).mean()
    return float(forward + backward) / 2


class Surface(NamedTuple):
    """Points (N, 3) of a surface and their unit normals, float32, and the tree of the points."""

    points: Points
    normals: Points
    tree: cKDTree


def sample_true_surface(truth: Mesh, seed: int, samples: int = SAMPLES) -> Surface:
    """Return points of the outer surface of the true mesh, for :func:`compare_meshes`.

    Args:
        truth: The mesh, with faces.
        seed: Decides the points.
        samples: Number of points.
    """
    points, normals = sample_outside(truth, samples, numpy_generator(seed, "compare_truth"))
    return Surface(points, normals, cKDTree(points))


def compare_meshes(generated: Mesh | None, truth: Surface, seed: int, samples: int = SAMPLES) -> Truth:
    """Measure a generated mesh against the true one in their common frame; nothing is aligned.

    Only surface that can be reached from outside is compared.

    Args:
        generated: The mesh, None or without faces when generation failed.
        truth: Surface of the asset's mesh, from :func:`sample_true_surface` with the same seed and samples.
        seed: Decides the sampled points.
        samples: Points drawn from the surface.

    Returns:
        The measures; when empty the F-score is 0 and the others are None.
    """
    nothing = Mesh(np.zeros((0, 3), dtype=np.float32), np.zeros((0, 3), dtype=np.int32))
    mesh = nothing if generated is None else generated
    surface = compute_areas_and_normals(mesh)
    points, normals = sample_outside(mesh, samples, numpy_generator(seed, "compare_generated"), surface)
    sound, pieces = measure_soundness(mesh, seed, surface[0])
    empty = sound is None or len(points) == 0
    near = find_neighbours(points, truth.points, truth.tree) if len(points) and len(truth.points) else None
    return Truth(
        empty=empty,
        f_score=f_score(points, truth.points, near=near),
        chamfer_distance=chamfer_distance(points, truth.points, near=near),
        normal_consistency=normal_consistency(points, normals, truth.points, truth.normals, near=near),
        components=None if empty else pieces.components,
        pieces=None if empty else pieces.pieces,
        floating_share=None if empty else pieces.floating_share,
        watertight_share=None if sound is None else sound.watertight_share,
        degenerate_share=None if sound is None else sound.degenerate_share,
        boundary_edge_share=None if sound is None else sound.boundary_edge_share,
        non_manifold_edge_share=None if sound is None else sound.non_manifold_edge_share,
    )
