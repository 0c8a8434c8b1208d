"""Flow transformer over structured latents, between sparse residual blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from verdict3d.trellis.network import Network, clear_layer
from verdict3d.trellis.sparse import SparseConv3d, SparseTensor, pool_half, unpool
from verdict3d.trellis.structure import Structure
from verdict3d.trellis.structure_flow import initialize_flow
from verdict3d.trellis.transformer import (
    ActivatedNorm,
    ModulatedCrossBlock,
    ModulatedNorm,
    TimestepEmbedder,
    embed_positions,
    make_modulation,
)


class SparseResBlock3d(nn.Module):
    """Time-modulated residual block of two sparse convolutions, after resampling.

    Args:
        channels: Channels in.
        emb_channels: Width of the time embedding.
        out_channels: Channels out.
        resample: "down" halves the resolution first, "up" doubles it, None keeps it.
    """

    def __init__(
        self,
        channels: int,
        emb_channels: int,
        out_channels: int,
        resample: Literal["down", "up"] | None = None,
    ) -> None:
        super().__init__()
        self.resample = resample
        self.norm1 = ActivatedNorm(channels, eps=1e-6)
        self.norm2 = ModulatedNorm(out_channels)
        self.conv1 = SparseConv3d(channels, out_channels, 3)
        self.conv2 = SparseConv3d(out_channels, out_channels, 3)
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb_channels, 2 * out_channels))
        self.skip_connection = (
            nn.Linear(channels, out_channels) if channels != out_channels else nn.Identity()
        )

    def forward(self, x: SparseTensor, emb: Tensor, fine: Structure | None = None) -> SparseTensor:
        """Run the block.

        Args:
            x: (T, C) features.
            emb: (B, E) time embedding.
            fine: The voxels to return to when ``resample`` is "up".
        """
        if self.resample == "down":
            x = pool_half(x)
        h = x.replace(self.norm1(x.feats))
        skip = x.replace(self.skip_connection(x.feats))
        if self.resample == "up":  # what is done to each row alone is done before rows are copied
            if fine is None:
                raise ValueError("an upsampling block needs the fine structure")
            h, skip = self.conv1.forward_unpooled(h, fine), unpool(skip, fine)
        else:
            h = self.conv1(h)
        modulated = self.norm2(h.feats, self.emb_layers(emb), h.structure.item_of_row)
        h = self.conv2(h.replace(modulated))
        return h.replace(h.feats + skip.feats)


class SLatFlowModel(Network):
    """Predict the velocity of a structured latent.

    Args:
        resolution: Side of the voxel grid.
        in_channels: Latent channels in.
        model_channels: Width C of the transformer.
        cond_channels: Channels of the condition tokens.
        out_channels: Latent channels out.
        num_blocks: Transformer blocks.
        num_heads: Attention heads.
        mlp_ratio: Hidden width of the feed-forward parts over C.
        patch_size: Side of a token's patch: 2 with one level of residual blocks, 1 with none.
        num_io_res_blocks: Residual blocks on the way in, and on the way out.
        io_block_channels: Width of the residual blocks, one entry; None for no residual blocks.
        pe_mode: Position embedding; only the absolute one of the released models.
        share_mod: One modulation for all blocks.
        qk_rms_norm: RMS norm of queries and keys in self-attention.
        qk_rms_norm_cross: The same in cross-attention.
        use_fp16: Keep residual and transformer blocks in float16.
    """

    TORSO = ("input_blocks", "blocks", "out_blocks")

    def __init__(
        self,
        resolution: int,
        in_channels: int,
        model_channels: int,
        cond_channels: int,
        out_channels: int,
        num_blocks: int,
        num_heads: int,
        mlp_ratio: float = 4,
        patch_size: int = 2,
        num_io_res_blocks: int = 2,
        io_block_channels: Sequence[int] | None = None,
        pe_mode: Literal["ape"] = "ape",
        share_mod: bool = False,
        qk_rms_norm: bool = False,
        qk_rms_norm_cross: bool = False,
        use_fp16: bool = False,
    ) -> None:
        super().__init__(locals())
        widths = list(io_block_channels or [])
        if pe_mode != "ape":
            raise ValueError(f"pe_mode must be 'ape', got {pe_mode!r}")
        if len(widths) > 1 or patch_size != 2 ** len(widths):
            raise ValueError(
                "one entry of io_block_channels with patch_size 2, or none with patch_size 1; "
                f"got {widths} and {patch_size}"
            )
        width = widths[0] if widths else model_channels
        self.share_mod = share_mod
        self.t_embedder = TimestepEmbedder(model_channels)
        if share_mod:
            self.adaLN_modulation = make_modulation(model_channels)
        self.input_layer = nn.Linear(in_channels, width)
        inner = num_io_res_blocks - 1
        self.input_blocks = nn.ModuleList()
        self.blocks = nn.ModuleList(
            ModulatedCrossBlock(
                model_channels, cond_channels, num_heads, mlp_ratio, share_mod, qk_rms_norm, qk_rms_norm_cross
            )
            for _ in range(num_blocks)
        )
        self.out_blocks = nn.ModuleList()
        if widths:
            block = SparseResBlock3d
            self.input_blocks.extend(block(width, model_channels, width) for _ in range(inner))
            self.input_blocks.append(block(width, model_channels, model_channels, "down"))
            self.out_blocks.append(block(2 * model_channels, model_channels, width, "up"))
            self.out_blocks.extend(block(2 * width, model_channels, width) for _ in range(inner))
        self.out_layer = nn.Linear(width, out_channels)
        self._finish()

    def initialize_weights(self) -> None:
        """Initialise for training; the untrained model predicts zero velocity."""
        super().initialize_weights()
        initialize_flow(self)
        for block in [*self.input_blocks, *self.out_blocks]:
            clear_layer(block.get_submodule("conv2"))

    def encode_tokens(self, x: SparseTensor, emb: Tensor) -> tuple[SparseTensor, list[SparseTensor]]:
        """Run the input blocks: the patch tokens, and every block's output for the way back."""
        h = x.replace(self.input_layer(x.feats).to(self.torso_dtype))
        skips = []
        for block in self.input_blocks:
            h = block(h, emb)
            skips.append(h)
        return h, skips

    def forward(self, x: SparseTensor, t: Tensor, cond: Tensor) -> SparseTensor:
        """Predict the velocity.

        Args:
            x: (T, C_in) noisy latents, float32.
            t: (B,) time in [0, 1000]; 1000 is noise.
            cond: (B', L, C') condition tokens of the first B' items; those of the others are zeros.

        Returns:
            (T, C_out) velocity on the same voxels, in the dtype of ``x``.
        """
        dtype = self.torso_dtype
        emb = self.t_embedder(t)
        mod = (self.adaLN_modulation(emb) if self.share_mod else emb).to(dtype)
        emb, cond = emb.to(dtype), cond.to(dtype)
        h, skips = self.encode_tokens(x, emb)
        tokens = h.feats + embed_positions(h.coords[:, 1:], h.feats.shape[1]).to(dtype)
        items = h.structure.items
        asking = items.take_first(len(cond))
        for block in self.blocks:
            tokens = block(tokens, mod, cond, items, asking)
        h = h.replace(tokens)
        for block in self.out_blocks:
            skip = skips.pop()
            h = block(h.replace(torch.cat([h.feats, skip.feats], dim=1)), emb, x.structure)
        # The released model normalises here in the torso's dtype, unlike everywhere else.
        feats = F.layer_norm(h.feats, h.feats.shape[-1:]).to(x.feats.dtype)
        return x.replace(self.out_layer(feats).to(x.feats.dtype))
