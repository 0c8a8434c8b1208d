"""Encoder and decoders of structured latents: windowed transformers over voxels."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from verdict3d.trellis.network import Network, clear_layer
from verdict3d.trellis.sparse import SparseConv3d, SparseGroupNorm32, SparseTensor, subdivide
from verdict3d.trellis.structure_vae import sample_gaussian
from verdict3d.trellis.transformer import Block, embed_positions

AttentionMode = Literal["swin", "full"]
WEIGHT_CHANNELS = 21
"""Interpolation weights of a cube: 12 beta, 8 alpha, 1 gamma."""


class SLatTransformer(Network):
    """A windowed transformer whose other arguments have the same names in all released classes.

    Args:
        arguments: Those of the subclass's constructor.
        in_channels: Channels (C_in) of the features.
    """

    TORSO: tuple[str, ...] = ("blocks",)

    def __init__(self, arguments: dict[str, Any], in_channels: int) -> None:
        super().__init__(arguments)
        self.attn_mode, self.window_size = arguments["attn_mode"], arguments["window_size"]
        if self.attn_mode not in ("swin", "full"):
            raise ValueError(f"attn_mode must be 'swin' or 'full', got {self.attn_mode!r}")
        width, heads, ratio = (arguments[name] for name in ("model_channels", "num_heads", "mlp_ratio"))
        self.input_layer = nn.Linear(in_channels, width)
        self.blocks = nn.ModuleList(Block(width, heads, ratio) for _ in range(arguments["num_blocks"]))

    def run_trunk(self, x: SparseTensor) -> SparseTensor:
        """Embed (T, C_in), add positions, attend in windows, shifted by half in odd blocks: (T, C)."""
        h = self.input_layer(x.feats)
        h = (h + embed_positions(x.coords[:, 1:], h.shape[1])).to(self.torso_dtype)
        for index, block in enumerate(self.blocks):
            if self.attn_mode == "full":
                sequences = x.structure.items
            else:
                sequences = x.structure.cut_windows(self.window_size, self.window_size // 2 * (index % 2))
            h = block(h, sequences)
        return x.replace(h)

    def initialize_weights(self) -> None:
        """Initialise for training; the untrained output is zero."""
        super().initialize_weights()
        clear_layer(self.get_submodule("out_layer"))


class SLatEncoder(SLatTransformer):
    """Image features on voxels to structured latents.

    Args:
        resolution: Side of the voxel grid.
        in_channels: Channels of the averaged patch tokens.
        model_channels: Width C.
        latent_channels: Latent channels.
        num_blocks: Transformer blocks.
        num_heads: Attention heads.
        mlp_ratio: Hidden width of the feed-forward parts over C.
        attn_mode: "swin" for shifted windows, "full" for whole items.
        window_size: Side of a window in voxels.
        use_fp16: Keep the blocks in float16.
    """

    def __init__(
        self,
        resolution: int,
        in_channels: int,
        model_channels: int,
        latent_channels: int,
        num_blocks: int,
        num_heads: int,
        mlp_ratio: float = 4,
        attn_mode: AttentionMode = "swin",
        window_size: int = 8,
        use_fp16: bool = False,
    ) -> None:
        super().__init__(locals(), in_channels)
        self.out_layer = nn.Linear(model_channels, 2 * latent_channels)
        self._finish()

    def compute_distribution(self, x: SparseTensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, (T, latent) each, of (T, C_in) features."""
        h = self.run_trunk(x).feats.to(x.feats.dtype)
        mean, logvar = self.out_layer(F.layer_norm(h, h.shape[-1:])).chunk(2, dim=-1)
        return mean, logvar

    def forward(
        self, x: SparseTensor, sample_posterior: bool = False, generator: torch.Generator | None = None
    ) -> SparseTensor:
        """Encode features as the latent's mean, or a sample of it drawn with ``generator``."""
        mean, logvar = self.compute_distribution(x)
        return x.replace(sample_gaussian(mean, logvar, generator) if sample_posterior else mean)


class SparseSubdivideBlock3d(nn.Module):
    """Halve the voxels and convolve: conv(SiLU(GN(conv(sub(SiLU(GN(x))))))) + conv1(sub(x))."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.act_layers = nn.Sequential(SparseGroupNorm32(32, channels), nn.SiLU())
        self.out_layers = nn.Sequential(
            SparseConv3d(channels, out_channels, 3),
            SparseGroupNorm32(32, out_channels),
            nn.SiLU(),
            SparseConv3d(out_channels, out_channels, 3),
        )
        self.skip_connection = SparseConv3d(channels, out_channels, 1)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Turn (T, C) into (8 T, C_out) at twice the resolution."""
        target = x.structure.subdivide()
        norm1, norm2 = self.act_layers[0], self.out_layers[1]
        first, last = self.out_layers[0], self.out_layers[3]
        assert isinstance(norm1, SparseGroupNorm32) and isinstance(norm2, SparseGroupNorm32)
        assert isinstance(first, SparseConv3d)
        # Pointwise work and the first convolution commute with copying to children: cheaper before it.
        h = first.forward_subdivided(x.replace(F.silu(norm1.normalize(x))), target)
        h = last(h.replace(F.silu(norm2.normalize(h))))
        skip = subdivide(self.skip_connection(x), target)
        return h.replace(h.feats + skip.feats)


class SLatMeshDecoder(SLatTransformer):
    """Structured latents to the features that mesh extraction reads, at four times the resolution.

    Channels: 8 sdf, 24 deformation, 21 weights, then 48 colour and normal with ``use_color``; corners x
    fastest.

    Args:
        resolution: Side of the latent's voxel grid.
        model_channels: Width C; a multiple of 256 (group norm after two halvings).
        latent_channels: Latent channels.
        num_blocks: Transformer blocks.
        num_heads: Attention heads.
        mlp_ratio: Hidden width of the feed-forward parts over C.
        attn_mode: "swin" for shifted windows, "full" for whole items.
        window_size: Side of a window in voxels.
        use_fp16: Keep transformer and upsampling blocks in float16.
        representation_config: ``{"use_color": bool}``.
    """

    TORSO = ("blocks", "upsample")

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
        if model_channels % 256:
            raise ValueError(f"model_channels must be a multiple of 256, got {model_channels}")
        super().__init__(locals(), latent_channels)
        self.resolution = resolution
        self.use_color = bool(representation_config.get("use_color", False))
        self.out_channels = 8 + 24 + WEIGHT_CHANNELS + (48 if self.use_color else 0)
        self.upsample = nn.ModuleList(
            [
                SparseSubdivideBlock3d(model_channels, model_channels // 4),
                SparseSubdivideBlock3d(model_channels // 4, model_channels // 8),
            ]
        )
        self.out_layer = nn.Linear(model_channels // 8, self.out_channels)
        self._finish()

    def initialize_weights(self) -> None:
        """Initialise for training: second convolutions and output zero."""
        super().initialize_weights()
        for block in self.upsample:
            clear_layer(block.get_submodule("out_layers.3"))

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Decode (T, latent) at R to (64 T, 101 or 53) float32 features at 4 R."""
        h = self.run_trunk(x)
        for block in self.upsample:
            h = block(h)
        return h.replace(self.out_layer(h.feats.to(x.feats.dtype)))
