"""Rows of the training pools: one procedural object each, rendered the way the pipeline renders."""

from __future__ import annotations

import numpy as np
from PIL import Image

from verdict3d.furniture.catalogue import CATEGORIES, World, make_furniture, mesh_from_parts
from verdict3d.furniture.parts import Part
from verdict3d.mesh.mesh import Mesh
from verdict3d.pretrain.pool import MakeRow, PoolRow
from verdict3d.pretrain.solids import close_holes, compute_distance_grid, encode_latents, find_solid_voxels
from verdict3d.randomness import numpy_generator
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera
from verdict3d.trellis.preprocess import preprocess_image

CONDITION_PX = 256
FEATURE_CAMERAS = tuple(Camera(yaw, 10.0, 40.0, 2.2) for yaw in (0.0, 90.0, 180.0, 270.0)) + tuple(
    Camera(yaw, 45.0, 40.0, 2.2) for yaw in (45.0, 135.0, 225.0, 315.0)
)
"""Cameras of the pictures that structured-latent features are read from."""


def draw_camera(rng: np.random.Generator) -> Camera:
    """Draw a view from the front half, a little above the horizon: the default of ``params.yaml``."""
    return Camera(float(rng.uniform(-70, 70)), float(rng.uniform(8, 35)), 40.0, 2.0)


def draw_condition(renderer: Renderer, mesh: Mesh, camera: Camera, size_px: int) -> np.ndarray:
    """Render a condition and preprocess it as the pipeline does: (size, size, 3) uint8 on black."""
    picture = Image.fromarray(renderer.condition(mesh, camera, CONDITION_PX))
    return np.asarray(preprocess_image(picture, size_px))


def make_parts(seed: int, index: int, world: World = "usual") -> tuple[Part, ...]:
    """Return the parts of one training object; categories take turns."""
    return make_furniture(
        CATEGORIES[index % len(CATEGORIES)], numpy_generator(seed, "pretrain", index), world
    )


def make_furniture_rows(
    seed: int, size_px: int, conditions: int, feature_rows: int, world: World = "usual"
) -> MakeRow:
    """Rows for the generator: conditions, feature pictures, structure, latent codes.

    Args:
        seed: Data seed.
        size_px: Side of the pictures.
        conditions: Number of pictures of each object, from the front half.
        feature_rows: Rows with feature pictures; later rows leave them black.
        world: World of furniture that the objects come from.
    """
    renderer = Renderer()

    def make(index: int) -> PoolRow:
        parts, rng = make_parts(seed, index, world), numpy_generator(seed, "views", index)
        mesh = mesh_from_parts(parts)
        pictures = [draw_condition(renderer, mesh, draw_camera(rng), size_px) for _ in range(conditions)]
        features = np.zeros((len(FEATURE_CAMERAS), size_px, size_px, 3), dtype=np.uint8)
        if index < feature_rows:
            for number, camera in enumerate(FEATURE_CAMERAS):
                features[number] = put_on_black(renderer.render(mesh, camera, "rgb", size_px))
        distance, color = compute_distance_grid(parts)
        return {
            "conditions": np.stack(pictures),
            "features": features,
            "structure": find_solid_voxels(distance).astype(np.uint8),
            "codes": encode_latents(distance, color).astype(np.float16),
        }

    return make


def make_grid_rows(seed: int, world: World = "usual") -> MakeRow:
    """Rows for the mesh decoder: the codes it is given and the grids it has to reach.

    Args:
        seed: Data seed; the objects are those of ``make_furniture_rows``.
        world: World of furniture that the objects come from.
    """

    def make(index: int) -> PoolRow:
        distance, color = compute_distance_grid(make_parts(seed, index, world))
        return {
            "structure": find_solid_voxels(distance).astype(np.uint8),
            "codes": encode_latents(distance, color).astype(np.float16),
            "distance": close_holes(distance).astype(np.float16),
            "color": color,
        }

    return make


def put_on_black(rgba: np.ndarray) -> np.ndarray:
    """Composite straight-alpha RGBA uint8 on black."""
    return (rgba[..., :3].astype(np.uint16) * rgba[..., 3:] // 255).astype(np.uint8)


def resize(picture: np.ndarray, size_px: int) -> np.ndarray:
    """Resize a square uint8 RGB picture as the judges' image processors do (bicubic)."""
    return np.asarray(Image.fromarray(picture).resize((size_px, size_px), Image.Resampling.BICUBIC))
