"""What every pretraining loop shares: a time budget that drives the schedule, weight averaging, a log."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import torch
from torch import nn


class Budget:
    """Length of one training, in seconds or in steps; the learning rate follows the share spent.

    Args:
        peak: Peak learning rate, reached after ``warmup`` of the budget, then a cosine to 2% of it.
        seconds: Length in seconds, or None.
        steps: Length in steps, or None; with both, what ends first.
        warmup: Share of the budget.
    """

    def __init__(
        self, peak: float, seconds: float | None = None, steps: int | None = None, warmup: float = 0.03
    ) -> None:
        self.peak, self.seconds, self.total, self.warmup = peak, seconds, steps, warmup
        self.start = time.monotonic()
        self.step = 0

    def spent(self) -> float:
        """Return the share of the budget that is spent, in [0, 1]."""
        shares = [0.0]
        if self.seconds is not None:
            shares.append((time.monotonic() - self.start) / self.seconds)
        if self.total is not None:
            shares.append(self.step / self.total)
        return min(1.0, max(shares))

    def learning_rate(self) -> float:
        """Return the learning rate of now."""
        spent = self.spent()
        if spent < self.warmup:
            return self.peak * max(spent / self.warmup, 0.02)
        decay = 0.5 * (1 + math.cos(math.pi * (spent - self.warmup) / (1 - self.warmup)))
        return self.peak * (0.02 + 0.98 * decay)

    def steps(self, optimizer: torch.optim.Optimizer) -> Iterator[int]:
        """Yield step numbers until the budget is spent, setting the learning rate before each."""
        while self.spent() < 1.0:
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate()
            yield self.step
            self.step += 1


class Average:
    """Exponential moving average of a module's floating-point parameters."""

    def __init__(self, module: nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.live = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self.mean = [parameter.detach().clone() for parameter in self.live]
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the present weights; early on it follows them closely."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.mean, [parameter.detach() for parameter in self.live], 1 - decay)

    @torch.no_grad()
    def apply(self) -> None:
        """Put the averaged weights into the module."""
        for parameter, mean in zip(self.live, self.mean, strict=True):
            parameter.copy_(mean)


def optimizer_for(modules: list[nn.Module], weight_decay: float = 0.01) -> torch.optim.Optimizer:
    """Return AdamW over the trainable parameters, fused where the device allows; decay on matrices only."""
    parameters = [
        parameter for module in modules for parameter in module.parameters() if parameter.requires_grad
    ]
    groups = [
        {
            "params": [parameter for parameter in parameters if parameter.ndim >= 2],
            "weight_decay": weight_decay,
        },
        {"params": [parameter for parameter in parameters if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.98), fused=parameters[0].is_cuda)


class Log:
    """Losses by step, printed now and then.

    Args:
        name: Which training.
        every: Steps between two rows.
    """

    def __init__(self, name: str, every: int) -> None:
        self.name, self.every = name, every
        self.rows: list[dict[str, float]] = []
        self.start = time.monotonic()

    def add(self, step: int, **values: torch.Tensor | float) -> None:
        """Record values at a step that is a multiple of ``every``."""
        if step % self.every:
            return
        row = {
            "step": float(step),
            **{name: round(float(torch.as_tensor(value).detach()), 5) for name, value in values.items()},
        }
        self.rows.append(row)
        text = "  ".join(f"{name} {value:.4g}" for name, value in row.items())
        print(f"[{self.name} {time.monotonic() - self.start:6.1f}s] {text}", flush=True)
