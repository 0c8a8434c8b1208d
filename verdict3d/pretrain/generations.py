"""Rows with generated meshes: what the judges will see, and how good the generator is on unseen seeds."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from PIL import Image

from verdict3d.assets.furniture import CATEGORIES, furniture, mesh_from_parts
from verdict3d.assets.geometry import compare_meshes
from verdict3d.assets.mesh import Mesh, normalize
from verdict3d.config import RegimeParams, SamplerParams
from verdict3d.degrade.regimes import degrade_by_regime
from verdict3d.errors import ItemFailure
from verdict3d.pretrain.generator import pictures
from verdict3d.pretrain.judged_rows import quality_from
from verdict3d.pretrain.pool import Pool, Row
from verdict3d.pretrain.rows import CONDITION_PX, condition_camera, resize
from verdict3d.randomness import numpy_generator, seed_for
from verdict3d.render.renderer import Renderer
from verdict3d.trellis.pipeline import TrellisPipeline
from verdict3d.trellis.preprocess import preprocess_image

VARIANTS = (("clean", True), ("clean", False), ("medium", True), ("severe", True), ("severe", False))
"""Regime of the input and whether the full number of steps is used."""

_worker: dict[str, Any] = {}


def _start(settings: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    _worker.update(settings, renderer=Renderer())


def _truth(index: int) -> tuple[Mesh, np.random.Generator]:
    rng = numpy_generator(_worker["seed"], "generated", index)
    return mesh_from_parts(furniture(CATEGORIES[index % len(CATEGORIES)], rng)), rng


def _inputs(index: int) -> np.ndarray:
    """Preprocessed conditions of one object, one for each regime that occurs: (3, S, S, 3) uint8."""
    truth, rng = _truth(index)
    clean = Image.fromarray(_worker["renderer"].condition(truth, condition_camera(rng), CONDITION_PX))
    images = []
    for regime in ("clean", "medium", "severe"):
        image = clean
        if regime != "clean":
            image = degrade_by_regime(clean, _worker["regimes"][regime], rng)[0]
        images.append(np.asarray(preprocess_image(image, _worker["picture_px"])))
    return np.stack(images)


def _row(job: tuple[int, np.ndarray, list[Mesh | None]]) -> Row:
    """Montages and quality of the truth and of each generation; a failed generation is empty and has quality 0."""
    index, reference, meshes = job
    truth, _ = _truth(index)
    size_px, renderer = _worker["size_px"], _worker["renderer"]

    def montage(mesh: Mesh) -> np.ndarray:
        return resize(renderer.montage(mesh, "normal", _worker["montage_view_px"]), size_px)

    shown, quality, f_score = [montage(truth)], [1.0], [1.0]
    for number, mesh in enumerate(meshes):
        try:
            if mesh is None:
                raise ItemFailure("failed", "no mesh was generated")
            measures = compare_meshes(
                normalize(mesh), truth, seed_for(_worker["seed"], "quality", index, number)
            )
            shown.append(montage(mesh))
            quality.append(quality_from(measures))
            f_score.append(float(measures["f_score"] or 0.0))
        except ItemFailure:
            shown.append(np.full_like(shown[0], 255))
            quality.append(0.0)
            f_score.append(0.0)
    return {
        "references": resize(reference, size_px),
        "montages": np.stack(shown),
        "quality": np.array(quality, dtype=np.float32),
        "f_score": np.array(f_score, dtype=np.float32),
    }


def fill_with_generations(
    pipeline: TrellisPipeline,
    directory: str,
    *,
    count: int,
    seed: int,
    size_px: int,
    montage_view_px: int,
    regimes: dict[str, RegimeParams],
    samplers: tuple[SamplerParams, SamplerParams],
    low_budget_steps: int,
    workers: int,
    block: int = 64,
) -> Pool:
    """Generate ``count`` objects of unseen seeds in all ``VARIANTS`` and write judged rows for them."""
    settings = {
        "seed": seed,
        "size_px": size_px,
        "montage_view_px": montage_view_px,
        "regimes": regimes,
        "picture_px": pipeline.image_size,
    }
    structure, latents = samplers
    low = (
        structure.model_copy(update={"steps": low_budget_steps}),
        latents.model_copy(update={"steps": low_budget_steps}),
    )
    pool: Pool | None = None
    context = get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(settings,)
    ) as executor:
        pending = []
        for start in range(0, count, block):
            indices = range(start, min(start + block, count))
            inputs = np.stack(list(executor.map(_inputs, indices)))
            meshes: list[list[Mesh | None]] = [[] for _ in indices]
            for number, (regime, full) in enumerate(VARIANTS):
                chosen = torch.from_numpy(inputs[:, ("clean", "medium", "severe").index(regime)])
                tokens = pipeline.encode_tensor(pictures(chosen))
                seeds = [seed_for(seed, "generation", index, number) for index in indices]
                made = pipeline.generate_from_tokens(tokens, seeds, *(samplers if full else low))
                for row, mesh in zip(meshes, made, strict=True):
                    row.append(None if isinstance(mesh, ItemFailure) else mesh)
            jobs = [(index, inputs[at, 0], meshes[at]) for at, index in enumerate(indices)]
            pending.append((list(indices), executor.map(_row, jobs)))
            if len(pending) > 2:
                pool = _collect(pending.pop(0), pool, directory, count)
        while pending:
            pool = _collect(pending.pop(0), pool, directory, count)
    assert pool is not None
    return pool


def _collect(block: tuple[list[int], Any], pool: Pool | None, directory: str, count: int) -> Pool:
    indices, rows = block
    for index, row in zip(indices, rows, strict=True):
        if pool is None:
            pool = Pool.create(directory, count, row)
        pool.put(index, row)
    assert pool is not None
    return pool


def measures_of(pool: Pool) -> dict[str, float]:
    """Return mean F-score and the share of non-empty meshes for each variant of a pool of generations."""
    result: dict[str, float] = {}
    scores = np.asarray(pool.arrays["f_score"])[: pool.ready()]
    quality = np.asarray(pool.arrays["quality"])[: pool.ready()]
    for number, (regime, full) in enumerate(VARIANTS, start=1):
        name = f"{regime}_{'full' if full else 'low'}_budget"
        result[f"{name}_f_score"] = round(float(scores[:, number].mean()), 4)
        result[f"{name}_non_empty"] = round(float((quality[:, number] > 0).mean()), 4)
    return result
