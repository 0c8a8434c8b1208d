"""Multi-head attention over dense tokens and over the uneven sequences of a sparse batch."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn import attention
from torch.nn import functional as F
from torch.nn.attention.varlen import varlen_attn

from verdict3d.trellis.sequences import Sequences

HOPPER = 9
"""Major compute capability of the GPUs that FlashAttention-3 is made for."""


def prefer_flash_attention_3() -> bool:
    """Let torch use FlashAttention-3 in this process, where it is installed and the GPU is made for it.

    For uneven sequences it replaces FlashAttention-2, which torch brings along; nothing else changes.
    """
    usable = (
        find_spec("flash_attn_interface") is not None
        and torch.cuda.is_available()
        and torch.cuda.get_device_capability()[0] == HOPPER
    )
    if usable and attention.current_flash_attention_impl() is None:
        attention.activate_flash_attention_impl("FA3")
    return usable


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


def in_half_on_gpu(x: Tensor) -> bool:
    """Whether kernels for half precision on a GPU take ``x``, such as the one for uneven sequences.

    Even ones go through that one too: cuDNN's is planned anew for every length and, for uneven ones, at every
    call (40 to 80 ms).
    """
    return x.is_cuda and x.dtype in (torch.float16, torch.bfloat16)


def _attend_unpadded(
    q: Tensor, k: Tensor, v: Tensor, ends: tuple[Tensor, Tensor], longest: tuple[int, int]
) -> Tensor:
    """Attention of (T, H, D) rows, sequences one after the other with ends as ``Sequences.offsets``."""
    out = varlen_attn(q, k, v, *ends, *longest)
    assert isinstance(out, Tensor)
    return out


def attend_uneven(q: Tensor, k: Tensor, v: Tensor, sequences: Sequences) -> Tensor:
    """Attention of (T, H, D) rows within each of their sequences, :func:`in_half_on_gpu`.

    Returns:
        (T, H * D).
    """
    q, k, v = (sequences.sort(rows) for rows in (q, k, v))
    ends, longest = sequences.offsets, sequences.longest
    out = _attend_unpadded(q, k, v, (ends, ends), (longest, longest))
    return sequences.unsort(out.flatten(1))


def attend_within(qkv: Tensor, sequences: Sequences) -> Tensor:
    """Attention of (T, 3, H, D) rows within each of their sequences.

    Returns:
        (T, H * D).
    """
    if sequences.even is not None:
        q, k, v = qkv.unflatten(0, (sequences.even, -1)).unbind(2)
        return attend(q, k, v).flatten(0, 1)
    flat, parts = qkv.flatten(1), []
    for bucket in sequences.buckets:
        padded = flat.index_select(0, bucket.rows).reshape(len(bucket), bucket.length, *qkv.shape[1:])
        q, k, v = padded.unbind(2)
        parts.append(attend(q, k, v, bucket.mask).flatten(0, 1))
    return sequences.restore(parts)


def attend_context(q: Tensor, k: Tensor, v: Tensor, items: Sequences) -> Tensor:
    """Attention of (T, H, D) rows to their item's (B, S, H, D) keys and values.

    Returns:
        (T, H * D).
    """
    if in_half_on_gpu(q):
        count, length = k.shape[:2]
        ends = torch.arange(0, (count + 1) * length, length, dtype=torch.int32, device=q.device)
        q, k, v = items.sort(q), k.flatten(0, 1), v.flatten(0, 1)
        out = _attend_unpadded(q, k, v, (items.offsets, ends), (items.longest, length))
        return items.unsort(out.flatten(1))
    if items.even is not None:
        return attend(q.unflatten(0, (items.even, -1)), k, v).flatten(0, 1)
    flat, parts = q.flatten(1), []
    for bucket in items.buckets:
        padded = flat.index_select(0, bucket.rows).reshape(len(bucket), bucket.length, *q.shape[1:])
        chosen = (k.index_select(0, bucket.sequence), v.index_select(0, bucket.sequence))
        parts.append(attend(padded, *chosen).flatten(0, 1))
    return items.restore(parts)


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
        q, k, v = qkv.unbind(-3)
        if self.qk_rms_norm:
            q, k = self.q_rms_norm(q), self.k_rms_norm(k)
        if sequences is None:
            return self.to_out(attend(q, k, v))
        if in_half_on_gpu(q):
            return self.to_out(attend_uneven(q, k, v, sequences))
        qkv = torch.stack([q, k, v], dim=-3) if self.qk_rms_norm else qkv
        return self.to_out(attend_within(qkv, sequences))


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

    def of_zeros(self, context: Tensor) -> Tensor:
        """Return (1, C): what every token gets from context tokens of zeros, which are all alike.

        Args:
            context: (B, S, C') of any values; only its dtype and device count.
        """
        nothing = context.new_zeros(1, context.shape[-1])
        return self.to_out(self.to_kv(nothing).chunk(2, dim=-1)[1])

    def forward(self, x: Tensor, context: Tensor, items: Sequences | None = None) -> Tensor:
        """Attend from (B, L, C) tokens, or (T, C) rows grouped by item, to (B, S, C') context."""
        q = self.to_q(x).unflatten(-1, (self.heads, -1))
        k, v = self.to_kv(context).unflatten(-1, (2, self.heads, -1)).unbind(2)
        if self.qk_rms_norm:
            q, k = self.q_rms_norm(q), self.k_rms_norm(k)
        if items is None:
            return self.to_out(attend(q, k, v))
        return self.to_out(attend_context(q, k, v, items))
