"""Rows of the judges' training pools: damaged copies of an object with their known quality."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from verdict3d.assets.damage import DEFECTS, damage
from verdict3d.assets.furniture import CATEGORIES, furniture, mesh_from_parts
from verdict3d.assets.mesh import Mesh, normalize
from verdict3d.assets.sampling import surface_points
from verdict3d.errors import ItemFailure
from verdict3d.pretrain.pool import MakeRow, Row
from verdict3d.pretrain.rows import condition_camera, condition_picture, resize
from verdict3d.randomness import numpy_generator
from verdict3d.render.renderer import Renderer

SAMPLES = 1500
COARSE, FINE = 0.05, 0.02
"""Distances that count as met, as shares of the truth's diagonal."""


class Truth:
    """An object's surface, to measure many candidates against quickly."""

    def __init__(self, mesh: Mesh, rng: np.random.Generator) -> None:
        self.points, self.normals = surface_points(mesh, SAMPLES, rng)
        self.tree = cKDTree(self.points)
        self.diagonal = float(np.linalg.norm(np.ptp(mesh.vertices, axis=0)))
        self.rng = rng

    def quality(self, candidate: Mesh) -> float:
        """How near a mesh is, in [0, 1]: F-scores at two distances and the agreement of signed normals."""
        try:
            points, normals = surface_points(normalize(candidate), SAMPLES, self.rng)
        except ItemFailure:
            return 0.0
        to_truth, nearest = self.tree.query(points)
        to_candidate, back = cKDTree(points).query(self.points)
        scores = []
        for share in (COARSE, FINE):
            precision = float((to_truth <= share * self.diagonal).mean())
            recall = float((to_candidate <= share * self.diagonal).mean())
            scores.append(2 * precision * recall / max(precision + recall, 1e-9))
        along = (normals * self.normals[nearest]).sum(axis=1).mean()
        across = (normals[back] * self.normals).sum(axis=1).mean()
        return 0.4 * scores[0] + 0.3 * scores[1] + 0.3 * max(0.0, float(along + across) / 2)


def judged_rows(
    seed: int, size_px: int, candidates: int, defects: tuple[str, ...], montage_view_px: int
) -> MakeRow:
    """Rows for a judge: reference, montages of the truth and of damaged copies, their quality.

    Args:
        seed: Data seed of this judge.
        size_px: Side of the pictures as the judge sees them.
        candidates: Montages an object; the first shows the truth.
        defects: The damage mix of this judge.
        montage_view_px: Side of one of the four views before the montage is resized to ``size_px``.
    """
    renderer = Renderer()
    names = tuple(defects) or tuple(DEFECTS)

    def montage(mesh: Mesh) -> np.ndarray:
        return resize(renderer.montage(mesh, "normal", montage_view_px), size_px)

    def make(index: int) -> Row:
        rng = numpy_generator(seed, "judged", index)
        truth = mesh_from_parts(furniture(CATEGORIES[index % len(CATEGORIES)], rng))
        measured = Truth(truth, rng)
        pictures, quality = [montage(truth)], [1.0]
        while len(pictures) < candidates:
            mesh = damage(truth, names[int(rng.integers(len(names)))], int(rng.integers(1, 6)), rng)
            if rng.random() < 0.3:
                mesh = damage(mesh, names[int(rng.integers(len(names)))], int(rng.integers(1, 4)), rng)
            pictures.append(montage(mesh))
            quality.append(measured.quality(mesh))
        return {
            "references": resize(condition_picture(renderer, truth, condition_camera(rng), size_px), size_px),
            "montages": np.stack(pictures),
            "quality": np.array(quality, dtype=np.float32),
        }

    return make
