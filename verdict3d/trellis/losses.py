"""Training losses of TRELLIS. Randomness comes only from the generator passed in."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from verdict3d.trellis.sampler import FlowState, count_items, get_values, with_values
from verdict3d.trellis.sparse import SparseTensor

SIGMA_MIN = 1e-5


def sample_times(count: int, generator: torch.Generator, mean: float = 1.0, std: float = 1.0) -> Tensor:
    """Draw (count,) float32 times t = sigmoid(N(mean, std)) on the generator's device."""
    noise = torch.randn(count, generator=generator, device=generator.device)
    return torch.sigmoid(noise * std + mean)


def _expand(t: Tensor, state: Tensor | SparseTensor) -> Tensor:
    if isinstance(state, SparseTensor):
        return t.index_select(0, state.structure.item_of_row)[:, None]
    return t.reshape(-1, *[1] * (state.ndim - 1))


def diffuse(clean: FlowState, noise: Tensor, t: Tensor, sigma_min: float = SIGMA_MIN) -> FlowState:
    """Return x_t = (1 - t) x_0 + (sigma + (1 - sigma) t) noise, t (B,) in [0, 1] per item."""
    t = _expand(t, clean)
    return with_values(clean, (1 - t) * get_values(clean) + (sigma_min + (1 - sigma_min) * t) * noise)


def compute_velocity(clean: FlowState, noise: Tensor, sigma_min: float = SIGMA_MIN) -> Tensor:
    """Return the velocity (1 - sigma) noise - x_0."""
    return (1 - sigma_min) * noise - get_values(clean)


def drop_conditions(cond: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Replace the (B, L, C) condition of each item by zeros with probability ``share``."""
    draws = torch.rand(len(cond), generator=generator, device=generator.device)
    return cond * (draws >= share).to(cond)[:, None, None]


def flow_matching_loss(
    model: Callable[..., FlowState],
    clean: FlowState,
    cond: Tensor,
    generator: torch.Generator,
    unconditional_share: float = 0.1,
    t_mean: float = 1.0,
    t_std: float = 1.0,
) -> Tensor:
    """Mean squared error of the predicted velocity at random times; one mean over all values.

    Args:
        model: ``model(state, 1000 t, cond) -> velocity``.
        clean: (B, ...) latents, or a sparse tensor of B items.
        cond: (B, L, C) condition tokens.
        generator: Source of times, dropped conditions and noise; may live on the GPU.
        unconditional_share: Probability of an item losing its condition.
        t_mean: Mean of the logit of t.
        t_std: Its standard deviation.

    Returns:
        Scalar float32.
    """
    values = get_values(clean)
    t = sample_times(count_items(clean), generator, t_mean, t_std).to(values.device)
    cond = drop_conditions(cond, unconditional_share, generator)
    noise = torch.randn(values.shape, generator=generator, device=generator.device).to(values.device)
    predicted = get_values(model(diffuse(clean, noise, t), 1000 * t, cond))
    return F.mse_loss(predicted.float(), compute_velocity(clean, noise))


def dice_loss(logits: Tensor, occupancy: Tensor) -> Tensor:
    """Return 1 - (2 sum p y + 1) / (sum p + sum y + 1) over the whole batch, p = sigmoid(logits).

    Args:
        logits: (B, 1, R, R, R).
        occupancy: The same shape, 0 or 1.

    Returns:
        Scalar in [0, 1] (Milletari et al. 2016, smoothed by 1).
    """
    p = torch.sigmoid(logits.float())
    return 1 - (2 * (p * occupancy).sum() + 1) / (p.sum() + occupancy.sum() + 1)


def kl_divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return the divergence of N(mean, exp(logvar)) from the standard normal, in nats, averaged.

    Args:
        mean: Any shape.
        logvar: The same shape.

    Returns:
        Scalar, at least 0 (Kingma and Welling 2014, appendix B).
    """
    mean, logvar = mean.float(), logvar.float()
    return 0.5 * (mean.square() + logvar.exp() - logvar - 1).mean()
