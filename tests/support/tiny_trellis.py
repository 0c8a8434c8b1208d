"""A generator of the released classes with random weights, for tests of what surrounds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from verdict3d.config_generators import SamplerParams
from verdict3d.trellis.checkpoint import build_model
from verdict3d.trellis.conditioner import Conditioner, make_dinov2_config
from verdict3d.trellis.networks import Networks
from verdict3d.trellis.pipeline import TrellisPipeline
from verdict3d.trellis.sparse import SparseTensor

PICTURE_PX = 28
TOKENS, TOKEN_CHANNELS = 1 + 4 + 4, 24
_FLOW = {
    "model_channels": 32,
    "cond_channels": TOKEN_CHANNELS,
    "num_blocks": 1,
    "num_heads": 2,
    "mlp_ratio": 2,
    "qk_rms_norm": True,
}
_TRUNK = {
    "resolution": 8,
    "latent_channels": 4,
    "num_blocks": 1,
    "num_heads": 2,
    "mlp_ratio": 0.5,
    "window_size": 4,
}
NETWORKS = {
    "sparse_structure_flow_model": (
        "SparseStructureFlowModel",
        {"resolution": 4, "in_channels": 2, "out_channels": 2, "patch_size": 1, **_FLOW},
    ),
    "sparse_structure_encoder": (
        "SparseStructureEncoder",
        {
            "in_channels": 1,
            "latent_channels": 2,
            "num_res_blocks": 1,
            "num_res_blocks_middle": 1,
            "channels": [8, 8],
        },
    ),
    "sparse_structure_decoder": (
        "SparseStructureDecoder",
        {
            "out_channels": 1,
            "latent_channels": 2,
            "num_res_blocks": 1,
            "num_res_blocks_middle": 1,
            "channels": [8, 8],
        },
    ),
    "slat_flow_model": (
        "SLatFlowModel",
        {
            "resolution": 8,
            "in_channels": 4,
            "out_channels": 4,
            "patch_size": 2,
            "num_io_res_blocks": 2,
            "io_block_channels": [8],
            **_FLOW,
        },
    ),
    "slat_encoder": ("SLatEncoder", {"in_channels": TOKEN_CHANNELS, "model_channels": 32, **_TRUNK}),
    "slat_decoder_mesh": (
        "SLatMeshDecoder",
        {"model_channels": 256, **_TRUNK, "representation_config": {"use_color": True}},
    ),
}


def fill_with_noise(module: nn.Module, generator: torch.Generator) -> None:
    """Give every layer random weights of the scale that keeps activations near 1; norms stay as they are."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim > 1 and "gamma" not in name:
                fan_in = parameter[0].numel()
                noise = torch.randn(parameter.shape, generator=generator) / fan_in**0.5
                parameter.copy_(noise.half())
            elif name.endswith("bias"):
                parameter.zero_()


def tiny_pipeline(seed: int = 0) -> TrellisPipeline:
    """Return the generator; the seed chooses its weights. Most items give a mesh of a few thousand faces."""
    generator = torch.Generator().manual_seed(seed)
    conditioner = Conditioner(
        make_dinov2_config(
            hidden_size=TOKEN_CHANNELS,
            num_hidden_layers=1,
            num_attention_heads=2,
            mlp_ratio=2,
            image_size=PICTURE_PX,
        )
    )
    fill_with_noise(conditioner, generator)
    networks = {}
    for name, (kind, arguments) in NETWORKS.items():
        networks[name] = build_model({"name": kind, "args": arguments})
        fill_with_noise(networks[name], generator)
    with torch.no_grad():  # about one voxel in seven
        networks["sparse_structure_decoder"].out_layer[-1].bias.fill_(-1.0)
    return TrellisPipeline(
        conditioner,
        Networks.from_released(networks),
        SamplerParams(steps=3, guidance=2.0, guidance_interval=(0.5, 1.0), rescale_t=3.0),
        SamplerParams(steps=2, guidance=0.0, guidance_interval=(0.0, 1.0), rescale_t=1.0),
        (torch.linspace(-0.2, 0.2, 4), torch.linspace(0.5, 1.5, 4)),
        device="cpu",
    )


def tiny_network(name: str) -> Any:
    """Return one of ``NETWORKS`` for inference, with random weights, its zero layers included."""
    kind, arguments = NETWORKS[name]
    network = build_model({"name": kind, "args": arguments})
    network.set_torso_dtype(torch.float32)
    fill_with_noise(network, torch.Generator().manual_seed(0))
    return network.eval().requires_grad_(False)


def tiny_noise(items: int) -> torch.Tensor:
    """Return noise of the structure flow, (items, 2, 4, 4, 4)."""
    return torch.randn(items, 2, 4, 4, 4, generator=torch.Generator().manual_seed(1))


def tiny_tokens(items: int) -> torch.Tensor:
    """Return condition tokens, (items, TOKENS, TOKEN_CHANNELS)."""
    return torch.randn(items, TOKENS, TOKEN_CHANNELS, generator=torch.Generator().manual_seed(2))


def tiny_latents(counts: list[int]) -> SparseTensor:
    """Return latents of 4 channels on random voxels, as many for each item as ``counts`` says."""
    generator = torch.Generator().manual_seed(3)
    side = torch.arange(8)
    grid = torch.cartesian_prod(side, side, side).to(torch.int32)
    coords = [grid[torch.randperm(len(grid), generator=generator)[:count]] for count in counts]
    return SparseTensor.stack([torch.randn(count, 4, generator=generator) for count in counts], coords)


def write_tiny_generator(directory: str | Path, seed: int = 0) -> Path:
    """Write :func:`tiny_pipeline` in the released layout and return its directory."""
    tiny_pipeline(seed).save_pretrained(directory)
    return Path(directory)


def tiny_photo(seed: int = 0, size_px: int = 64) -> Image.Image:
    """Return an RGBA photo: a coloured box on a transparent background."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((size_px, size_px, 4), np.uint8)
    left, upper = rng.integers(4, size_px // 3, size=2)
    pixels[upper : size_px - upper, left : size_px - left] = (*rng.integers(60, 255, size=3), 255)
    return Image.fromarray(pixels)
