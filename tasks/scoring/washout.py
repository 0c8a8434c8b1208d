"""Where an arm's change gets lost on its way: weights, tokens, velocities, voxels, mesh, picture, verdict.

An arm that does not win has changed nothing in what is made, has changed it without making it better, or has
made it worse. The measures on the way tell the first: an adapter may move tokens and velocities and still
leave every voxel as it was, because the structure decoder's threshold swallows what is small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageChops
from torch import Tensor

from tasks.making.meetings import Meeting
from tasks.making.networks import load_networks
from verdict3d.adapt.adapter import load_adapter
from verdict3d.adapt.method import Tools
from verdict3d.config import Params
from verdict3d.config_arms import OutsideArmParams
from verdict3d.config_generators import TrellisParams, require_trellis
from verdict3d.errors import ItemFailure
from verdict3d.making.arms import with_adapter
from verdict3d.mesh.accuracy import chamfer_distance
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import normalize
from verdict3d.mesh.sampling import sample_surface
from verdict3d.project import TRAIN
from verdict3d.randomness import numpy_generator
from verdict3d.records.assets import Asset
from verdict3d.records.generations import Generation
from verdict3d.records.numbers import Summary
from verdict3d.records.results import Washout, Weights
from verdict3d.stats.averages import average
from verdict3d.trellis.pipeline import TrellisPipeline
from verdict3d.trellis.preprocess import preprocess_image

OBJECTS = 16
"""Held-out objects that are looked at: differences of networks need no more."""
TIMES = (0.95, 0.75, 0.5, 0.25)
NO_CHANGE = 0.005
"""Mean distance of montages, in shares of the range, below which nothing visible changed."""
POINTS = 2000
NOT_SEEN = dict.fromkeys(("tokens", "velocities", "structure_iou"))
"""Where there are no networks to look into."""


def measure_washout(
    params: Params,
    root: Path,
    arm: str,
    assets: Mapping[str, Asset],
    pairs: Sequence[Meeting],
    judged: Summary,
    tools: Tools,
) -> Washout:
    """Follow an arm's change through the generator, for the pairs of one regime."""
    chosen = [pair for pair in pairs if pair[0].number == 0][:OBJECTS]
    ours = isinstance(params.generator, TrellisParams)
    if ours and not isinstance(params.train.sections[arm], OutsideArmParams):
        inside = look_inside(params, root, arm, assets, [theirs for _, theirs in chosen], tools)
    else:
        inside = {"weights": Weights(count=0, norm=0.0), **NOT_SEEN}
    seen = average([measure_montage_distance(root, x, y) for x, y in pairs])
    return Washout(
        **inside,
        mesh_distance=average([measure_mesh_distance(params, root, x, y) for x, y in chosen]),
        montage_distance=seen,
        diagnosis=diagnose(seen, judged),
    )


def look_inside(
    params: Params,
    root: Path,
    arm: str,
    assets: Mapping[str, Asset],
    rows: Sequence[Generation],
    tools: Tools,
) -> dict[str, Any]:
    """Return what an arm's weights are, and what they change in our networks."""
    base, settings = load_networks(params, root), require_trellis(params.generator)
    base.structure, base.latents = settings.structure, settings.latents
    adapter = load_adapter(root / TRAIN / arm, arm=arm, base_digest=base.digest)
    adapted = with_adapter(base, adapter, tools)
    squares = [float(value.float().square().sum()) for value in adapter.tensors.values()]
    weights = Weights(count=len(squares), norm=sum(squares) ** 0.5)
    return {"weights": weights, **compare_networks(root, base, adapted, assets, rows)}


@torch.no_grad()
def compare_networks(
    root: Path,
    base: TrellisPipeline,
    adapted: TrellisPipeline,
    assets: Mapping[str, Asset],
    rows: Sequence[Generation],
) -> dict[str, Any]:
    """Compare tokens, velocities of the structure flow and voxels at equal noise.

    *Gap closed* is 1 - |arm - clean|^2 / |base - clean|^2, with *clean* what the base does on the clean
    picture: 1 is a full repair, 0 no help, below 0 harm. None where base and clean agree.
    """
    given, clean, kept = [], [], []
    for row in rows:
        try:
            pictures = [
                preprocess_image(Image.open(root / path).convert("RGBA"), base.image_size)
                for path in (row.condition, assets[row.asset].condition)
            ]
        except ItemFailure:
            continue
        given.append(pictures[0])
        clean.append(pictures[1])
        kept.append(row)
    if not kept:
        return dict(NOT_SEEN)
    tokens = {"base": base.encode(given), "arm": adapted.encode(given), "clean": base.encode(clean)}
    noise = base.draw_structure_noise([torch.Generator().manual_seed(row.seed) for row in kept])
    data = base.sample_structure_latents(tokens["clean"], noise)
    flow, own = (pipeline.networks.structure_flow for pipeline in (base, adapted))
    velocities = {}
    for time in TIMES:
        state, t = (1 - time) * data + time * noise, torch.full((len(kept),), 1000 * time, device=data.device)
        velocities[str(time)] = measure_gap_closed(
            own(state, t, tokens["arm"]), flow(state, t, tokens["base"]), flow(state, t, tokens["clean"])
        )
    decoder = base.networks.structure_decoder
    voxels = [
        decoder(pipeline.sample_structure_latents(tokens[name], noise)) > 0
        for pipeline, name in ((base, "base"), (adapted, "arm"))
    ]
    return {
        "tokens": measure_gap_closed(tokens["arm"], tokens["base"], tokens["clean"]),
        "velocities": velocities,
        "structure_iou": measure_overlap(*voxels),
    }


def measure_gap_closed(arm: Tensor, base: Tensor, clean: Tensor) -> float | None:
    """Return 1 - |arm - clean|^2 / |base - clean|^2; None where base and clean agree."""
    gap = (base.float() - clean.float()).square().sum().item()
    return 1 - (arm.float() - clean.float()).square().sum().item() / gap if gap > 0 else None


def measure_overlap(x: Tensor, y: Tensor) -> float:
    """Return the mean intersection over union of bool grids (B, ...); two empty ones agree."""
    both, either = (values.flatten(1).sum(dim=1).float() for values in (x & y, x | y))
    return torch.where(either > 0, both / either.clamp(min=1), torch.ones_like(either)).mean().item()


def measure_mesh_distance(params: Params, root: Path, x: Generation, y: Generation) -> float | None:
    """Return the Chamfer distance of two generations in object units; None where one failed."""
    if x.mesh is None or y.mesh is None:
        return None
    points = [
        sample_surface(normalize(read_mesh(root / path)), POINTS, numpy_generator(params.seed, "washout"))[0]
        for path in (x.mesh, y.mesh)
    ]
    return chamfer_distance(*points)


def measure_montage_distance(root: Path, x: Generation, y: Generation) -> float | None:
    """Return the mean absolute difference of two montages in [0, 1]; None where one failed."""
    if x.montage is None or y.montage is None:
        return None
    pictures = [Image.open(root / path).convert("RGB") for path in (x.montage, y.montage)]
    return float(np.asarray(ImageChops.difference(*pictures)).mean() / 255)


def diagnose(seen: float | None, judged: Summary) -> str:
    """Say what became of the arm: ``no change``, ``better``, ``worse`` or ``changed, not told apart``.

    Args:
        seen: Mean distance of the montages.
        judged: The judge's word on them.
    """
    half = judged.half_credit
    if seen is not None and seen < NO_CHANGE:
        return "no change"
    if half.low is not None and half.low > 0.5:
        return "better"
    if half.high is not None and half.high < 0.5:
        return "worse"
    return "changed, not told apart"
