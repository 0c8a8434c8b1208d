"""Sequences of uneven length inside one row matrix, grouped so that attention needs little padding."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Bucket:
    """Sequences of similar length padded to one length L.

    Attributes:
        sequence: (N,) int64 which sequences these are.
        rows: (N * L,) int64 row of every place; places past the end of a sequence point at row 0.
        length: L.
        mask: (N, 1, 1, L) bool, true at real places; None when nothing is padded.
    """

    sequence: Tensor
    rows: Tensor
    length: int
    mask: Tensor | None

    def __len__(self) -> int:
        return len(self.sequence)


@dataclass(frozen=True, eq=False)
class Sequences:
    """A partition of T rows into sequences.

    Attributes:
        buckets: The sequences by padded length.
        place_of_row: (T,) int64 where each row lies in the buckets' places put one after the other.
        sequence_of_row: (T,) int64 sequence of each row.
        order: (T,) int64 rows sorted by sequence; None when they lie like that already.
        offsets: (N + 1,) int32 where each sequence begins in that order, empty ones included, and T.
        longest: Length of the longest sequence.
        even: How many sequences there are, when they lie sorted and are equally long; else None.
    """

    buckets: tuple[Bucket, ...]
    place_of_row: Tensor
    sequence_of_row: Tensor
    order: Tensor | None
    offsets: Tensor
    longest: int
    even: int | None
    _first: dict[int, Sequences] = field(default_factory=dict, repr=False)

    def take_first(self, count: int) -> Sequences:
        """Return the first ``count`` sequences, of rows that lie sorted."""
        if count + 1 >= len(self.offsets):
            return self
        if count not in self._first:
            rows = int(self.offsets[count])
            self._first[count] = group_sequences(self.sequence_of_row[:rows], count)
        return self._first[count]

    def restore(self, parts: list[Tensor]) -> Tensor:
        """Turn one (N * L, C) tensor per bucket into (T, C) in row order."""
        places = parts[0] if len(parts) == 1 else torch.cat(parts)
        return places.index_select(0, self.place_of_row)

    def sort(self, values: Tensor) -> Tensor:
        """Return (T, ...) rows one sequence after the other."""
        return values if self.order is None else values.index_select(0, self.order)

    def unsort(self, values: Tensor) -> Tensor:
        """Return (T, ...) rows of :meth:`sort` in their own order."""
        return values if self.order is None else torch.empty_like(values).index_copy(0, self.order, values)


def compute_padded_length(length: int) -> int:
    """Return the bucket length for ``length``: 8, 16, 24, 32, 48, 64, 96, ...: at most a half more."""
    power = 8
    while power < length:
        if power >= 16 and power * 3 // 2 >= length:
            return power * 3 // 2
        power *= 2
    return power


def group_sequences(sequence_of_row: Tensor, count: int) -> Sequences:
    """Group rows by sequence into buckets of similar length.

    Args:
        sequence_of_row: (T,) int64 in [0, count).
        count: Number of sequences; empty ones are left out.
    """
    device = sequence_of_row.device
    total = len(sequence_of_row)
    order = torch.argsort(sequence_of_row, stable=True)
    counts = torch.bincount(sequence_of_row, minlength=count)
    ends = counts.cumsum(0)
    starts = ends - counts
    lengths = counts.tolist()
    offsets = F.pad(ends, (1, 0)).to(torch.int32)
    lies_sorted = bool((sequence_of_row.diff() >= 0).all())
    groups: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        if length:
            groups.setdefault(compute_padded_length(length), []).append(index)
    buckets = []
    place_of_row = torch.empty(total, dtype=torch.int64, device=device)
    offset = 0
    for members in (groups[key] for key in sorted(groups)):
        longest = max(lengths[index] for index in members)
        even = all(lengths[index] == longest for index in members)
        if not even:
            longest = (longest + 7) // 8 * 8
        sequence = torch.tensor(members, device=device)
        step = torch.arange(longest, device=device)
        real = step < counts[sequence][:, None]
        rows = torch.where(real, order[(starts[sequence][:, None] + step).clamp_(max=total - 1)], 0)
        places = offset + torch.arange(rows.numel(), device=device).reshape(rows.shape)
        place_of_row[rows[real]] = places[real]
        offset += rows.numel()
        buckets.append(Bucket(sequence, rows.reshape(-1), longest, None if even else real[:, None, None]))
    return Sequences(
        tuple(buckets),
        place_of_row,
        sequence_of_row,
        None if lies_sorted else order,
        offsets,
        max(lengths, default=0),
        count if lies_sorted and total and min(lengths) == max(lengths) else None,
    )
