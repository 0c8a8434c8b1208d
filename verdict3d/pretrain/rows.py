"""Rows of the training pools: one procedural object each, rendered the way the pipeline renders."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from verdict3d.assets.damage import DEFECTS, damage
from verdict3d.assets.furniture import CATEGORIES, furniture, mesh_from_parts
from verdict3d.assets.geometry import compare_meshes
from verdict3d.assets.mesh import Mesh, normalize
from verdict3d.pretrain.solids import pack_object
from verdict3d.errors import ItemFailure
from verdict3d.pretrain.pool import MakeRow, Row
from verdict3d.randomness import numpy_generator, seed_for
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera
from verdict3d.trellis.preprocess import preprocess_image

CONDITION_PX = 256
FEATURE_CAMERAS = tuple(Camera(yaw, 10.0, 40.0, 2.2) for yaw in (0.0, 90.0, 180.0, 270.0)) + tuple(
    Camera(yaw, 45.0, 40.0, 2.2) for yaw in (45.0, 135.0, 225.0, 315.0)
)
"""Where the pictures for structured-latent features are taken from."""



def condition_camera(rng: np.random.Generator) -> Camera:
    """Draw a view from the front half, a little above the horizon: the default of ``params.yaml``."""
    return Camera(float(rng.uniform(-70, 70)), float(rng.uniform(8, 35)), 40.0, 2.0)


def condition_picture(renderer: Renderer, mesh: Mesh, camera: Camera, size_px: int) -> np.ndarray:
    """Render a condition and preprocess it as the pipeline does: (size, size, 3) uint8 on black."""
    picture = Image.fromarray(renderer.condition(mesh, camera, CONDITION_PX))
    return np.asarray(preprocess_image(picture, size_px))


def furniture_rows(seed: int, size_px: int, conditions: int) -> MakeRow:
    """Rows for the generator: conditions, feature pictures, packed parts, category."""
    renderer = Renderer()

    def make(index: int) -> Row:
        rng = numpy_generator(seed, "pretrain", index)
        parts = furniture(CATEGORIES[index % len(CATEGORIES)], rng)
        mesh = mesh_from_parts(parts)
        pictures = [condition_picture(renderer, mesh, condition_camera(rng), size_px) for _ in range(conditions)]
        features = [on_black(renderer.render(mesh, camera, "rgb", size_px)) for camera in FEATURE_CAMERAS]
        return {
            "conditions": np.stack(pictures),
            "features": np.stack(features),
            "parts": pack_object(parts),
            "category": np.array(index % len(CATEGORIES), dtype=np.int64),
        }

    return make


def on_black(rgba: np.ndarray) -> np.ndarray:
    """Composite straight-alpha RGBA uint8 on black."""
    return (rgba[..., :3].astype(np.uint16) * rgba[..., 3:] // 255).astype(np.uint8)


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


def judged_rows(seed: int, size_px: int, candidates: int, defects: tuple[str, ...], montage_view_px: int) -> MakeRow:
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


def resize(picture: np.ndarray, size_px: int) -> np.ndarray:
    """Resize a square uint8 RGB picture as the judges' image processors do (bicubic)."""
    return np.asarray(Image.fromarray(picture).resize((size_px, size_px), Image.Resampling.BICUBIC))
