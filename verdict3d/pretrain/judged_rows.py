"""Rows of the judges' training pools: damaged copies of an object with their known quality."""

from __future__ import annotations

from typing import Any

import numpy as np

from verdict3d.assets.damage import DEFECTS, damage
from verdict3d.assets.furniture import CATEGORIES, furniture, mesh_from_parts
from verdict3d.assets.geometry import compare_meshes
from verdict3d.assets.mesh import Mesh, normalize
from verdict3d.errors import ItemFailure
from verdict3d.pretrain.pool import MakeRow, Row
from verdict3d.pretrain.rows import condition_camera, condition_picture, resize
from verdict3d.randomness import numpy_generator, seed_for
from verdict3d.render.renderer import Renderer


def quality_from(measures: dict[str, Any]) -> float:
    """How near a mesh is to the truth, in [0, 1]: F-scores at two thresholds and normal consistency."""
    return float(
        0.4 * (measures["f_score"] or 0.0)
        + 0.3 * (measures["f_score_fine"] or 0.0)
        + 0.3 * max(measures["normal_consistency"] or 0.0, 0.0)
    )


def quality_of(candidate: Mesh, truth: Mesh, seed: int) -> float:
    """Return ``quality_from`` of a mesh against the truth; 0 for a mesh that cannot be measured."""
    try:
        return quality_from(compare_meshes(normalize(candidate), truth, seed))
    except ItemFailure:
        return 0.0


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
        pictures, quality = [montage(truth)], [1.0]
        while len(pictures) < candidates:
            mesh = damage(truth, names[int(rng.integers(len(names)))], int(rng.integers(1, 6)), rng)
            if rng.random() < 0.3:
                mesh = damage(mesh, names[int(rng.integers(len(names)))], int(rng.integers(1, 4)), rng)
            pictures.append(montage(mesh))
            quality.append(quality_of(mesh, truth, seed_for(seed, "quality", index, len(pictures))))
        return {
            "references": resize(condition_picture(renderer, truth, condition_camera(rng), size_px), size_px),
            "montages": np.stack(pictures),
            "quality": np.array(quality, dtype=np.float32),
        }

    return make
