"""Active voxels of a batch and everything that follows from them: neighbours, windows, levels, item ranges.

A structure is made once per set of voxels; every layer that works on these voxels shares it, so that
neighbour maps and attention windows are computed once and not per layer. Caches never point back (a coarse
level does not know its fine one), so a structure is freed as soon as its last user is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from verdict3d.trellis.sequences import Sequences, group_sequences


@cache
def list_child_offsets() -> tuple[tuple[int, int, int], ...]:
    """Return the eight children of a voxel in row order 000, 001, 010, ..., 111 (z fastest)."""
    return tuple((i >> 2 & 1, i >> 1 & 1, i & 1) for i in range(8))


@cache
def list_child_taps() -> tuple[tuple[tuple[int, int], ...], ...]:
    """Return, for each child d and each of 27 offsets o, (offset index of the parent, child index there).

    A child at 2p + d looks at 2p + d + o - 1, which belongs to parent p + floor((d + o - 1) / 2).
    """
    table = []
    for child in list_child_offsets():
        row = []
        for offset in range(27):
            steps = (offset // 9 - 1, offset // 3 % 3 - 1, offset % 3 - 1)
            places = [d + s for d, s in zip(child, steps, strict=True)]
            parent = [place // 2 + 1 for place in places]
            inside = [place % 2 for place in places]
            row.append((parent[0] * 9 + parent[1] * 3 + parent[2], inside[0] * 4 + inside[1] * 2 + inside[2]))
        table.append(tuple(row))
    return tuple(table)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Rows and their neighbours, sorted by the neighbour's offset and then by row.

    Attributes:
        row: (P,) int64.
        neighbour: (P,) int64 row of the voxel there.
        counts: Number of pairs of each offset.
    """

    row: Tensor
    neighbour: Tensor
    counts: list[int]

    def __len__(self) -> int:
        return len(self.row)


class Structure:
    """The voxels of a sparse batch.

    Args:
        coords: (T, 4) int32 columns (item, x, y, z), all >= 0, no row twice, rows of an item contiguous and
            items ascending.
        batch_size: Number of items; by default the largest item index plus one.

    Raises:
        ValueError: Shape, sign or order of ``coords`` is not as above, or an item index is >= ``batch_size``.
    """

    parent: Structure | None = None

    def __init__(self, coords: Tensor, batch_size: int | None = None) -> None:
        if coords.ndim != 2 or coords.shape[1] != 4:
            raise ValueError(f"coords must be (T, 4) columns (item, x, y, z), got {tuple(coords.shape)}")
        self.coords = coords.to(torch.int32)
        self.size = 0
        items = 0
        if len(coords):
            item = self.coords[:, 0]
            lowest, highest, last, ordered = torch.stack(
                [self.coords.amin(), self.coords[:, 1:].amax(), item[-1], (item.diff() >= 0).all()]
            ).tolist()
            if lowest < 0 or not ordered:
                raise ValueError(
                    "coords must be >= 0 with the rows of each item together and items ascending"
                )
            self.size, items = highest + 1, last + 1
        self.batch_size = items if batch_size is None else batch_size
        if items > self.batch_size:
            raise ValueError(f"coords name item {items - 1}, but the batch has {self.batch_size} items")
        self._windows: dict[tuple[int, int], Sequences] = {}
        self._repeated: dict[int, Structure] = {}

    def __len__(self) -> int:
        return len(self.coords)

    @property
    def device(self) -> torch.device:
        """Device of the coordinates."""
        return self.coords.device

    @cached_property
    def item_of_row(self) -> Tensor:
        """(T,) int64 item index of every row."""
        return self.coords[:, 0].long()

    @cached_property
    def counts(self) -> Tensor:
        """(B,) int64 number of rows of each item."""
        return torch.bincount(self.item_of_row, minlength=self.batch_size)

    @cached_property
    def item_lengths(self) -> list[int]:
        """Number of rows of each item, on the host."""
        return list(self.counts.tolist())

    @cached_property
    def root(self) -> Structure:
        """The structure this one was subdivided from (itself when it was not)."""
        return self if self.parent is None else self.parent.root

    @cached_property
    def _keys(self) -> Tensor:
        item, x, y, z = self.coords.long().unbind(1)
        side = self.size + 2
        return ((item * side + x + 1) * side + y + 1) * side + z + 1

    @cached_property
    def neighbours(self) -> Tensor:
        """(T, 27) int32 rows of the voxels at offset (dx, dy, dz) - 1, dz fastest; T where there is none."""
        if self.parent is not None:
            return self._find_neighbours_from_parent(self.parent)
        total, side = len(self), self.size + 2
        steps = torch.arange(-1, 2, device=self.device)
        delta = ((steps[:, None, None] * side + steps[:, None]) * side + steps).reshape(-1)
        ordered, order = torch.sort(self._keys)
        wanted = self._keys[:, None] + delta
        place = torch.searchsorted(ordered, wanted).clamp_(max=max(total - 1, 0))
        found = ordered[place] == wanted
        return torch.where(found, order[place], total).to(torch.int32)

    @cached_property
    def pairs(self) -> Pairs:
        """The neighbours that exist, one offset after the other."""
        there = self.neighbours < len(self)
        offset, row = there.t().nonzero().unbind(1)
        return Pairs(row, self.neighbours[row, offset].long(), list(there.sum(0).tolist()))

    def _find_neighbours_from_parent(self, parent: Structure) -> Tensor:
        taps = torch.tensor(list_child_taps(), dtype=torch.int32, device=self.device)
        rows = parent.neighbours.index_select(1, taps[..., 0].reshape(-1))
        rows = rows.mul_(8).add_(taps[..., 1].reshape(-1)).clamp_(max=len(self))
        return rows.reshape(len(self), 27)

    @cached_property
    def items(self) -> Sequences:
        """Rows grouped by item, for attention within items."""
        return group_sequences(self.item_of_row, self.batch_size)

    def cut_windows(self, size: int, shift: int) -> Sequences:
        """Rows grouped by (item, floor((x, y, z) + shift) / size), without wrap-around."""
        key = (size, shift)
        if key not in self._windows:
            place = torch.div(self.coords[:, 1:].long() + shift, size, rounding_mode="floor")
            side = (self.size + shift) // size + 1
            code = ((self.item_of_row * side + place[:, 0]) * side + place[:, 1]) * side + place[:, 2]
            found, window = torch.unique(code, return_inverse=True)
            self._windows[key] = group_sequences(window, len(found))
        return self._windows[key]

    @cached_property
    def coarse(self) -> tuple[Structure, Tensor]:
        """Voxels of half the resolution sorted by (item, x, y, z), and (T,) int64 the one of each row."""
        side = self.size // 2 + 1
        item, x, y, z = self.coords.long().unbind(1)
        code = ((item * side + x // 2) * side + y // 2) * side + z // 2
        found, inverse = torch.unique(code, return_inverse=True)
        columns = [found // side**3, found // side**2 % side, found // side % side, found % side]
        return Structure(torch.stack(columns, dim=1), self.batch_size), inverse

    @cached_property
    def coarse_counts(self) -> Tensor:
        """(T',) int64 number of rows in each voxel of :attr:`coarse`."""
        coarse, inverse = self.coarse
        return torch.bincount(inverse, minlength=len(coarse))

    @cached_property
    def coarse_neighbours(self) -> Tensor:
        """(T, 27) int64 rows of :attr:`coarse` that the neighbours lie in; one past the end: none there."""
        coarse, inverse = self.coarse
        return F.pad(inverse, (0, 1), value=len(coarse))[self.neighbours.long()]

    def subdivide(self) -> Structure:
        """Every voxel as its eight adjacent children 2 * coord + d, d as :func:`list_child_offsets`."""
        steps = torch.tensor([(0, *d) for d in list_child_offsets()], dtype=torch.int32, device=self.device)
        scale = torch.tensor([1, 2, 2, 2], dtype=torch.int32, device=self.device)
        child = Structure.__new__(Structure)
        child.coords = (self.coords[:, None] * scale + steps).reshape(-1, 4)
        child.size, child.batch_size, child.parent = 2 * self.size, self.batch_size, self
        child._windows, child._repeated = {}, {}
        return child

    def repeat(self, times: int) -> Structure:
        """The batch ``times`` over, as items B, B + 1, ... of a larger batch; made once per ``times``."""
        if times not in self._repeated:
            coords = self.coords.repeat(times, 1)
            copies = torch.arange(times, dtype=torch.int32, device=self.device).repeat_interleave(len(self))
            coords[:, 0] += copies * self.batch_size
            self._repeated[times] = Structure(coords, times * self.batch_size)
        return self._repeated[times]

    def sum_items(self, values: Tensor) -> Tensor:
        """Sum (T, C) float32 rows over each item: (B, C)."""
        root = self.root
        if root is not self:
            values = values.reshape(len(root), len(self) // max(len(root), 1), -1).sum(1)
        return values.new_zeros(self.batch_size, values.shape[-1]).index_add(0, root.item_of_row, values)

    def count_items_float(self) -> Tensor:
        """(B,) float32 number of rows of each item, at least 1."""
        fan = len(self) // max(len(self.root), 1)
        return (self.root.counts * fan).clamp(min=1).float()

    def sort_by_root(self, values: Tensor) -> Tensor:
        """View (T, C) rows as (rows of the root, descendants of each, C)."""
        return values.reshape(len(self.root), -1 if len(self) else 1, values.shape[-1])
