"""How near held-out furniture lies to what a generator learned from: `python -m benchmarks.world_distance`.

For every held-out object all training objects of its category are ranked by an F-score of few points, and the
best ones are measured like generations: F-score at 5% of the diagonal, 4,000 points of the outer surface. The
largest is its nearness; an object sampled twice comes to about 0.99. The table has medians for a quarter, a
half and all of the training objects; a larger set adds about as much with each doubling.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import get_args

import numpy as np
import torch
from tqdm import tqdm

from verdict3d.furniture.catalogue import CATEGORIES, World
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.furniture.parts import Part
from verdict3d.library import procedural_asset
from verdict3d.mesh.accuracy import F_SCORE_THRESHOLD, f_score
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.sampling import Points, measure_diagonal, sample_outside, sample_surface
from verdict3d.pretrain.recipe import Recipe
from verdict3d.pretrain.rows import make_parts
from verdict3d.pretrain.sdf import pack_parts, signed_distance

FEW, BEST, POINTS = 256, 12, 4000
"""Points of a surface that rank, objects that are measured, and points of those."""
SHARES = (0.25, 0.5, 1.0)
SEED = 4242
"""Seed of the held-out objects: no run's."""


def take_points(parts: tuple[Part, ...]) -> np.ndarray:
    """Return (FEW, 3) float32 points of the outer surface."""
    points, _ = sample_surface(mesh_from_parts(parts), 2 * FEW, np.random.default_rng(0))
    depth = signed_distance(torch.from_numpy(points)[None], pack_parts([parts]))[0].numpy()
    order = np.random.default_rng(1).permutation(len(points))
    outer = points[order][depth[order] > -0.02]
    return np.resize(outer, (FEW, 3)).astype(np.float32)


def rank(mine: np.ndarray, others: np.ndarray, limit: float) -> np.ndarray:
    """Return a rough F-score (N,) of other objects' points (N, FEW, 3) against one object's (M, 3)."""
    scores = []
    for block in torch.from_numpy(others).split(200):
        near = torch.cdist(block, torch.from_numpy(mine)[None].expand(len(block), -1, -1)) <= limit
        there, back = near.any(dim=2).float().mean(dim=1), near.any(dim=1).float().mean(dim=1)
        scores.append((2 * there * back / (there + back).clamp(min=1e-6)).numpy())
    return np.concatenate(scores)


def load_held_out(category: int, number: int, world: World) -> Mesh:
    """Return one held-out object of a category."""
    return procedural_asset("heldout", category + len(CATEGORIES) * number, SEED, world).mesh


def measure_nearness(
    category: int, training: int, held_out: int, seed: int, world: World
) -> list[list[float]]:
    """Return for each held-out object of a category the largest F-score in each share of the training set."""
    torch.set_num_threads(1)
    numbers = range(category, training, len(CATEGORIES))
    others = np.stack([take_points(make_parts(seed, number, world)) for number in numbers])
    found = []
    for one in range(held_out):
        mesh = load_held_out(category, one, world)
        truth, _ = sample_outside(mesh, POINTS, np.random.default_rng(one))
        limit = F_SCORE_THRESHOLD * measure_diagonal(truth)
        scores = rank(truth[:: len(truth) // FEW], others, limit + 0.02)
        found.append(sort_by_share(scores, truth, partial(make_parts, seed, world=world), list(numbers)))
    return found


def sort_by_share(
    scores: np.ndarray, truth: Points, parts_of: Callable[[int], tuple[Part, ...]], numbers: Sequence[int]
) -> list[float]:
    """Return the largest measured F-score among the first quarter, half and all training objects."""
    measured: dict[int, float] = {}
    row = []
    for share in SHARES:
        own = scores[: max(1, round(share * len(scores)))]
        for place in np.argsort(-own, kind="stable")[:BEST]:
            if place not in measured:
                mesh = mesh_from_parts(parts_of(numbers[place]))
                points, _ = sample_outside(mesh, POINTS, np.random.default_rng(0))
                measured[int(place)] = f_score(points, truth)
        row.append(max(value for place, value in measured.items() if place < len(own)))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--training", type=int, default=Recipe().furniture, help="training objects in all")
    parser.add_argument("--world", choices=get_args(World), default="usual", help="world of furniture")
    parser.add_argument("--held-out", type=int, default=8, help="held-out objects of each category")
    parser.add_argument("--seed", type=int, default=Recipe().seed, help="seed of the training objects")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    options = parser.parse_args()
    work = partial(
        measure_nearness,
        training=options.training,
        held_out=options.held_out,
        seed=options.seed,
        world=options.world,
    )
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        rows = list(tqdm(pool.imap(work, range(len(CATEGORIES))), total=len(CATEGORIES), desc="categories"))
    values = {name: np.array(row) for name, row in zip(CATEGORIES, rows, strict=True)}
    values["all"] = np.concatenate(list(values.values()))
    table = {
        name: {
            **{
                f"median, {share:.0%}": round(float(m), 3)
                for share, m in zip(SHARES, np.median(v, 0), strict=True)
            },
            "above 0.95": round(float((v[:, -1] > 0.95).mean()), 2),
        }
        for name, v in values.items()
    }
    if options.json:
        print(json.dumps({"training": options.training, "held_out": options.held_out, "nearness": table}))
        return
    for name, row in table.items():
        print(f"{name:10}" + "".join(f"  {key} {value:.3f}" for key, value in row.items()))


if __name__ == "__main__":
    main()
