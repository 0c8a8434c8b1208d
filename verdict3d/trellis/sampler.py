"""Euler sampler of the flow, with classifier-free guidance inside an interval of t."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from verdict3d.trellis.sparse import SparseTensor

ONE_BATCH = 1 << 17
"""Numbers of a state up to which both guidance branches are one batch: 16,000 voxels of the released size."""

FlowState = TypeVar("FlowState", Tensor, SparseTensor)


class SamplerSettings(Protocol):
    """What the sampler reads from its parameters (``verdict3d.config.SamplerParams`` fits)."""

    @property
    def steps(self) -> int:
        """Euler steps."""

    @property
    def guidance(self) -> float:
        """Strength w: v = (1 + w) v_cond - w v_uncond; 0 is no guidance."""

    @property
    def guidance_interval(self) -> tuple[float, float]:
        """Guidance only where lo <= t <= hi, t after rescaling."""

    @property
    def rescale_t(self) -> float:
        """Factor r of the time grid t -> r t / (1 + (r - 1) t)."""


@dataclass(frozen=True, eq=False)
class Step:
    """One Euler step.

    Attributes:
        t: Time before the step (1 is noise).
        t_next: Time after it.
        state: The state after it.
        clean: The clean state predicted in it.
        model_calls: Model evaluations per item, 2 with guidance.
    """

    t: float
    t_next: float
    state: Any
    clean: Any
    model_calls: int


def time_grid(steps: int, rescale_t: float) -> list[float]:
    """Return ``steps`` + 1 times from 1 to 0, denser near the noise for ``rescale_t`` > 1."""
    t = np.linspace(1.0, 0.0, steps + 1)
    return [float(value) for value in rescale_t * t / (1 + (rescale_t - 1) * t)]


def get_values(state: Tensor | SparseTensor) -> Tensor:
    """Return the numbers of a state: a dense one itself, (T, C) features of a sparse one."""
    return state.feats if isinstance(state, SparseTensor) else state


def with_values(state: FlowState, values: Tensor) -> FlowState:
    """Return ``state`` with other numbers, in the form that :func:`get_values` gives."""
    return state.replace(values) if isinstance(state, SparseTensor) else values


def count_items(state: Tensor | SparseTensor) -> int:
    """Return the number of items of a dense or sparse state."""
    return state.batch_size if isinstance(state, SparseTensor) else len(state)


def _predict_velocity(model: Callable[..., FlowState], state: FlowState, t: float, cond: Tensor) -> Tensor:
    times = torch.full((count_items(state),), 1000 * t, dtype=torch.float32, device=cond.device)
    return get_values(model(state, times, cond)).float()


def _guide_velocity(
    model: Callable[..., FlowState],
    state: FlowState,
    t: float,
    cond: Tensor,
    negative: Tensor,
    strength: float,
) -> Tensor:
    """Evaluate both branches, as one batch: conditions first, then the unconditional ones.

    Items of a batch that have no condition tokens left are unconditional, as if theirs were zeros. A state
    that fills a GPU by itself, as one structure does, goes through twice, in half the memory.
    """
    values = get_values(state)
    if values.numel() > ONE_BATCH or (values.is_cuda and isinstance(state, Tensor)):
        with_cond, without = (_predict_velocity(model, state, t, tokens) for tokens in (cond, negative))
    else:
        doubled = state.repeat(2) if isinstance(state, SparseTensor) else torch.cat([state, state])
        with_cond, without = _predict_velocity(model, doubled, t, torch.cat([cond, negative])).chunk(2)
    return (1 + strength) * with_cond - strength * without


@torch.no_grad()
def sample_steps(
    model: Callable[..., FlowState],
    noise: FlowState,
    cond: Tensor,
    params: SamplerSettings,
    negative: Tensor | None = None,
    sigma_min: float = 1e-5,
) -> Iterator[Step]:
    """Walk from noise to data, one :class:`Step` at a time.

    Args:
        model: ``model(state, 1000 t (B,), cond) -> velocity``; items beyond ``cond`` have zeros for theirs.
        noise: (B, ...) tensor, or a sparse tensor of B items, standard normal.
        cond: (B, L, C) condition tokens; (1, L, C) serves every item.
        params: Steps, guidance, interval and time rescaling.
        negative: (B, L, C) unconditional tokens; zeros when left out, which costs less.
        sigma_min: Noise left at t = 0.

    Yields:
        The steps in order; the last one's ``state`` is the sample.
    """
    batch = count_items(noise)
    cond = cond.expand(batch, -1, -1)
    negative = cond[:0] if negative is None else negative.expand(batch, -1, -1)
    low, high = params.guidance_interval
    state = noise
    grid = time_grid(params.steps, params.rescale_t)
    for t, t_next in pairwise(grid):
        guided = params.guidance > 0 and low <= t <= high
        if guided:
            velocity = _guide_velocity(model, state, t, cond, negative, params.guidance)
        else:
            velocity = _predict_velocity(model, state, t, cond)
        values = get_values(state)
        clean = (1 - sigma_min) * values - (sigma_min + (1 - sigma_min) * t) * velocity
        state = with_values(state, values - (t - t_next) * velocity)
        yield Step(t, t_next, state, with_values(state, clean), 2 if guided else 1)


def sample_flow(
    model: Callable[..., FlowState],
    noise: FlowState,
    cond: Tensor,
    params: SamplerSettings,
    negative: Tensor | None = None,
    sigma_min: float = 1e-5,
) -> FlowState:
    """Return the sample at the end of :func:`sample_steps` (same arguments), in the form of ``noise``."""
    state = noise
    for step in sample_steps(model, noise, cond, params, negative, sigma_min):
        state = step.state
    return state
