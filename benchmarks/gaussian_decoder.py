"""The released decoder of Gaussian splats, which nothing of the product uses: measured, and compared with its
recording."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from verdict3d.trellis.latent_vae import AttentionMode, SLatTransformer
from verdict3d.trellis.sparse import SparseTensor


def radical_inverse(index: int, base: int) -> float:
    """Mirror the digits of ``index`` in ``base`` about the point: a number in [0, 1)."""
    value, factor = 0.0, 1.0
    while index:
        factor /= base
        value += factor * (index % base)
        index //= base
    return value


@dataclass(frozen=True)
class GaussianLayout:
    """Where each attribute lies among the 14 K channels and how it is activated.

    Attributes:
        count: Gaussians K per voxel.
        resolution: Side of the voxel grid.
        voxel_size: Reach of a Gaussian around its voxel's centre, in voxels.
        perturb_offset: Spread the K starting offsets over the voxel.
        scaling_bias: Scale of a zero channel, in object units.
        opacity_bias: Opacity of a zero channel.
        minimum_scale: Filter size added to scales in quadrature, in object units.
        factors: Factor of each attribute's channels.
    """

    count: int
    resolution: int
    voxel_size: float
    perturb_offset: bool
    scaling_bias: float
    opacity_bias: float
    minimum_scale: float
    factors: dict[str, float]

    @classmethod
    def from_config(cls, config: dict[str, Any], resolution: int) -> GaussianLayout:
        """Read a ``representation_config`` as in the released files.

        Raises:
            ValueError: The scaling activation is not softplus.
        """
        if config["scaling_activation"] != "softplus":
            raise ValueError(f"scaling_activation must be 'softplus', got {config['scaling_activation']!r}")
        return cls(
            count=config["num_gaussians"],
            resolution=resolution,
            voxel_size=config["voxel_size"],
            perturb_offset=config["perturb_offset"],
            scaling_bias=config["scaling_bias"],
            opacity_bias=config["opacity_bias"],
            minimum_scale=config["3d_filter_kernel_size"],
            factors={key.removeprefix("_"): value for key, value in config["lr"].items()},
        )

    @property
    def widths(self) -> dict[str, int]:
        """Channels of each attribute per Gaussian, in channel order."""
        return {"xyz": 3, "features_dc": 3, "scaling": 3, "rotation": 4, "opacity": 1}

    @property
    def channels(self) -> int:
        """All channels: 14 K."""
        return self.count * sum(self.widths.values())

    def compute_perturbation(self) -> Tensor:
        """Return the (K, 3) offsets before tanh: Hammersley points spread over the voxel, or zeros."""
        if not self.perturb_offset:
            return torch.zeros(self.count, 3)
        points = [(i / self.count, radical_inverse(i, 2), radical_inverse(i, 3)) for i in range(self.count)]
        return torch.atanh((2 * torch.tensor(points) - 1) / self.voxel_size)

    def activate(self, raw: Tensor, coords: Tensor, perturbation: Tensor) -> dict[str, Tensor]:
        """Activate one item's channels.

        Args:
            raw: (T, 14 K).
            coords: (T, 3) voxel coordinates.
            perturbation: (K, 3) offsets before tanh.

        Returns:
            xyz (T K, 3) in [-0.5, 0.5], features_dc (T K, 1, 3), scaling (T K, 3), rotation (T K, 4) unit
            quaternions, opacity (T K, 1).
        """
        parts = raw.split([self.count * width for width in self.widths.values()], dim=1)
        values = {
            name: part.reshape(-1, self.count, width) * self.factors[name]
            for (name, width), part in zip(self.widths.items(), parts, strict=True)
        }
        offset = torch.tanh(values["xyz"] + perturbation) * (0.5 * self.voxel_size)
        xyz = (coords[:, None].to(raw) + 0.5 + offset) / self.resolution - 0.5
        bias = self.scaling_bias + math.log(-math.expm1(-self.scaling_bias))
        scaling = (F.softplus(values["scaling"] + bias).square() + self.minimum_scale**2).sqrt()
        identity = torch.tensor([1.0, 0.0, 0.0, 0.0], device=raw.device)
        logit = math.log(self.opacity_bias / (1 - self.opacity_bias))
        return {
            "xyz": xyz.flatten(0, 1),
            "features_dc": values["features_dc"].flatten(0, 1)[:, None],
            "scaling": scaling.flatten(0, 1),
            "rotation": F.normalize(values["rotation"] + identity, dim=-1).flatten(0, 1),
            "opacity": torch.sigmoid(values["opacity"] + logit).flatten(0, 1),
        }


class SLatGaussianDecoder(SLatTransformer):
    """Structured latents to raw Gaussian parameters.

    Args:
        resolution: Side of the voxel grid.
        model_channels: Width C.
        latent_channels: Latent channels.
        num_blocks: Transformer blocks.
        num_heads: Attention heads.
        mlp_ratio: Hidden width of the feed-forward parts over C.
        attn_mode: "swin" for shifted windows, "full" for whole items.
        window_size: Side of a window in voxels.
        use_fp16: Keep the blocks in float16.
        representation_config: Count, learning-rate factors and biases of the Gaussians.
    """

    offset_perturbation: Tensor

    def __init__(
        self,
        resolution: int,
        model_channels: int,
        latent_channels: int,
        num_blocks: int,
        num_heads: int,
        mlp_ratio: float = 4,
        attn_mode: AttentionMode = "swin",
        window_size: int = 8,
        use_fp16: bool = False,
        *,
        representation_config: dict[str, Any],
    ) -> None:
        super().__init__(locals(), latent_channels)
        self.layout = GaussianLayout.from_config(representation_config, resolution)
        self.out_layer = nn.Linear(model_channels, self.layout.channels)
        self.register_buffer("offset_perturbation", self.layout.compute_perturbation())
        self._finish()

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Decode (T, latent) to (T, 14 K) raw channels in the order of the layout."""
        h = self.run_trunk(x).feats.to(x.feats.dtype)
        return x.replace(self.out_layer(F.layer_norm(h, h.shape[-1:])))

    def make_gaussians(self, raw: SparseTensor) -> list[dict[str, Tensor]]:
        """Activate raw channels: xyz, features_dc, scaling, rotation and opacity per item."""
        return [
            self.layout.activate(feats, coords, self.offset_perturbation) for feats, coords in raw.split()
        ]
