"""Arm ``conditioner_repair``: the paper's token regression, a residual MLP from degraded to clean tokens.

The generator is frozen. Each token d of a degraded picture becomes

    d + c - mean(c),  c = W2 gelu(W1 LN(d)),  then scaled to the length that d had,

and the MLP is trained so that this is the token of the clean picture: mean squared error over all tokens,
with clean pictures in the mix so that they stay as they are. Of the paper's arm (arXiv 2606.20364) only
"residual adapter" and "token regression" are known; width, schedule and the last scaling are ours.

Why the scaling: tokens leave the conditioner through a layer norm without parameters, so they lie on a sphere
(zero mean, length sqrt(C)). A regressed mean is too short for it, and the flows have never seen such tokens.
Centring c and restoring the length is that layer norm again, written so that a zero c gives back d bit by
bit. W2 starts at zero, so an untrained adapter is the base.

A token-wise adapter cannot move content between tokens: where degradation shifts the picture (a crop is
re-centred), it can only learn what is usual at that kind of token. That is the paper's design, kept as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # the customary short name

from verdict3d.adapt.conditioners import EPSILON, RepairedConditioner, on_the_sphere
from verdict3d.adapt.method import Fit, FitInputs, Method, Tools
from verdict3d.adapt.token_training import fit_on_tokens
from verdict3d.adapt.tokens import TokenPairs
from verdict3d.config_arms import ConditionerRepairParams

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline

_REPAIR_AT_ONCE = 64


class TokenRepair(nn.Module):
    """Residual MLP on single tokens that keeps each token's length; identity until trained.

    Args:
        channels: Width C of the tokens.
        hidden: Width of the hidden layer.
        generator: Source of the first layer's initial weights.
    """

    def __init__(self, channels: int, hidden: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.inner = nn.Linear(channels, hidden)
        self.outer = nn.Linear(hidden, channels)
        nn.init.xavier_uniform_(self.inner.weight, generator=generator)
        for zeroed in (self.inner.bias, self.outer.weight, self.outer.bias):
            nn.init.zeros_(zeroed)

    def forward(self, tokens: Tensor) -> Tensor:
        """Repair tokens (..., C) float32."""
        normed = F.layer_norm(tokens, tokens.shape[-1:], eps=EPSILON)
        correction = self.outer(F.gelu(self.inner(normed)))
        return on_the_sphere(tokens, correction)


class ConditionerRepair:
    """The arm: token regression on a frozen generator."""

    name = "conditioner_repair"
    trains = "conditioner"

    def fit(self, inputs: FitInputs, params: ConditionerRepairParams) -> Fit:
        """Train on the tokens of the training pictures."""

        def make(shape: torch.Size, generator: torch.Generator) -> TokenRepair:
            return TokenRepair(shape[-1], params.hidden, generator)

        def loss(repair: TokenRepair, given: Tensor, clean: Tensor, step: int) -> Tensor:
            own = inputs.processes.own
            return F.mse_loss(repair(own(given)), own(clean))

        return fit_on_tokens(self.name, inputs, params, make, loss, measure_validation_losses)

    def wrap(
        self,
        pipeline: TrellisPipeline,
        params: ConditionerRepairParams,
        tensors: Mapping[str, Tensor],
        tools: Tools,
    ) -> TrellisPipeline:
        """Return a copy of ``pipeline`` whose conditioner is repaired; everything else is shared."""
        hidden, channels = tensors["inner.weight"].shape
        repair = TokenRepair(channels, hidden)
        repair.load_state_dict(dict(tensors))
        repair.eval().to(pipeline.device)
        return pipeline.with_networks(RepairedConditioner(pipeline.conditioner, repair))


def measure_validation_losses(repair: nn.Module, pairs: TokenPairs) -> dict[str, float]:
    """Return the mean squared error to the clean tokens by regime, ``clean`` itself included."""
    losses = {"clean": _measure_error(repair, pairs.clean, pairs.clean)}
    for regime in sorted(set(pairs.pictures.regimes) - {"clean"}):
        rows = pairs.pictures.rows_of(regime)
        target = pairs.clean[pairs.pictures.clean_row[rows]]
        losses[regime] = _measure_error(repair, pairs.degraded[rows], target)
    return losses


def _measure_error(repair: nn.Module, given: Tensor, target: Tensor) -> float:
    parts = zip(given.split(_REPAIR_AT_ONCE), target.split(_REPAIR_AT_ONCE), strict=True)
    total = sum(F.mse_loss(repair(tokens), wanted, reduction="sum").item() for tokens, wanted in parts)
    return total / target.numel()


METHOD: Method = ConditionerRepair()
