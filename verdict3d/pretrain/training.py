"""The training loop of all embedded networks: counted in steps, keyed by them, resumable after ``kill -9``.

Everything drawn in a step comes from a generator keyed by (seed, "train", training, step), and the learning
rate follows from the step alone. So a resumed training takes the same steps as an uninterrupted one, and both
end with the same bits on the same CPU. On a GPU the order of sums may change the last bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from verdict3d.adapt.training import read_checkpoint, write_checkpoint
from verdict3d.errors import Verdict3DError
from verdict3d.randomness import seed_for, torch_generator

WARMUP_SHARE = 0.03
FINAL_SHARE = 0.02
"""The learning rate begins and ends at this share of its peak."""
CHECKPOINT_EVERY = 250

LossesAt = Callable[[int, torch.Generator], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Schedule:
    """Length and speed of one training.

    Attributes:
        steps: Optimiser steps.
        batch: Items in a step.
        peak: Learning rate after the warm-up; a cosine follows.
        log_every: Steps between two logged rows of losses.
    """

    steps: int
    batch: int
    peak: float
    log_every: int

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of ``step``, counted from 0."""
        spent = step / self.steps
        if spent < WARMUP_SHARE:
            return self.peak * max(spent / WARMUP_SHARE, FINAL_SHARE)
        decay = 0.5 * (1 + math.cos(math.pi * (spent - WARMUP_SHARE) / (1 - WARMUP_SHARE)))
        return self.peak * (FINAL_SHARE + (1 - FINAL_SHARE) * decay)


@dataclass
class Training:
    """One training and where it stands.

    Attributes:
        name: Which training; also what its randomness is keyed by.
        schedule: Length and speed.
        seed: Seed of everything that is drawn.
        checkpoint: File to go on from and to write to; None keeps nothing.
        checkpoint_every: Steps between two checkpoints.
        losses: Logged rows: ``step`` and the losses of that step, rounded.
    """

    name: str
    schedule: Schedule
    seed: int
    checkpoint: Path | None = None
    checkpoint_every: int = CHECKPOINT_EVERY
    losses: list[dict[str, float]] = field(default_factory=list)

    def run(
        self,
        networks: Mapping[str, nn.Module],
        losses_at: LossesAt,
        *,
        averaged: bool = True,
        weight_decay: float = 0.01,
        vector_decay: float = 0.0,
        gradient_norm: float | None = 1.0,
    ) -> None:
        """Train networks and leave the result in them.

        Args:
            networks: What is trained, by names of their own; their trainable parameters are meant.
            losses_at: Losses of a step, counted from 0, whose draws all come from the given CPU generator;
                ``loss`` is minimised, the others are logged beside it.
            averaged: End with the moving average of the weights instead of the last ones.
            weight_decay: Decoupled decay of matrices and kernels.
            vector_decay: Decoupled decay of biases and norms.
            gradient_norm: Gradients are clipped to it; None leaves them as they are.

        Raises:
            Verdict3DError: A logged loss is not finite.
        """
        weights = dict(list_trainable(networks))
        optimizer = make_adamw(weights, weight_decay, vector_decay)
        average = Average(weights) if averaged else None
        done = self._restore(weights, optimizer, average)
        for step in tqdm(
            range(done, self.schedule.steps), self.name, self.schedule.steps, initial=done, mininterval=5.0
        ):
            for group in optimizer.param_groups:
                group["lr"] = self.schedule.learning_rate_at(step)
            losses = losses_at(step, torch_generator(self.seed, "train", self.name, step))
            optimizer.zero_grad(set_to_none=True)
            losses["loss"].backward()
            if gradient_norm is not None:
                nn.utils.clip_grad_norm_(weights.values(), gradient_norm)
            optimizer.step()
            if average:
                average.update()
            if step % self.schedule.log_every == 0:
                self._log(step, losses)
            if (step + 1) % self.checkpoint_every == 0 or step + 1 == self.schedule.steps:
                self._save(step + 1, weights, optimizer, average)
        if average:
            average.apply()

    def _log(self, step: int, losses: Mapping[str, Tensor]) -> None:
        row = {name: round(float(value.detach()), 5) for name, value in losses.items()}
        if not math.isfinite(row["loss"]):
            raise Verdict3DError(
                f"training {self.name}: the loss of step {step} is {row['loss']}; lower its peak learning "
                f"rate, {self.schedule.peak}"
            )
        self.losses.append({"step": float(step), **row})

    def _save(
        self,
        step: int,
        weights: Mapping[str, nn.Parameter],
        optimizer: torch.optim.Optimizer,
        average: Average | None,
    ) -> None:
        if self.checkpoint is not None:
            story = {"step": step, "losses": self.losses}
            write_checkpoint(self.checkpoint, weights, optimizer, average.mean if average else {}, story)

    def _restore(
        self, weights: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer, average: Average | None
    ) -> int:
        """Take over a checkpoint and return the number of steps done."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return 0
        mean, story = read_checkpoint(self.checkpoint, weights, optimizer)
        self.losses = story["losses"]
        if average:
            average.mean, average.updates = mean, story["step"]
        return int(story["step"])


class Average:
    """Exponential moving average of weights.

    Attributes:
        mean: The average by name.
        updates: How often it was moved.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], decay: float = 0.999) -> None:
        self.weights, self.decay = weights, decay
        self.mean: dict[str, Tensor] = {name: weight.detach().clone() for name, weight in weights.items()}
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the present weights; early on it follows them closely."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        means = [self.mean[name] for name in self.weights]
        torch._foreach_lerp_(means, [weight.detach() for weight in self.weights.values()], 1 - decay)

    @torch.no_grad()
    def apply(self) -> None:
        """Put the average in the place of the weights."""
        for name, weight in self.weights.items():
            weight.copy_(self.mean[name])


def list_trainable(networks: Mapping[str, nn.Module]) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters that require gradients, by the network's name and their own."""
    for name, network in networks.items():
        for own, parameter in network.named_parameters():
            if parameter.requires_grad:
                yield f"{name}.{own}", parameter


def make_adamw(
    weights: Mapping[str, nn.Parameter], weight_decay: float, vector_decay: float
) -> torch.optim.Optimizer:
    """Return AdamW with a decay for matrices and one for vectors; it is fused on a GPU."""
    parameters = list(weights.values())
    groups = [
        {"params": [one for one in parameters if one.ndim >= 2], "weight_decay": weight_decay},
        {"params": [one for one in parameters if one.ndim < 2], "weight_decay": vector_decay},
    ]
    return torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.98), fused=parameters[0].is_cuda)


@contextmanager
def initial_weights(seed: int, purpose: str, name: str) -> Iterator[None]:
    """Draw the initial weights of networks that are made inside from (seed, purpose, name).

    The layers of torch and transformers draw from torch's global generator; it is as before afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, purpose, name))
        yield


def use_mixed_precision(device: torch.device) -> torch.autocast:
    """Return a context of bfloat16 products on a GPU; a CPU computes in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
