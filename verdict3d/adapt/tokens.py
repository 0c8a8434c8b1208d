"""Tokens of training pictures: of degraded ones and of their clean originals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm import tqdm

from verdict3d.adapt.method import Example

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline

_ENCODE_AT_ONCE = 16


@dataclass(frozen=True)
class TokenPairs:
    """Tokens of examples, in memory; each clean picture is encoded once.

    Attributes:
        clean: (A, L, C) tokens of the clean condition of each asset.
        degraded: (N, L, C) tokens of each degraded picture.
        clean_row: (N,) row of ``clean`` that belongs to each degraded picture.
        regimes: Regime of each degraded picture.
    """

    clean: Tensor
    degraded: Tensor
    clean_row: Tensor
    regimes: tuple[str, ...]


def encode_examples(
    pipeline: TrellisPipeline, examples: Sequence[Example], description: str
) -> TokenPairs | None:
    """Encode examples with the base's conditioner; None when there are none."""
    if not examples:
        return None
    clean_pictures = {example.asset: example.clean for example in examples}
    row_of = {asset: row for row, asset in enumerate(clean_pictures)}
    pictures = [*clean_pictures.values(), *(example.degraded for example in examples)]
    parts = []
    for start in tqdm(
        range(0, len(pictures), _ENCODE_AT_ONCE), desc=description, unit="batch", mininterval=1.0
    ):
        prepared = [pipeline.preprocess(picture) for picture in pictures[start : start + _ENCODE_AT_ONCE]]
        parts.append(pipeline.encode(prepared))
    tokens = torch.cat(parts)
    return TokenPairs(
        clean=tokens[: len(row_of)],
        degraded=tokens[len(row_of) :],
        clean_row=torch.tensor([row_of[example.asset] for example in examples]),
        regimes=tuple(example.regime for example in examples),
    )
