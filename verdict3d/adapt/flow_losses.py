"""Losses of adaptation on rectified flows, as pure functions.

Notation: x_t = (1 - t) x_0 + t e, the target velocity is e - x_0, l is the squared velocity error of one
sample, its mean or its sum over values. With the mean, a beta of 0.1 or 0.5 leaves the sigmoid of Flow-DPO
at 1/2, and the loss is linear; with the sum it is thousands of times stiffer. So the reduction is a
parameter.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from verdict3d.trellis.sampler import count_items
from verdict3d.trellis.sparse import SparseTensor

Reduction = Literal["mean", "sum"]


def per_sample(state: Tensor | SparseTensor, values: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Reduce values to one number a sample: (B,).

    Args:
        state: What the values belong to: (B, ...) or a sparse tensor of B items.
        values: In the shape of the state's values.
        reduction: Over the values of a sample.
    """
    if isinstance(state, SparseTensor):
        rows = state.structure.item_of_row
        sums = values.new_zeros(count_items(state)).index_add(0, rows, values.sum(dim=1))
        counts = torch.bincount(rows, minlength=count_items(state)) * values.shape[1]
    else:
        sums = values.flatten(1).sum(dim=1)
        counts = torch.full_like(sums, values[0].numel())
    return sums if reduction == "sum" else sums / counts


def velocity_error(
    state: Tensor | SparseTensor, predicted: Tensor, target: Tensor, reduction: Reduction = "mean"
) -> Tensor:
    """Return the squared velocity error of each sample, (B,) float32."""
    return per_sample(state, (predicted.float() - target.float()).square(), reduction)


def flow_dpo(winner: Tensor, loser: Tensor, winner_base: Tensor, loser_base: Tensor, beta: float) -> Tensor:
    """Return Flow-DPO, beta constant (Wallace et al. 2023; Liu et al. 2025, VideoAlign), a mean over pairs.

    -log sigmoid(-(beta / 2) [(l_w - l_w,base) - (l_l - l_l,base)]).

    Args:
        winner: (B,) errors of the trained flow on the preferred samples.
        loser: On the others.
        winner_base: Errors of the frozen flow on the same states.
        loser_base: On the others.
        beta: Above 0.
    """
    return -F.logsigmoid(dpo_logits(winner, loser, winner_base, loser_base, beta)).mean()


def dpo_logits(winner: Tensor, loser: Tensor, winner_base: Tensor, loser_base: Tensor, beta: float) -> Tensor:
    """Return the logits inside :func:`flow_dpo`, (B,): above 0 where the pair is ordered rightly."""
    return -0.5 * beta * ((winner - winner_base) - (loser - loser_base))


def odds(error: Tensor, slope: float) -> Tensor:
    """Return phi(l) = s l / (exp(s l) - 1), which falls from 1 at l = 0 (She et al. 2024, MaPO)."""
    scaled = slope * error
    small = scaled.abs() < 1e-4
    safe = torch.where(small, torch.ones_like(scaled), scaled)
    return torch.where(small, 1 - scaled / 2, safe / torch.expm1(safe))


def orpo(winner: Tensor, loser: Tensor, weight: float, slope: float, temperature: float) -> Tensor:
    """Return odds-ratio preference without a reference (Hong et al. 2024, in MaPO's form), a mean over pairs.

    l_w - weight log sigmoid(T (phi(l_w) - phi(l_l))).
    """
    gap = temperature * (odds(winner, slope) - odds(loser, slope))
    return (winner - weight * F.logsigmoid(gap)).mean()


def safeguard(
    winner: Tensor, winner_target: Tensor, loser: Tensor, loser_target: Tensor, mu: float
) -> Tensor:
    """Return the share (B,) of the loser's gradient that cannot raise the winner's error (Diffusion-SDPO).

    With g the gradients of l by the velocity: clip((1 - mu) |g_w|^2 / <g_w, g_l>, 0, 1) where <g_w, g_l> > 0,
    else 1. Velocities (B, ...) of one shape; no gradient flows through the share.
    """
    toward_winner = (winner - winner_target).detach().flatten(1).float()
    toward_loser = (loser - loser_target).detach().flatten(1).float()
    shared = (toward_winner * toward_loser).sum(dim=1)
    bound = (1 - mu) * toward_winner.square().sum(dim=1) / shared.clamp(min=1e-12)
    return torch.where(shared > 0, bound.clamp(0.0, 1.0), torch.ones_like(bound))


def with_gradient_share(value: Tensor, share: Tensor) -> Tensor:
    """Return ``value`` with its gradient multiplied by ``share``."""
    return value * share + (value * (1 - share)).detach()


def guidance_weights(t: Tensor, guidance: float, interval: tuple[float, float]) -> Tensor:
    """Weigh times (B,) as the sampler amplifies a change of the conditional velocity, with mean 1.

    Where it guides (lo <= t <= hi), v = (1 + w) v_cond - w v_uncond: squared errors of v_cond grow (1 + w)^2.
    """
    low, high = interval
    inside = (t >= low) & (t <= high)
    weights = torch.where(inside, torch.full_like(t, (1 + guidance) ** 2), torch.ones_like(t))
    return weights / weights.mean()
