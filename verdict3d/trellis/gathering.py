"""Sums of linear maps of gathered rows, which sparse convolution is made of, with their backward passes.

The 27 neighbours of a block of rows are gathered and multiplied at once; the backward pass is the same with
the mirrored kernel. With few channels a GPU multiplies every row first and gathers the products, which is one
pass over memory less. Where most neighbours are absent, a CPU multiplies offset by offset only those that are
there. No atomics, so the same inputs give the same bits on every run of a device.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from verdict3d.trellis.structure import Pairs

CPU_BLOCK = 1 << 19
"""Gathered elements per block on the CPU: 2 MiB of float32, so that a block stays in the cache."""
GPU_BLOCKS = 3
"""Least number of blocks on a GPU: a third of all that is gathered is kept at once."""
GPU_BLOCK = 1 << 28
"""Gathered elements per block on a GPU at most: 512 MiB of float16."""
GPU_PRODUCTS = 1 << 29
"""Elements of products that a GPU keeps at once: 1 GiB of float16."""
NARROW = 256
"""Channels of a convolution up to which a GPU gathers products: wide rows are gathered faster than summed."""
FEWEST = 8
"""Offsets at once below which it does not: the sums are read and written too often."""
CENTRE = 13
"""Index of the offset (0, 0, 0) among 27."""


class RowSums(nn.Module):
    """Sums of gathered rows; a module, so that it can be compiled."""

    def forward(self, rows: Tensor, places: Tensor) -> Tensor:
        """Return (P, C), sum_k rows[places[:, k]] of (N, C) and (P, K), in float32 at least, rounded once.

        Compiled it is one pass without a loop, in half the time of torch's kernel (on an H200).
        """
        if not torch.compiler.is_compiling() or torch.is_grad_enabled():
            return F.embedding_bag(places, rows, mode="sum")
        dtype = torch.promote_types(rows.dtype, torch.float32)
        total = rows[places[:, 0]].to(dtype)
        for index in range(1, places.shape[1]):
            total = total + rows[places[:, index]].to(dtype)
        return total.to(rows.dtype)


_row_sums = RowSums()


class _GatherLinear(torch.autograd.Function):
    """y[p] = sum_k W_k x[rows[p, k]] with x[len(x)] = 0; ``back`` is the transposed map (q, k) -> p."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, rows: Tensor, back: Tensor, row_sums: RowSums) -> Tensor:
        ctx.save_for_backward(x, weight, rows, back)
        return _gather_linear(x, weight, rows, row_sums)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        x, weight, rows, back = ctx.saved_tensors
        grad = grads[0].to(x.dtype).contiguous()
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            out, taps, channels = weight.shape
            mirrored = weight.permute(2, 1, 0).reshape(channels, taps, out)
            grad_x = _gather_linear(grad, mirrored, back, _row_sums)
        if ctx.needs_input_grad[1]:
            grad_weight = _gather_outer(x, grad, rows).reshape(weight.shape).to(weight.dtype)
        return grad_x, grad_weight, None, None, None


class _PairLinear(torch.autograd.Function):
    """y[row] = sum over pairs of W_offset x[neighbour]; an offset names no row twice, so no order matters."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, pairs: Pairs) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.pairs = pairs
        return _sum_products(x, weight.permute(1, 2, 0), pairs.neighbour, pairs.row, pairs.counts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (x, weight), pairs = ctx.saved_tensors, ctx.pairs
        grad = grads[0].to(x.dtype).contiguous()
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = _sum_products(grad, weight.permute(1, 0, 2), pairs.row, pairs.neighbour, pairs.counts)
        if ctx.needs_input_grad[1]:
            ends = zip(pairs.row.split(pairs.counts), pairs.neighbour.split(pairs.counts), strict=True)
            products = [grad.index_select(0, row).t() @ x.index_select(0, seen) for row, seen in ends]
            grad_weight = torch.stack(products, dim=1).to(weight.dtype)
        return grad_x, grad_weight, None


def _sum_products(x: Tensor, matrices: Tensor, source: Tensor, target: Tensor, counts: list[int]) -> Tensor:
    """Return y with y[target] += x[source] matrices[k] for the pairs of every offset k; (27, Cin, Cout)."""
    out = x @ matrices[CENTRE]  # every row is its own neighbour
    parts = zip(matrices, source.split(counts), target.split(counts), strict=True)
    for offset, (matrix, seen, row) in enumerate(parts):
        if offset != CENTRE:
            out.index_add_(0, row, x.index_select(0, seen) @ matrix)
    return out


def _cut_blocks(rows: Tensor, channels: int) -> list[Tensor]:
    """Split rows so that what is gathered for a part is small; see the constants."""
    fitting = (GPU_BLOCK if rows.is_cuda else CPU_BLOCK) // (rows.shape[1] * channels)
    if rows.is_cuda:
        fitting = min(fitting, -(-len(rows) // GPU_BLOCKS))
    return list(rows.split(max(fitting, 64)))


def pad_rows(x: Tensor) -> Tensor:
    """Return (N, C) rows with a row of zeros after them, which absent neighbours name."""
    return torch.cat([x, x.new_zeros(1, x.shape[1])])


def _gather_linear(x: Tensor, weight: Tensor, rows: Tensor, row_sums: RowSums) -> Tensor:
    channels_out, _, channels = weight.shape
    at_once = GPU_PRODUCTS // max(len(x) * channels_out, 1)
    if x.is_cuda and channels_out <= min(channels, NARROW) and at_once >= FEWEST:
        return _multiply_gathered(x, weight, rows, at_once, row_sums)
    padded, flat = pad_rows(x), weight.reshape(len(weight), -1)
    out = x.new_empty(len(rows), len(weight))
    start = 0
    for block in _cut_blocks(rows, x.shape[1]):
        part = out[start : start + len(block)]  # what is gathered has no name, so that only one block is kept
        torch.mm(padded.index_select(0, block.reshape(-1)).reshape(len(block), -1), flat.t(), out=part)
        start += len(block)
    return out


def _multiply_gathered(x: Tensor, weight: Tensor, rows: Tensor, at_once: int, row_sums: RowSums) -> Tensor:
    """Return what :func:`_gather_linear` does, with products of all rows, ``at_once`` offsets a time."""
    parts = zip(weight.permute(1, 2, 0).split(at_once), rows.split(at_once, dim=1), strict=True)
    sums = (_sum_of_products(x, matrices, seen, row_sums) for matrices, seen in parts)
    total = next(sums)
    for part in sums:
        total += part
    return total


def _sum_of_products(x: Tensor, matrices: Tensor, seen: Tensor, row_sums: RowSums) -> Tensor:
    """Return sum_k x[seen[:, k]] matrices[k] of (N, Cin), (P, K) and (K, Cin, Cout)."""
    (taps, _, channels_out), count = matrices.shape, len(x)
    absent = taps * count
    products = x.new_empty(absent + 1, channels_out)
    products[absent] = 0
    torch.bmm(x.expand(taps, -1, -1), matrices, out=products[:absent].view(taps, count, channels_out))
    starts = torch.arange(taps, dtype=seen.dtype, device=seen.device) * count
    places = torch.where(seen < count, seen + starts, absent)
    return row_sums(products, places)


def _gather_outer(x: Tensor, grad: Tensor, rows: Tensor) -> Tensor:
    padded = pad_rows(x)
    dtype = torch.promote_types(x.dtype, torch.float32)
    total = torch.zeros(grad.shape[1], rows.shape[1] * x.shape[1], dtype=dtype, device=x.device)
    start = 0
    for block in _cut_blocks(rows, x.shape[1]):
        gathered = padded.index_select(0, block.reshape(-1)).reshape(len(block), -1)
        total += grad[start : start + len(block)].t() @ gathered
        start += len(block)
    return total


def gather_linear(
    x: Tensor, weight: Tensor, rows: Tensor, back: Tensor, row_sums: RowSums = _row_sums
) -> Tensor:
    """Sum K linear maps of gathered rows: y[p] = sum_k W_k x[rows[p, k]], differentiable.

    Args:
        x: (N, Cin) features.
        weight: (Cout, K, Cin).
        rows: (P, K) int32 in [0, N]; N means nothing there.
        back: (N, K) int32 in [0, P], the transposed map: back[q, k] = p exactly when rows[p, k] = q, else P.
        row_sums: How a GPU adds up rows; compiled or not.

    Returns:
        (P, Cout) in the dtype of ``x``, or autocast's.
    """
    x, weight = _cast(x, weight)
    with torch.autocast(x.device.type, enabled=False):
        tables = (rows.contiguous(), back.contiguous(), row_sums)
        return _GatherLinear.apply(x, weight, *tables)  # type: ignore[no-untyped-call]


def _cast(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return both in autocast's dtype where it is on; own autograd functions are not seen by it."""
    if not torch.is_autocast_enabled(x.device.type):
        return x, weight
    dtype = torch.get_autocast_dtype(x.device.type)
    return x.to(dtype), weight.to(dtype)


def multiply_pairs(x: Tensor, weight: Tensor, pairs: Pairs) -> Tensor:
    """Sum linear maps over the neighbours that exist, differentiable; :func:`gather_linear` up to rounding.

    Args:
        x: (N, Cin) features.
        weight: (Cout, 27, Cin).
        pairs: Rows and neighbours, both in [0, N).

    Returns:
        (N, Cout) in the dtype of ``x``, or autocast's.
    """
    x, weight = _cast(x, weight)
    with torch.autocast(x.device.type, enabled=False):
        return _PairLinear.apply(x, weight, pairs)  # type: ignore[no-untyped-call]
