"""Transformer blocks of TRELLIS, one set for dense tokens (B, L, C) and sparse rows (T, C)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from verdict3d.trellis.attention import CrossAttention, SelfAttention, in_half_on_gpu
from verdict3d.trellis.sequences import Sequences


class LayerNorm32(nn.LayerNorm):
    """Layer normalisation over the last axis in float32, cast back to the input's dtype."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (..., C)."""
        return super().forward(input.float()).to(input.dtype)


class ActivatedNorm(LayerNorm32):
    """Layer normalisation and SiLU."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., C)."""
        return F.silu(super().forward(input))


class ModulatedNorm(nn.Module):
    """Layer normalisation without weights, scaled and shifted, and SiLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = LayerNorm32(channels, eps=1e-6, elementwise_affine=False)

    def forward(self, x: Tensor, modulation: Tensor, item_of_row: Tensor) -> Tensor:
        """Map (T, C); of an item's 2 C the first half scales, about 1, and the second shifts."""
        scale, shift = modulation.index_select(0, item_of_row).chunk(2, dim=-1)
        return F.silu(self.norm(x) * (1 + scale) + shift)


def embed_positions(coords: Tensor, channels: int) -> Tensor:
    """Absolute position embedding: per axis f sines then f cosines, f = channels // 3 // 2, zeros at the end.

    Args:
        coords: (T, 3) integer coordinates.
        channels: Width C.

    Returns:
        (T, C) float32.
    """
    count = channels // 3 // 2
    steps = torch.arange(count, dtype=torch.float32, device=coords.device) / count
    angles = coords.float()[..., None] / (10000.0**steps)
    table = torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)
    return F.pad(table, (0, channels - table.shape[1]))


class TimestepEmbedder(nn.Module):
    """Embed t in [0, 1000] by 128 cosines and sines and a two-layer network."""

    FREQUENCIES = 128

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(2 * self.FREQUENCIES, channels), nn.SiLU(), nn.Linear(channels, channels)
        )

    def forward(self, t: Tensor) -> Tensor:
        """Embed (B,) times, already multiplied by 1000, as (B, C)."""
        steps = torch.arange(self.FREQUENCIES, dtype=torch.float32, device=t.device) / self.FREQUENCIES
        angles = t.float()[:, None] * torch.exp(-math.log(10000.0) * steps)
        return self.mlp(torch.cat([angles.cos(), angles.sin()], dim=-1))


class FeedForward(nn.Module):
    """Linear, GELU (tanh form), Linear; keys ``mlp.0`` and ``mlp.2``."""

    def __init__(self, channels: int, ratio: float) -> None:
        super().__init__()
        hidden = int(channels * ratio)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) to (..., C)."""
        first, _, last = self.mlp
        if isinstance(first, nn.Linear) and take_gelu_along(first, x):
            rows = x.flatten(0, -2)
            hidden = torch._addmm_activation(first.bias, rows, first.weight.t(), use_gelu=True)
            return last(hidden).view(x.shape)
        return self.mlp(x)


def take_gelu_along(layer: nn.Linear, x: Tensor) -> bool:
    """Whether GELU can be part of a linear layer's product: half precision on a GPU, nothing to learn.

    It spares a pass over the hidden values, and rounds once instead of twice.
    """
    plain = type(layer) is nn.Linear and not layer._forward_hooks
    return plain and in_half_on_gpu(x) and not torch.is_grad_enabled()


def make_modulation(channels: int) -> nn.Sequential:
    """SiLU and Linear(C, 6 C): shift, scale and gate for attention, then for the feed-forward part."""
    return nn.Sequential(nn.SiLU(), nn.Linear(channels, 6 * channels))


class ModulatedCrossBlock(nn.Module):
    """Self-attention, cross-attention and feed-forward, modulated by the time embedding.

    Args:
        channels: C.
        context_channels: Channels of the condition tokens.
        heads: Attention heads.
        mlp_ratio: Hidden width of the feed-forward part over C.
        share_mod: The modulation comes ready-made from the model instead of from the block's own layer.
        qk_rms_norm: RMS norm of queries and keys in self-attention.
        qk_rms_norm_cross: The same in cross-attention.
    """

    def __init__(
        self,
        channels: int,
        context_channels: int,
        heads: int,
        mlp_ratio: float,
        share_mod: bool,
        qk_rms_norm: bool,
        qk_rms_norm_cross: bool,
    ) -> None:
        super().__init__()
        self.norm1 = LayerNorm32(channels, eps=1e-6, elementwise_affine=False)
        self.norm2 = LayerNorm32(channels, eps=1e-6)
        self.norm3 = LayerNorm32(channels, eps=1e-6, elementwise_affine=False)
        self.self_attn = SelfAttention(channels, heads, qk_rms_norm)
        self.cross_attn = CrossAttention(channels, context_channels, heads, qk_rms_norm_cross)
        self.mlp = FeedForward(channels, mlp_ratio)
        self.share_mod = share_mod
        if not share_mod:
            self.adaLN_modulation = make_modulation(channels)

    def forward(
        self,
        x: Tensor,
        mod: Tensor,
        context: Tensor,
        items: Sequences | None = None,
        asking: Sequences | None = None,
    ) -> Tensor:
        """Run the block.

        Args:
            x: (B, L, C) tokens, or (T, C) rows when ``items`` is given.
            mod: (B, C) time embedding, or (B, 6 C) when the modulation is shared.
            context: (B', S, C') condition tokens of the first B' items; those of the others are zeros.
            items: Which rows belong to which item of the batch, one item after the other.
            asking: ``items.first(B')`` where B' is less than B.

        Returns:
            The shape of ``x``.
        """
        mod = mod if self.share_mod else self.adaLN_modulation(mod)
        spread = mod[:, None] if items is None else mod.index_select(0, items.sequence_of_row)
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = spread.chunk(6, dim=-1)
        h = self.norm1(x) * (1 + scale_msa) + shift_msa
        x = x + gate_msa * self.self_attn(h, items)
        x = self._see(x, context, asking or items)
        h = self.norm3(x) * (1 + scale_mlp) + shift_mlp
        return x + gate_mlp * self.mlp(h)

    def _see(self, x: Tensor, context: Tensor, asking: Sequences | None) -> Tensor:
        """Add cross-attention; items without a context all get the same, so nothing is attended to."""
        rows = len(context) if asking is None else len(asking.sequence_of_row)
        if rows == len(x):
            return x + self.cross_attn(self.norm2(x), context, asking)
        others = x[rows:] + self.cross_attn.of_zeros(context)
        if rows == 0:
            return others
        seeing = x[:rows]
        return torch.cat([seeing + self.cross_attn(self.norm2(seeing), context, asking), others])


class Block(nn.Module):
    """Pre-norm self-attention and feed-forward over windows; norms have no parameters."""

    def __init__(self, channels: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1 = LayerNorm32(channels, eps=1e-6, elementwise_affine=False)
        self.norm2 = LayerNorm32(channels, eps=1e-6, elementwise_affine=False)
        self.attn = SelfAttention(channels, heads)
        self.mlp = FeedForward(channels, mlp_ratio)

    def forward(self, x: Tensor, sequences: Sequences) -> Tensor:
        """Map (T, C) rows, attending within ``sequences``."""
        x = x + self.attn(self.norm1(x), sequences)
        return x + self.mlp(self.norm2(x))
