"""Sparse tensors and the layers on them, with exact submanifold convolution in plain PyTorch.

:mod:`verdict3d.trellis.gathering` does the sums over neighbours. The released weights expect two things: a
kernel of 1 reads its weights in another order (:class:`SparseConv3d`), and a mean over voxels divides by one
more than their number (:func:`pool_half`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from verdict3d.trellis.gathering import RowSums, gather_linear, multiply_pairs, pad_rows
from verdict3d.trellis.structure import Structure, list_child_taps

PAIRS_SHARE = 0.5
"""A CPU works offset by offset where fewer are present (measured by benchmarks/sparse_convolution.py)."""
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
        """Return the same voxels with other features (T, C')."""
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
            x: (T', Cin) features on ``fine.coarse``.
            fine: The T voxels that are returned to.

        Returns:
            (T, Cout) on ``fine``.
        """
        kernel = self.conv.weight.reshape(self.out_channels, 27, self.in_channels)
        products = F.linear(pad_rows(x.feats), kernel.transpose(0, 1).reshape(-1, self.in_channels))
        rows = 27 * fine.coarse_neighbours + torch.arange(27, device=x.device)  # absent ones: of the zeros
        feats = self.row_sums(products.reshape(-1, self.out_channels), rows)
        return SparseTensor(feats + self.conv.bias.to(feats.dtype), structure=fine)

    def forward_subdivided(self, x: SparseTensor, target: Structure) -> SparseTensor:
        """Convolve ``subdivide(x)`` without making it: eight taps over parents instead of 27 over children.

        All children of a parent carry its features, so the offsets that lead into the same parent share one
        summed weight. The same numbers as ``forward(subdivide(x))`` up to rounding, with 8/27 of the work.

        Args:
            x: (T, Cin) features on the parents.
            target: ``x.structure.subdivide()``.

        Returns:
            (8 T, Cout) on ``target``.
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
    """Average (T, C) features over the voxels of half the resolution as the reference: sum / (count + 1).

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
    """Copy the (T, C) features of every voxel to its eight children: (8 T, C).

    Args:
        x: Features on the parents.
        target: ``x.structure.subdivide()``, where it is made already.
    """
    target = x.structure.subdivide() if target is None else target
    return SparseTensor(x.feats.repeat_interleave(8, dim=0), structure=target)
