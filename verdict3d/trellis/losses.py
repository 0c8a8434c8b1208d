"""Training losses of TRELLIS (specification (i)). Randomness comes only from the generator passed in."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from verdict3d.trellis.sampler import FlowState, batch_size_of, values_of, with_values
from verdict3d.trellis.sparse import SparseTensor

SIGMA_MIN = 1e-5


def sample_times(count: int, generator: torch.Generator, mean: float = 1.0, std: float = 1.0) -> Tensor:
    """Draw (count,) float32 times t = sigmoid(N(mean, std)) on the generator's device."""
    noise = torch.randn(count, generator=generator, device=generator.device)
    return torch.sigmoid(noise * std + mean)


def _per_value(t: Tensor, state: Tensor | SparseTensor) -> Tensor:
    if isinstance(state, SparseTensor):
        return t.index_select(0, state.structure.item_of_row)[:, None]
    return t.reshape(-1, *[1] * (state.ndim - 1))


def diffuse(clean: FlowState, noise: Tensor, t: Tensor, sigma_min: float = SIGMA_MIN) -> FlowState:
    """Return x_t = (1 - t) x_0 + (sigma + (1 - sigma) t) noise, t (B,) in [0, 1] per item."""
    t = _per_value(t, clean)
    return with_values(clean, (1 - t) * values_of(clean) + (sigma_min + (1 - sigma_min) * t) * noise)


def velocity_target(clean: FlowState, noise: Tensor, sigma_min: float = SIGMA_MIN) -> Tensor:
    """Return the velocity (1 - sigma) noise - x_0."""
    return (1 - sigma_min) * noise - values_of(clean)


def clean_from_velocity(
    state: FlowState, velocity: Tensor, t: Tensor, sigma_min: float = SIGMA_MIN
) -> FlowState:
    """Invert the path: x_0 = (1 - sigma) x_t - (sigma + (1 - sigma) t) v."""
    t = _per_value(t, state)
    return with_values(
        state, (1 - sigma_min) * values_of(state) - (sigma_min + (1 - sigma_min) * t) * velocity
    )


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
    values = values_of(clean)
    t = sample_times(batch_size_of(clean), generator, t_mean, t_std).to(values.device)
    cond = drop_conditions(cond, unconditional_share, generator)
    noise = torch.randn(values.shape, generator=generator, device=generator.device).to(values.device)
    predicted = values_of(model(diffuse(clean, noise, t), 1000 * t, cond))
    return F.mse_loss(predicted.float(), velocity_target(clean, noise))


def dice_loss(logits: Tensor, occupancy: Tensor) -> Tensor:
    """Return 1 - (2 sum p y + 1) / (sum p + sum y + 1) over the whole batch, p = sigmoid(logits)."""
    p = torch.sigmoid(logits.float())
    return 1 - (2 * (p * occupancy).sum() + 1) / (p.sum() + occupancy.sum() + 1)


def kl_divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return the mean divergence of N(mean, exp(logvar)) from the standard normal."""
    mean, logvar = mean.float(), logvar.float()
    return 0.5 * (mean.square() + logvar.exp() - logvar - 1).mean()


def structure_vae_loss(
    logits: Tensor, occupancy: Tensor, mean: Tensor, logvar: Tensor, kl_weight: float = 1e-3
) -> Tensor:
    """Dice loss of the decoded occupancy plus the weighted divergence of the latent."""
    return dice_loss(logits, occupancy) + kl_weight * kl_divergence(mean, logvar)


def corner_consistency_loss(corner_values: Tensor, corner_vertex: Tensor, vertex_values: Tensor) -> Tensor:
    """Mean squared gap between what cubes say about their corners and the average over touching cubes.

    Args:
        corner_values: (T, 8, C) raw values of each cube's corners.
        corner_vertex: (T, 8) int64 grid vertex of each corner.
        vertex_values: (V, C) averages.
    """
    return (corner_values - vertex_values[corner_vertex]).square().mean()


def extraction_weight_loss(raw_weights: Tensor) -> Tensor:
    """Mean magnitude of the raw interpolation weights: the first 20 (beta, alpha) of (T, 21) channels."""
    return raw_weights[:, :20].abs().mean()
