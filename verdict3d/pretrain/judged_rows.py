"""Rows of the judges' training pools: damaged copies and generations of known quality."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree

from verdict3d.config import RegimeParams
from verdict3d.degrade.regimes import degrade_by_regime
from verdict3d.errors import ItemFailure
from verdict3d.furniture.catalogue import CATEGORIES, furniture, mesh_from_parts
from verdict3d.mesh.accuracy import compare_meshes, true_surface
from verdict3d.mesh.damage import DEFECTS, damage
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.sampling import surface_points
from verdict3d.pretrain.pool import MakeRow, Pool, Row
from verdict3d.pretrain.rows import CONDITION_PX, condition_camera, condition_picture, resize
from verdict3d.randomness import numpy_generator, seed_for
from verdict3d.render.framing import frame_mesh
from verdict3d.render.renderer import Renderer
from verdict3d.trellis.pipeline import TrellisPipeline
from verdict3d.trellis.preprocess import preprocess_image

SAMPLES = 1500
COARSE, FINE = 0.05, 0.02
"""Largest distances at which a point counts as met, as shares of the truth's diagonal."""


class Truth:
    """An object's surface, to measure many candidates against quickly."""

    def __init__(self, mesh: Mesh, rng: np.random.Generator) -> None:
        self.points, self.normals = surface_points(mesh, SAMPLES, rng)
        self.tree = cKDTree(self.points)
        self.diagonal = float(np.linalg.norm(np.ptp(mesh.vertices, axis=0)))
        self.rng = rng

    def quality(self, candidate: Mesh) -> float:
        """Return how near a mesh is, in [0, 1]: F-scores at two distances and agreement of signed normals."""
        try:
            points, normals = surface_points(frame_mesh(candidate), SAMPLES, self.rng)
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


GENERATED = (("clean", False, 2), ("severe", True, 1))
"""The generations in a row: regime of the input, whether the budget is low, number of damaged copies."""
MARGIN = 0.05
"""The least difference in quality between a generation and a damaged copy of it."""


def generated_rows(
    seed: int,
    generator: str,
    size_px: int,
    montage_view_px: int,
    regimes: dict[str, dict[str, Any]],
    low_budget_steps: int,
    defects: tuple[str, ...],
) -> MakeRow:
    """Rows with the truth, generations of unseen objects and damaged copies of them.

    Args:
        seed: Data seed of this judge.
        generator: Directory of the generator.
        size_px: Side of the pictures as the judge sees them.
        montage_view_px: Side of one of the four views before the montage is resized to ``size_px``.
        regimes: Degradation regimes by name, as in ``params.yaml``.
        low_budget_steps: Steps of a generation with the low budget.
        defects: The damage mix of this judge.
    """
    renderer, pipeline = Renderer(), TrellisPipeline.from_pretrained(generator)
    mixtures = {name: RegimeParams.model_validate(values) for name, values in regimes.items()}

    def generate(picture: Image.Image, regime: str, low: bool, seed_of_item: int, rng: Any) -> Mesh:
        shown = degrade_by_regime(picture, mixtures.get(regime), rng)[0]
        samplers = [
            settings.model_copy(update={"steps": low_budget_steps}) if low else settings
            for settings in (pipeline.structure, pipeline.latents)
        ]
        (mesh,) = pipeline.generate([shown], [seed_of_item], *samplers)
        if isinstance(mesh, ItemFailure):
            raise mesh
        return mesh

    def make(index: int) -> Row:
        rng = numpy_generator(seed, "generated", index)
        truth = mesh_from_parts(furniture(CATEGORIES[index % len(CATEGORIES)], rng))
        clean = Image.fromarray(renderer.condition(truth, condition_camera(rng), CONDITION_PX))
        measured, blank = Truth(truth, rng), np.full((size_px, size_px, 3), 255, dtype=np.uint8)

        def shown(mesh: Mesh) -> np.ndarray:
            return resize(renderer.montage(mesh, "normal", montage_view_px), size_px)

        surface = true_surface(truth, index, 4000)
        pictures, quality, f_score = [shown(truth)], [1.0], []
        for regime, low, copies in GENERATED:
            try:
                mesh = generate(clean, regime, low, seed_for(seed, "generation", index, regime), rng)
                candidates = [mesh, *(hurt(mesh, defects, rng) for _ in range(copies))]
                values = [measured.quality(candidate) for candidate in candidates]
                pictures += [shown(candidate) for candidate in candidates]
                quality += [values[0], *(max(0.01, min(value, values[0] - MARGIN)) for value in values[1:])]
                f_score.append(float(compare_meshes(mesh, surface, index, 4000).f_score))
            except ItemFailure:
                pictures += [blank] * (1 + copies)
                quality += [0.0] * (1 + copies)
                f_score.append(0.0)
        return {
            "references": resize(np.asarray(preprocess_image(clean, size_px)), size_px),
            "montages": np.stack(pictures),
            "quality": np.array(quality, dtype=np.float32),
            "f_score": np.array(f_score, dtype=np.float32),
        }

    return make


def hurt(mesh: Mesh, defects: tuple[str, ...], rng: np.random.Generator) -> Mesh:
    """Return a visibly damaged copy: one defect of the mix, grade 3 to 5."""
    return damage(mesh, defects[int(rng.integers(len(defects)))], int(rng.integers(3, 6)), rng)


def generator_measures(pool: Pool) -> dict[str, dict[str, float]]:
    """Return mean F-score and share of non-empty meshes by regime, of a pool of generations."""
    scores = pool.arrays["f_score"]
    return {
        f"{regime}, {'low' if low else 'full'} budget": {
            "objects": float(len(scores)),
            "f_score": round(float(scores[:, column].mean()), 4),
            "non_empty": round(float((scores[:, column] > 0).mean()), 4),
        }
        for column, (regime, low, _) in enumerate(GENERATED)
    }
