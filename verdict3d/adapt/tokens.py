"""Training pictures in memory, and their tokens: of degraded ones and of their clean originals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from verdict3d.adapt.method import Example
from verdict3d.adapt.parallel import shows_progress

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline

_ENCODE_AT_ONCE = 16


@dataclass(frozen=True)
class PictureSet:
    """Pictures of examples; each clean view is kept once.

    Attributes:
        clean: (V, S, S, 3) uint8, the clean views.
        degraded: (N, S, S, 3) uint8.
        clean_row: (N,) row of ``clean`` that belongs to each degraded picture.
        regimes: Regime of each degraded picture.
        assets: Asset of each clean view.
    """

    clean: Tensor
    degraded: Tensor
    clean_row: Tensor
    regimes: tuple[str, ...]
    assets: tuple[str, ...]

    def rows_of(self, regime: str) -> Tensor:
        """Return the rows of ``degraded`` that have a regime."""
        return torch.tensor([row for row, name in enumerate(self.regimes) if name == regime])


@dataclass(frozen=True)
class TokenPairs:
    """Tokens of a :class:`PictureSet`.

    Attributes:
        clean: (V, L, C) tokens of the clean views.
        degraded: (N, L, C) tokens of the degraded pictures.
        pictures: What they were made from.
    """

    clean: Tensor
    degraded: Tensor
    pictures: PictureSet


def gather_pictures(examples: Sequence[Example]) -> PictureSet | None:
    """Stack the pictures of examples; None when there are none."""
    if not examples:
        return None
    views = {(example.asset, example.view): example.clean for example in examples}
    row_of = {key: row for row, key in enumerate(views)}
    return PictureSet(
        clean=torch.from_numpy(np.stack(list(views.values()))),
        degraded=torch.from_numpy(np.stack([example.degraded for example in examples])),
        clean_row=torch.tensor([row_of[example.asset, example.view] for example in examples]),
        regimes=tuple(example.regime for example in examples),
        assets=tuple(asset for asset, _ in views),
    )


def as_input(pictures: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Turn (B, S, S, 3) uint8 pictures into the conditioner's (B, 3, S, S) float32 in [0, 1] on a device.

    Values are looked up: a GPU divides by multiplying with the inverse, which differs in the last bit.
    """
    levels = (torch.arange(256, dtype=torch.float32) / 255).to(device)
    return levels[pictures.to(device).permute(0, 3, 1, 2).int()]


def encode_pictures(pipeline: TrellisPipeline, pictures: Tensor, description: str) -> Tensor:
    """Return tokens (B, L, C) of (B, S, S, 3) uint8 pictures, a few at a time."""
    parts = pictures.split(_ENCODE_AT_ONCE)
    progress = tqdm(parts, desc=description, unit="batch", mininterval=1.0, disable=not shows_progress())
    return torch.cat([pipeline.encode_tensor(as_input(part, pipeline.device)) for part in progress])


def encode_examples(
    pipeline: TrellisPipeline, examples: Sequence[Example], description: str
) -> TokenPairs | None:
    """Encode examples with the pipeline's conditioner; None when there are none."""
    pictures = gather_pictures(examples)
    if pictures is None:
        return None
    tokens = encode_pictures(pipeline, torch.cat([pictures.clean, pictures.degraded]), description)
    return TokenPairs(tokens[: len(pictures.clean)], tokens[len(pictures.clean) :], pictures)
