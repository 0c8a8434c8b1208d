"""Multi-head attention over dense tokens and over the uneven sequences of a sparse batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from verdict3d.trellis.sequences import Sequences


class HeadRMSNorm(nn.Module):
    """Scale every head's vector to length sqrt(D) times a learnt ``gamma`` (H, D); computed in float32."""

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        self.scale = head_dim**0.5
        self.gamma = nn.Parameter(torch.ones(heads, head_dim))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., H, D)."""
        return (F.normalize(x.float(), dim=-1) * self.gamma * self.scale).to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention of (N, L, H, D) queries and (N, S, H, D) keys and values.

    Returns:
        (N, L, H * D).
    """
    out = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), mask)
    return out.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Self-attention with optional q/k RMS norm.

    Args:
        channels: C, a multiple of ``heads``.
        heads: H.
        qk_rms_norm: Normalise queries and keys per head.
    """

    def __init__(self, channels: int, heads: int, qk_rms_norm: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.qk_rms_norm = qk_rms_norm
        if qk_rms_norm:
            self.q_rms_norm = HeadRMSNorm(heads, channels // heads)
            self.k_rms_norm = HeadRMSNorm(heads, channels // heads)
        self.to_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, sequences: Sequences | None = None) -> Tensor:
        """Attend within each item of (B, L, C), or within each sequence of (T, C) rows."""
        qkv = self.to_qkv(x).unflatten(-1, (3, self.heads, -1))
        if self.qk_rms_norm:
            q, k, v = qkv.unbind(-3)
            q, k = self.q_rms_norm(q), self.k_rms_norm(k)
            qkv = torch.stack([q, k, v], dim=-3) if sequences is not None else qkv
        else:
            q, k, v = qkv.unbind(-3)
        if sequences is None:
            return self.to_out(attend(q, k, v))
        flat, parts = qkv.flatten(1), []
        for bucket in sequences.buckets:
            padded = flat.index_select(0, bucket.rows).reshape(len(bucket), bucket.length, *qkv.shape[1:])
            q, k, v = padded.unbind(2)
            parts.append(attend(q, k, v, bucket.mask).flatten(0, 1))
        return self.to_out(sequences.restore(parts))


class CrossAttention(nn.Module):
    """Attention of tokens to condition tokens.

    Args:
        channels: C of the tokens.
        context_channels: Channels of the condition tokens.
        heads: H.
        qk_rms_norm: Normalise queries and keys per head.
    """

    def __init__(self, channels: int, context_channels: int, heads: int, qk_rms_norm: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels)
        self.to_kv = nn.Linear(context_channels, 2 * channels)
        self.qk_rms_norm = qk_rms_norm
        if qk_rms_norm:
            self.q_rms_norm = HeadRMSNorm(heads, channels // heads)
            self.k_rms_norm = HeadRMSNorm(heads, channels // heads)
        self.to_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, context: Tensor, items: Sequences | None = None) -> Tensor:
        """Attend from (B, L, C) tokens, or (T, C) rows grouped by item, to (B, S, C') context."""
        q = self.to_q(x).unflatten(-1, (self.heads, -1))
        k, v = self.to_kv(context).unflatten(-1, (2, self.heads, -1)).unbind(2)
        if self.qk_rms_norm:
            q, k = self.q_rms_norm(q), self.k_rms_norm(k)
        if items is None:
            return self.to_out(attend(q, k, v))
        flat, parts = q.flatten(1), []
        for bucket in items.buckets:
            padded = flat.index_select(0, bucket.rows).reshape(len(bucket), bucket.length, *q.shape[1:])
            chosen = (k.index_select(0, bucket.sequence), v.index_select(0, bucket.sequence))
            parts.append(attend(padded, *chosen).flatten(0, 1))
        return self.to_out(items.restore(parts))
