"""How good a generator is on held-out furniture: `python -m benchmarks.held_out GENERATOR`.

F-score at 5% of 200 objects that no generator learned from, at full budget from clean and severe pictures and
at low budget from severe ones. Uses a GPU where there is one and prints JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from PIL import Image

from benchmarks.world_distance import load_held_out
from verdict3d.config import load_params
from verdict3d.degrade.regimes import degrade_by_regime
from verdict3d.errors import ItemFailure
from verdict3d.furniture.catalogue import CATEGORIES, World
from verdict3d.mesh.accuracy import f_score
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.sampling import sample_outside
from verdict3d.pretrain.rows import CONDITION_PX, draw_camera
from verdict3d.randomness import numpy_generator, seed_for
from verdict3d.render.renderer import Renderer
from verdict3d.trellis.pipeline import TrellisPipeline

SEED, POINTS = 4242, 4000
CASES = (("clean", False), ("severe", False), ("severe", True))


def score(world: World, category: int, number: int, made: Mesh | None) -> float:
    """Return the F-score of a generation; nothing made is 0."""
    torch.set_num_threads(1)
    if made is None:
        return 0.0
    pair = (made, load_held_out(category, number, world))
    points, truth = (sample_outside(mesh, POINTS, numpy_generator(SEED, "points"))[0] for mesh in pair)
    return f_score(points, truth)


def summarise(scores: np.ndarray) -> dict[str, float | dict[str, float]]:
    """Return mean, its standard error, median, share of non-empty meshes, and the means of categories."""
    own = {name: round(float(scores[i :: len(CATEGORIES)].mean()), 4) for i, name in enumerate(CATEGORIES)}
    return {
        "f_score": round(float(scores.mean()), 4),
        "standard_error": round(float(scores.std() / len(scores) ** 0.5), 4),
        "median": round(float(np.median(scores)), 4),
        "non_empty": round(float((scores > 0).mean()), 4),
        "categories": own,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("generator", type=Path, help="folder in the released layout")
    parser.add_argument("--world", choices=get_args(World), default="usual", help="world of furniture")
    parser.add_argument("--objects", type=int, default=200, help="held-out objects, categories in turn")
    parser.add_argument("--batch", type=int, default=50, help="generations made at once")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that measure")
    options = parser.parse_args()
    if options.objects < len(CATEGORIES):
        parser.error(f"--objects is {options.objects}; at least {len(CATEGORIES)}, one of each category")
    started = time.perf_counter()
    params, renderer = load_params("params.yaml"), Renderer()
    pipeline = TrellisPipeline.from_pretrained(options.generator)
    full = (pipeline.structure, pipeline.latents)
    low = tuple(own.model_copy(update={"steps": params.generate.low_budget_steps}) for own in full)
    places = [(i % len(CATEGORIES), i // len(CATEGORIES)) for i in range(options.objects)]
    pictures = []
    for category, number in places:
        rng = numpy_generator(SEED, "condition", category, number)
        mesh = load_held_out(category, number, options.world)
        pictures.append(Image.fromarray(renderer.condition(mesh, draw_camera(rng), CONDITION_PX)))
    context = multiprocessing.get_context("spawn")
    found: dict[str, list[Future[float]]] = {}
    with ProcessPoolExecutor(options.workers, context) as pool:
        for regime, is_low in CASES:
            name = f"{regime}, {'low' if is_low else 'full'} budget"
            for first in range(0, options.objects, options.batch):
                own = range(first, min(first + options.batch, options.objects))
                inputs = [
                    degrade_by_regime(
                        pictures[i], params.degrade.regimes.get(regime), numpy_generator(SEED, regime, i)
                    )[0]
                    for i in own
                ]
                seeds = [seed_for(SEED, "generation", i) for i in own]
                made = pipeline.generate(inputs, seeds, *(low if is_low else full))
                whole = [None if isinstance(mesh, ItemFailure) else mesh for mesh in made]
                found.setdefault(name, []).extend(
                    pool.submit(score, options.world, *places[i], mesh)
                    for i, mesh in zip(own, whole, strict=True)
                )
        results = {name: summarise(np.array([one.result() for one in own])) for name, own in found.items()}
    seconds = round(time.perf_counter() - started, 1)
    print(json.dumps({"objects": options.objects, "seconds": seconds, **results}, indent=1))


if __name__ == "__main__":
    main()
