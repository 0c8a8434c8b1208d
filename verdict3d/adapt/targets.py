"""The clean latents of training assets: what the flows should arrive at.

They are the asset's own (its voxels through the structure encoder), or samples of the base from its clean
picture, which need no mesh and no encoder. Structured latents are always samples of the base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes
from torch import Tensor

from verdict3d.adapt.parallel import ALONE, Processes
from verdict3d.config_arms import FlowName
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.randomness import torch_generator
from verdict3d.trellis.layout import STRUCTURE_ENCODER
from verdict3d.trellis.sparse import SparseTensor
from verdict3d.trellis.voxelize import voxelize_surface

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline

STAGES: tuple[FlowName, ...] = ("structure", "latents")
_AT_ONCE = 16


@dataclass(frozen=True)
class Targets:
    """Clean latents of one stage, an item each.

    Attributes:
        stage: ``structure`` or ``latents``.
        items: (C, R, R, R) tensors, or (features (T, C), voxels (T, 3)).
    """

    stage: FlowName
    items: Sequence[Any]

    def batch(self, rows: Sequence[int]) -> Any:
        """Return items as one (B, C, R, R, R) tensor or one sparse tensor."""
        chosen = [self.items[row] for row in rows]
        if self.stage == "structure":
            return torch.stack(chosen)
        return SparseTensor.stack([feats for feats, _ in chosen], [coords for _, coords in chosen])

    def noise(self, rows: Sequence[int], generator: torch.Generator, processes: Processes = ALONE) -> Tensor:
        """Draw noise for the values of a batch, on the CPU, and return that of the own share of its items."""
        if self.stage == "structure":
            whole = torch.randn(len(rows), *self.items[0].shape, generator=generator)
            return processes.own(whole)
        lengths = [len(self.items[row][0]) for row in rows]
        drawn = torch.randn(sum(lengths), self.items[0][0].shape[1], generator=generator)
        parts: list[Tensor] = list(drawn.split(lengths))
        return torch.cat(processes.own(parts))


def solid_voxels(mesh: Mesh, resolution: int) -> NDArray[np.bool_]:
    """Return the voxels (R, R, R) of a mesh's surface and of what it encloses."""
    grid = np.zeros((resolution,) * 3, dtype=bool)
    grid[tuple(voxelize_surface(mesh, resolution).T)] = True
    filled: NDArray[np.bool_] = binary_fill_holes(grid)
    return filled


@torch.no_grad()
def encode_structures(pipeline: TrellisPipeline, meshes: Sequence[Path]) -> Targets:
    """Encode the solid voxels of meshes.

    Raises:
        Verdict3DError: The generator was loaded without its structure encoder.
    """
    networks = pipeline.networks
    encoder = networks.structure_encoder
    if encoder is None:
        raise Verdict3DError(
            f"this generator has no {STRUCTURE_ENCODER}, which targets: assets needs; set targets: samples "
            "for the arm"
        )
    halvings = len(networks.structure_decoder.config["channels"]) - 1
    resolution = networks.structure_flow.config["resolution"] * 2**halvings
    items: list[Tensor] = []
    for start in range(0, len(meshes), _AT_ONCE):
        solids = np.stack(
            [solid_voxels(read_mesh(path), resolution) for path in meshes[start : start + _AT_ONCE]]
        )
        grid = torch.from_numpy(solids)[:, None].float().to(pipeline.device)
        items += encoder(grid).float().unbind()
    return Targets("structure", items)


@torch.no_grad()
def sample_targets(
    pipeline: TrellisPipeline, tokens: Tensor, assets: Sequence[str], stages: Sequence[str], seed: int
) -> dict[str, Targets]:
    """Sample the latents of clean tokens (B, L, C), one an asset, with the pipeline's samplers.

    Raises:
        Verdict3DError: The base makes nothing of an asset's clean picture.
    """
    structures: list[Tensor] = []
    latents: list[tuple[Tensor, Tensor]] = []
    for start in range(0, len(assets), _AT_ONCE):
        names, given = assets[start : start + _AT_ONCE], tokens[start : start + _AT_ONCE]
        generators = [torch_generator(seed, "target", name) for name in names]
        sampled = pipeline.sample_structure_latents(given, pipeline.draw_structure_noise(generators))
        structures += sampled.unbind()
        if "latents" in stages:
            voxels = pipeline.decode_structure(sampled)
            for name, coords in zip(names, voxels, strict=True):
                if isinstance(coords, ItemFailure):
                    raise Verdict3DError(f"the base makes nothing of the clean picture of {name}: {coords}")
            whole = [coords for coords in voxels if isinstance(coords, Tensor)]
            noise = pipeline.draw_latents_noise(whole, generators)
            latents += pipeline.sample_normalized_latents(given, noise).split()
    found = {"structure": Targets("structure", structures), "latents": Targets("latents", latents)}
    return {stage: found[stage] for stage in stages}
