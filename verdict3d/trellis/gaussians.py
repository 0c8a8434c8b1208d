"""Layout and activation of the channels that the released decoder of Gaussian splats gives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


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
