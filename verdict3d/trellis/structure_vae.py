"""Convolutional VAE of the occupancy grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from verdict3d.trellis.network import Network, clear_layer

NormType = Literal["layer", "group"]


class ChannelLayerNorm32(nn.LayerNorm):
    """Layer normalisation over the channels of (B, C, X, Y, Z), in float32."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise every voxel."""
        return super().forward(input.movedim(1, -1).float()).movedim(-1, 1).to(input.dtype)


class GroupNorm32(nn.GroupNorm):
    """Group normalisation of (B, C, X, Y, Z) in float32."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise every item."""
        return super().forward(input.float()).to(input.dtype)


def _make_norm(kind: NormType, channels: int) -> nn.Module:
    if kind not in ("layer", "group"):
        raise ValueError(f"norm_type must be 'layer' or 'group', got {kind!r}")
    return ChannelLayerNorm32(channels) if kind == "layer" else GroupNorm32(32, channels)


class ResBlock3d(nn.Module):
    """x + conv2(SiLU(norm2(conv1(SiLU(norm1(x))))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm32(channels)
        self.norm2 = ChannelLayerNorm32(channels)
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, X, Y, Z) to the same shape."""
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


class DownBlock3d(nn.Module):
    """Convolution with kernel and stride 2."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(in_channels, out_channels, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the sides."""
        return self.conv(x)


class UpBlock3d(nn.Module):
    """Convolution to 8 C channels and pixel shuffle to twice the sides."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(in_channels, 8 * out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Double the sides; sub-voxel (dx, dy, dz) comes from channel c * 8 + dx * 4 + dy * 2 + dz."""
        h = self.conv(x).unflatten(1, (-1, 2, 2, 2))
        batch, channels, _, _, _, a, b, c = h.shape
        return h.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(batch, channels, 2 * a, 2 * b, 2 * c)


class _StructureVAE(Network):
    TORSO = ("blocks", "middle_block")

    def initialize_weights(self) -> None:
        """Initialise for training: PyTorch's defaults, zero second convolution of every residual block."""
        for module in self.modules():
            if isinstance(module, ResBlock3d):
                clear_layer(module.conv2)


class SparseStructureEncoder(_StructureVAE):
    """Occupancy to structure latent.

    Args:
        in_channels: 1.
        latent_channels: Latent channels.
        num_res_blocks: Residual blocks per level.
        channels: Width of each level; each further level halves the sides.
        num_res_blocks_middle: Residual blocks at the coarsest level's end.
        norm_type: Normalisation before the last convolution (inside blocks it is always over channels).
        use_fp16: Keep blocks and middle in float16.
    """

    def __init__(
        self,
        in_channels: int,
        latent_channels: int,
        num_res_blocks: int,
        channels: Sequence[int],
        num_res_blocks_middle: int = 2,
        norm_type: NormType = "layer",
        use_fp16: bool = False,
    ) -> None:
        super().__init__(locals())
        self.input_layer = nn.Conv3d(in_channels, channels[0], 3, padding=1)
        blocks: list[nn.Module] = []
        for level, width in enumerate(channels):
            blocks += [ResBlock3d(width) for _ in range(num_res_blocks)]
            if level + 1 < len(channels):
                blocks.append(DownBlock3d(width, channels[level + 1]))
        self.blocks = nn.ModuleList(blocks)
        self.middle_block = nn.Sequential(*[ResBlock3d(channels[-1]) for _ in range(num_res_blocks_middle)])
        self.out_layer = nn.Sequential(
            _make_norm(norm_type, channels[-1]),
            nn.SiLU(),
            nn.Conv3d(channels[-1], 2 * latent_channels, 3, padding=1),
        )
        self._finish()

    def compute_distribution(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, (B, latent, r, r, r) each, of (B, 1, R, R, R) occupancy {0, 1}."""
        h = self.input_layer(x).to(self.torso_dtype)
        for block in self.blocks:
            h = block(h)
        h = self.middle_block(h).to(x.dtype)
        mean, logvar = self.out_layer(h).chunk(2, dim=1)
        return mean, logvar

    def forward(
        self, x: Tensor, sample_posterior: bool = False, generator: torch.Generator | None = None
    ) -> Tensor:
        """Encode (B, 1, R, R, R) occupancy as the latent's mean, or a sample drawn with ``generator``."""
        mean, logvar = self.compute_distribution(x)
        return sample_gaussian(mean, logvar, generator) if sample_posterior else mean


class SparseStructureDecoder(_StructureVAE):
    """Structure latent to occupancy logits.

    Args:
        out_channels: 1.
        latent_channels: Latent channels.
        num_res_blocks: Residual blocks per level.
        channels: Width of each level, coarsest first; each further level doubles the sides.
        num_res_blocks_middle: Residual blocks before the first level.
        norm_type: Normalisation before the last convolution.
        use_fp16: Keep blocks and middle in float16.
    """

    def __init__(
        self,
        out_channels: int,
        latent_channels: int,
        num_res_blocks: int,
        channels: Sequence[int],
        num_res_blocks_middle: int = 2,
        norm_type: NormType = "layer",
        use_fp16: bool = False,
    ) -> None:
        super().__init__(locals())
        self.input_layer = nn.Conv3d(latent_channels, channels[0], 3, padding=1)
        self.middle_block = nn.Sequential(*[ResBlock3d(channels[0]) for _ in range(num_res_blocks_middle)])
        blocks: list[nn.Module] = []
        for level, width in enumerate(channels):
            blocks += [ResBlock3d(width) for _ in range(num_res_blocks)]
            if level + 1 < len(channels):
                blocks.append(UpBlock3d(width, channels[level + 1]))
        self.blocks = nn.ModuleList(blocks)
        self.out_layer = nn.Sequential(
            _make_norm(norm_type, channels[-1]),
            nn.SiLU(),
            nn.Conv3d(channels[-1], out_channels, 3, padding=1),
        )
        self._finish()

    def forward(self, z: Tensor) -> Tensor:
        """Decode (B, latent, R, R, R) to (B, 1, s R, s R, s R) logits; occupied where they are > 0."""
        h = self.middle_block(self.input_layer(z).to(self.torso_dtype))
        for block in self.blocks:
            h = block(h)
        return self.out_layer(h.to(z.dtype))


def sample_gaussian(mean: Tensor, logvar: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw from a normal distribution.

    Args:
        mean: Any shape.
        logvar: Logarithm of the variance, the same shape.
        generator: Draws the noise, on its own device; None: torch's default generator.

    Returns:
        mean + exp(logvar / 2) * noise, in the shape, dtype and device of ``mean``.
    """
    device = mean.device if generator is None else generator.device
    noise = torch.randn(mean.shape, generator=generator, device=device, dtype=torch.float32)
    return mean + torch.exp(0.5 * logvar) * noise.to(mean)


def find_occupied_voxels(logits: Tensor) -> Tensor:
    """Return (T, 4) int32 rows (item, x, y, z) with a logit > 0, row-major, from (B, 1, R, R, R)."""
    return torch.argwhere(logits[:, 0] > 0).to(torch.int32)
