"""Sparse tensors and exact submanifold convolution in plain PyTorch.

The convolution gathers the 27 neighbours of a block of rows and multiplies once; the backward pass is a
convolution with the mirrored kernel. With few channels a GPU multiplies every row first and gathers the
products, which is one pass over memory less. Where most neighbours are absent, a CPU multiplies offset by
offset only those that are there. No atomics, so the same inputs give the same bits on every run of a device.
The released weights expect two things: a kernel of 1 reads its weights in another order
(:class:`SparseConv3d`), and a mean over voxels divides by one more than their number (:func:`pool_half`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from verdict3d.trellis.structure import Pairs, Structure, list_child_taps

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

PAIRS_SHARE = 0.5
"""A CPU works offset by offset where fewer are present (measured by benchmarks/sparse_convolution.py)."""
CENTRE = 13
"""Index of the offset (0, 0, 0) among 27."""
PAIRS_CHANNELS = 64
"""And with at least so many channels on both sides: below, 27 small products cost more than they save."""


class SparseTensor:
    """Features on active voxels.

    Args:
        feats: (T, C) features.
        coords: (T, 4) int32 columns (item, x, y, z); may be left out when ``structure`` is given.
        structure: The shared structure of the voxels, made from ``coords`` when left out.
    """

    def __init__(
        self, feats: Tensor, coords: Tensor | None = None, structure: Structure | None = None
    ) -> None:
        if structure is None:
            if coords is None:
                raise ValueError("a sparse tensor needs coords or a structure")
            structure = Structure(coords)
        if len(feats) != len(structure):
            raise ValueError(f"{len(feats)} feature rows for {len(structure)} voxels")
        self.feats = feats
        self.structure = structure

    @classmethod
    def stack(cls, feats: Sequence[Tensor], coords: Sequence[Tensor]) -> SparseTensor:
        """Make a batch from items: (T_i, C) features and (T_i, 3) integer coordinates each."""
        columns = [F.pad(xyz.to(torch.int32), (1, 0), value=index) for index, xyz in enumerate(coords)]
        return cls(torch.cat(list(feats)), structure=Structure(torch.cat(columns), len(columns)))

    @property
    def coords(self) -> Tensor:
        """(T, 4) int32 columns (item, x, y, z)."""
        return self.structure.coords

    @property
    def batch_size(self) -> int:
        """Number of items."""
        return self.structure.batch_size

    @property
    def device(self) -> torch.device:
        """Device of the features."""
        return self.feats.device

    def __len__(self) -> int:
        return len(self.feats)

    def replace(self, feats: Tensor) -> SparseTensor:
        """The same voxels with other features."""
        return SparseTensor(feats, structure=self.structure)

    def repeat(self, times: int) -> SparseTensor:
        """The batch ``times`` over."""
        return SparseTensor(self.feats.repeat(times, 1), structure=self.structure.repeat(times))

    def to(self, device: torch.device | str) -> SparseTensor:
        """Features and coordinates on another device (a new structure when it differs)."""
        if torch.device(device) == self.device:
            return self
        structure = Structure(self.coords.to(device), self.batch_size)
        return SparseTensor(self.feats.to(device), structure=structure)

    def split(self) -> list[tuple[Tensor, Tensor]]:
        """Items as ((T_i, C) features, (T_i, 3) int32 coordinates)."""
        lengths = self.structure.item_lengths
        return list(zip(self.feats.split(lengths), self.coords[:, 1:].split(lengths), strict=True))


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


def _pad(x: Tensor) -> Tensor:
    return torch.cat([x, x.new_zeros(1, x.shape[1])])


def _gather_linear(x: Tensor, weight: Tensor, rows: Tensor, row_sums: RowSums) -> Tensor:
    channels_out, _, channels = weight.shape
    at_once = GPU_PRODUCTS // max(len(x) * channels_out, 1)
    if x.is_cuda and channels_out <= min(channels, NARROW) and at_once >= FEWEST:
        return _multiply_gathered(x, weight, rows, at_once, row_sums)
    padded, flat = _pad(x), weight.reshape(len(weight), -1)
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
    padded = _pad(x)
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


class KernelWeights(nn.Module):
    """Weight (Cout, k, k, k, Cin) and bias (Cout,) of a sparse convolution, named as released."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, kernel, kernel, kernel, in_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        nn.init.xavier_uniform_(self.weight.view(out_channels, -1))


class SparseConv3d(nn.Module):
    """Submanifold convolution: outputs only at active voxels, absent neighbours count as zero.

    Kernel 3: y[p] = b + sum_d W[:, d] x[p + d - 1]. Kernel 1 follows the library the released weights were
    trained with, which reads the (Cout, 1, 1, 1, Cin) buffer as a row-major (Cin, Cout) matrix; no transpose.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        if kernel not in (1, 3):
            raise ValueError(f"kernel must be 1 or 3, got {kernel}")
        self.in_channels, self.out_channels, self.kernel = in_channels, out_channels, kernel
        self.conv = KernelWeights(in_channels, out_channels, kernel)
        self.row_sums = RowSums()

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Convolve (T, Cin) features into (T, Cout) on the same voxels."""
        weight, bias = self.conv.weight, self.conv.bias
        if self.kernel == 1:
            return x.replace(F.linear(x.feats, weight.reshape(self.in_channels, self.out_channels).t(), bias))
        rows = x.structure.neighbours
        kernel = weight.reshape(self.out_channels, 27, self.in_channels)
        if self._is_sparse(x):
            feats = multiply_pairs(x.feats, kernel, x.structure.pairs)
        else:
            feats = gather_linear(x.feats, kernel, rows, rows.flip(1), self.row_sums)
        return x.replace(feats + bias.to(feats.dtype))

    def _is_sparse(self, x: SparseTensor) -> bool:
        """Whether enough neighbours are absent to pay; after a subdivision they are not."""
        wide = min(self.in_channels, self.out_channels) >= PAIRS_CHANNELS
        sparse = wide and x.device.type == "cpu" and x.structure.parent is None
        return sparse and len(x.structure.pairs) < PAIRS_SHARE * 27 * len(x)

    def forward_unpooled(self, x: SparseTensor, fine: Structure) -> SparseTensor:
        """Convolve ``unpool(x, fine)`` without making it: products of coarse rows, summed on fine ones.

        Args:
            x: Features on ``fine.coarse``.
            fine: The voxels that are returned to.
        """
        kernel = self.conv.weight.reshape(self.out_channels, 27, self.in_channels)
        products = F.linear(_pad(x.feats), kernel.transpose(0, 1).reshape(-1, self.in_channels))
        rows = 27 * fine.coarse_neighbours + torch.arange(27, device=x.device)  # absent ones: of the zeros
        feats = self.row_sums(products.reshape(-1, self.out_channels), rows)
        return SparseTensor(feats + self.conv.bias.to(feats.dtype), structure=fine)

    def forward_subdivided(self, x: SparseTensor, target: Structure) -> SparseTensor:
        """Convolve ``subdivide(x)`` without making it: eight taps over parents instead of 27 over children.

        All children of a parent carry its features, so the offsets that lead into the same parent share one
        summed weight. The same numbers as ``forward(subdivide(x))`` up to rounding, with 8/27 of the work.

        Args:
            x: Features on the parents.
            target: ``x.structure.subdivided()``.
        """
        rows = x.structure.neighbours
        kernel = self.conv.weight.reshape(self.out_channels, 27, self.in_channels)
        taps, sums = _subdivide_kernels(rows.device)
        summed = torch.einsum("djk,okc->dojc", sums.to(kernel), kernel)
        parts = [
            gather_linear(x.feats, summed[child], rows[:, taps[child]], rows[:, 26 - taps[child]])
            for child in range(8)
        ]
        feats = torch.stack(parts, dim=1).reshape(len(target), self.out_channels)
        return SparseTensor(feats + self.conv.bias.to(feats.dtype), structure=target)


@cache
@torch.inference_mode(False)
def _subdivide_kernels(device: torch.device) -> tuple[Tensor, Tensor]:
    """For each child, the parent offsets it sees (8, 8) and the 0/1 sums of weights (8, 8, 27)."""
    taps, sums = torch.zeros(8, 8, dtype=torch.int64), torch.zeros(8, 8, 27)
    for child, row in enumerate(list_child_taps()):
        parents = sorted({parent for parent, _ in row})
        taps[child] = torch.tensor(parents)
        for offset, (parent, _) in enumerate(row):
            sums[child, parents.index(parent), offset] = 1.0
    return taps.to(device), sums.to(device)


class SparseGroupNorm32(nn.GroupNorm):
    """Group normalisation with statistics per item over its voxels and the group's channels, in float32."""

    def normalize(self, x: SparseTensor) -> Tensor:
        """Return the (T, C) normalised features in the dtype of ``x``."""
        structure, groups = x.structure, self.num_groups
        rows = structure.root.item_of_row
        values = structure.sort_by_root(x.feats.float())
        per_group = values.shape[-1] // groups
        count = structure.count_items_float()[:, None] * per_group

        def by_channel(sums: Tensor) -> Tensor:
            means = sums.reshape(-1, groups, per_group).sum(-1) / count
            return means.repeat_interleave(per_group, dim=1)

        mean = by_channel(structure.sum_items(values.reshape(len(x), -1)))
        centred = values - mean.index_select(0, rows)[:, None]
        variance = by_channel(structure.sum_items(centred.square().reshape(len(x), -1)))
        scale = torch.rsqrt(variance + self.eps) * self.weight
        out = torch.addcmul(self.bias, centred, scale.index_select(0, rows)[:, None])
        return out.reshape(len(x), -1).to(x.feats.dtype)


def pool_half(x: SparseTensor) -> SparseTensor:
    """Average features over the voxels of half the resolution, the reference's way: sum / (count + 1).

    The reference starts its mean from a row of zeros that is counted; released weights expect that.
    """
    coarse, inverse = x.structure.coarse
    sums = x.feats.new_zeros(len(coarse), x.feats.shape[1]).index_add(0, inverse, x.feats)
    counts = x.structure.coarse_counts + 1
    return SparseTensor(sums / counts[:, None].to(sums.dtype), structure=coarse)


def unpool(x: SparseTensor, fine: Structure) -> SparseTensor:
    """Give every voxel of ``fine`` the features of its voxel in ``x``, which lives on ``fine.coarse``."""
    return SparseTensor(x.feats.index_select(0, fine.coarse[1]), structure=fine)


def subdivide(x: SparseTensor, target: Structure | None = None) -> SparseTensor:
    """Copy the features of every voxel to its eight children."""
    target = x.structure.subdivide() if target is None else target
    return SparseTensor(x.feats.repeat_interleave(8, dim=0), structure=target)
