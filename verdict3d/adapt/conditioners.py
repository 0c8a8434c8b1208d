"""Conditioners with something changed: tokens repaired behind them, or their encoder adapted."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from verdict3d.adapt.layers import Parameters
from verdict3d.trellis.conditioner_weights import find_published_name

EPSILON = 1e-5
"""Epsilon of the conditioner's own layer norm."""


class RepairedConditioner(nn.Module):
    """A conditioner followed by a token repair, in the conditioner's place; repairs can be stacked.

    Args:
        conditioner: A conditioner, repaired or not.
        repair: Module that maps tokens (B, L, C) to tokens; one that draws them (``draws``) is also given a
            seed for each item, which its picture decides.
    """

    def __init__(self, conditioner: Any, repair: nn.Module) -> None:
        super().__init__()
        self.conditioner = conditioner
        self.repair = repair

    @property
    def image_size(self) -> int:
        """Side in px of the pictures the conditioner is made for."""
        return int(self.conditioner.image_size)

    @property
    def channels(self) -> int:
        """Channels C of the tokens."""
        return int(self.conditioner.channels)

    @property
    def prefix_tokens(self) -> int:
        """Tokens before the patches."""
        return int(self.conditioner.prefix_tokens)

    def forward(self, images: Tensor) -> Tensor:
        """Encode pictures (B, 3, H, W) in [0, 1] to repaired tokens (B, L, C) float32."""
        tokens = self.conditioner(images)
        drawn = (picture_seeds(images),) if getattr(self.repair, "draws", False) else ()
        repaired: Tensor = self.repair(tokens, *drawn)
        return repaired


class UnlessClean(RepairedConditioner):
    """A conditioner that stays as it was for pictures that its repair hardly changes: the clean ones.

    Args:
        conditioner: The conditioner as it was.
        repaired: The repaired one.
        limit: Mean squared change of the tokens up to which a picture keeps those of ``conditioner``.
    """

    def __init__(self, conditioner: Any, repaired: Any, limit: float) -> None:
        super().__init__(conditioner, repaired)
        self.limit = limit

    def forward(self, images: Tensor) -> Tensor:
        """Encode pictures (B, 3, H, W) in [0, 1] to tokens (B, L, C) float32."""
        before, after = self.conditioner(images), self.repair(images)
        return torch.where(self._exceeds(before, after)[:, None, None], after, before)

    def find_changed(self, images: Tensor) -> Tensor:
        """Return which pictures (B, 3, H, W) in [0, 1] get other tokens than before, as booleans (B,)."""
        return self._exceeds(self.conditioner(images), self.repair(images))

    def _exceeds(self, before: Tensor, after: Tensor) -> Tensor:
        return measure_token_change(before, after) > self.limit


def measure_token_change(before: Tensor, after: Tensor) -> Tensor:
    """Return the mean squared change (B,) of tokens (B, L, C)."""
    return (after - before).square().mean(dim=(1, 2))


def picture_seeds(images: Tensor) -> list[int]:
    """Return a seed for each picture (B, 3, H, W) in [0, 1], from its 8-bit values."""
    levels = (images * 255).round().to(torch.uint8).cpu()
    digests = [hashlib.sha256(image.contiguous().numpy().tobytes()).digest() for image in levels]
    return [int.from_bytes(digest[:8], "big") >> 1 for digest in digests]


def adapt_encoder(
    conditioner: Any, adapt: Callable[[nn.Module], tuple[nn.Module, Parameters]]
) -> tuple[Any, Parameters]:
    """Copy a conditioner, repaired or not, with another encoder in it.

    Args:
        conditioner: Stays as it is.
        adapt: Makes an adapted copy of the encoder with its trainable parameters by name.

    Returns:
        The copy and its trainable parameters, by the published names whatever the version of transformers.
    """
    copied = copy.copy(conditioner)
    if isinstance(conditioner, RepairedConditioner):
        inner, parameters = adapt_encoder(conditioner.conditioner, adapt)
        copied._modules = {**conditioner._modules, "conditioner": inner}
        return copied, parameters
    copied._modules = dict(conditioner._modules)
    copied.model, parameters = adapt(conditioner.model)
    return copied, {find_published_name(name): value for name, value in parameters.items()}


class TokenTransformer(nn.Module):
    """Transformer blocks over all tokens with a learnt place embedding; identity until trained.

    Tokens d become d + c, c zero at the start, centred and scaled to the length d had: the conditioner's
    final layer norm, written so that c = 0 gives d back bit by bit.

    Args:
        channels: Width C of the tokens.
        tokens: Their number L.
        blocks: Transformer blocks.
        heads: Attention heads.
        generator: Source of the initial weights.
    """

    def __init__(
        self, channels: int, tokens: int, blocks: int, heads: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(tokens, channels, generator=generator) * 0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                channels, heads, 4 * channels, 0.0, F.gelu, batch_first=True, norm_first=True
            )
            for _ in range(blocks)
        )
        self.outer = nn.Linear(channels, channels)
        for name, weight in self.blocks.named_parameters():
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight, generator=generator)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Repair tokens (B, L, C) float32."""
        h = tokens + self.place
        for block in self.blocks:
            h = block(h)
        return on_the_sphere(tokens, self.outer(F.layer_norm(h, h.shape[-1:])))


def on_the_sphere(tokens: Tensor, correction: Tensor) -> Tensor:
    """Add a correction to tokens (..., C), keeping each token's mean and length; zero changes no bit."""
    moved = tokens + (correction - correction.mean(dim=-1, keepdim=True))
    return moved * (_length(tokens) / _length(moved))


def _length(tokens: Tensor) -> Tensor:
    """Return the root mean square of each token, (..., 1)."""
    return (tokens.square().mean(dim=-1, keepdim=True) + EPSILON).sqrt()
