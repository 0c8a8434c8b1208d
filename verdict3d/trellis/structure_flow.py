"""Flow transformer over the dense latent grid of the sparse structure."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from verdict3d.trellis.network import Network, clear_layer
from verdict3d.trellis.transformer import (
    ModulatedCrossBlock,
    TimestepEmbedder,
    embed_positions,
    make_modulation,
)


def patchify(x: Tensor, patch: int) -> Tensor:
    """Turn (B, C, R, R, R) into (B, (R/p)^3, C p^3) tokens, x slowest; features ordered (c, px, py, pz)."""
    batch, channels, *sides = x.shape
    a, b, c = (side // patch for side in sides)
    x = x.reshape(batch, channels, a, patch, b, patch, c, patch).permute(0, 2, 4, 6, 1, 3, 5, 7)
    return x.reshape(batch, a * b * c, channels * patch**3)


def unpatchify(tokens: Tensor, patch: int, side: int) -> Tensor:
    """Return (B, C, R, R, R) of :func:`patchify`'s tokens.

    Args:
        tokens: (B, side^3, C p^3).
        patch: Side p of a patch.
        side: Patches along each side of the grid: R = side * p.
    """
    batch = len(tokens)
    x = tokens.reshape(batch, side, side, side, -1, patch, patch, patch).permute(0, 4, 1, 5, 2, 6, 3, 7)
    return x.reshape(batch, -1, side * patch, side * patch, side * patch)


def initialize_flow(network: Network) -> None:
    """Initialise what flow transformers share: time embedder N(0, 0.02), modulations and output zero."""
    embedder = network.get_submodule("t_embedder.mlp")
    for layer in embedder.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
    for name, module in network.named_modules():
        if name.endswith("adaLN_modulation"):
            clear_layer(module)
    clear_layer(network.get_submodule("out_layer"))


class SparseStructureFlowModel(Network):
    """Predict the velocity of a structure latent.

    Args:
        resolution: Side R of the latent grid.
        in_channels: Latent channels in.
        model_channels: Width C.
        cond_channels: Channels of the condition tokens.
        out_channels: Latent channels out.
        num_blocks: Transformer blocks.
        num_heads: Attention heads.
        mlp_ratio: Hidden width of the feed-forward parts over C.
        patch_size: Side p of a token's patch; divides R.
        pe_mode: Position embedding; only the absolute one of the released models.
        share_mod: One modulation for all blocks.
        qk_rms_norm: RMS norm of queries and keys in self-attention.
        qk_rms_norm_cross: The same in cross-attention.
        use_fp16: Keep the blocks in float16.
    """

    TORSO = ("blocks",)
    UNEVEN = False

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
        pe_mode: Literal["ape"] = "ape",
        share_mod: bool = False,
        qk_rms_norm: bool = False,
        qk_rms_norm_cross: bool = False,
        use_fp16: bool = False,
    ) -> None:
        super().__init__(locals())
        if pe_mode != "ape":
            raise ValueError(f"pe_mode must be 'ape', got {pe_mode!r}")
        if resolution % patch_size:
            raise ValueError(f"patch_size {patch_size} does not divide resolution {resolution}")
        self.patch_size, self.side = patch_size, resolution // patch_size
        self.share_mod = share_mod
        self.t_embedder = TimestepEmbedder(model_channels)
        if share_mod:
            self.adaLN_modulation = make_modulation(model_channels)
        axis = torch.arange(self.side)
        coords = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)
        self.register_buffer("pos_emb", embed_positions(coords, model_channels))
        self.pos_emb: Tensor
        self.input_layer = nn.Linear(in_channels * patch_size**3, model_channels)
        self.blocks = nn.ModuleList(
            ModulatedCrossBlock(
                model_channels, cond_channels, num_heads, mlp_ratio, share_mod, qk_rms_norm, qk_rms_norm_cross
            )
            for _ in range(num_blocks)
        )
        self.out_layer = nn.Linear(model_channels, out_channels * patch_size**3)
        self._finish()

    def initialize_weights(self) -> None:
        """Initialise for training; the untrained model predicts zero velocity."""
        super().initialize_weights()
        initialize_flow(self)

    def forward(self, x: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """Predict the velocity.

        Args:
            x: (B, C, R, R, R) noisy latent, float32.
            t: (B,) time in [0, 1000]; 1000 is noise.
            cond: (B', L, C') condition tokens of the first B' items; those of the others are zeros.

        Returns:
            (B, C_out, R, R, R) velocity in the dtype of ``x``.
        """
        h = (self.input_layer(patchify(x, self.patch_size)) + self.pos_emb).to(self.torso_dtype)
        mod = self.t_embedder(t)
        mod = (self.adaLN_modulation(mod) if self.share_mod else mod).to(self.torso_dtype)
        cond = cond.to(self.torso_dtype)
        for block in self.blocks:
            h = block(h, mod, cond)
        h = F.layer_norm(h.to(x.dtype), h.shape[-1:])
        return unpatchify(self.out_layer(h), self.patch_size, self.side).to(x.dtype)
