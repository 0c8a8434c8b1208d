"""The training loop that every trained arm shares: deterministic, validated, resumable after ``kill -9``.

Everything random in a step comes from a generator keyed by (seed, "train", arm, step), so a resumed run takes
the same steps as an uninterrupted one, bit for bit on the same machine. A checkpoint is one safetensors file,
renamed into place, with the weights, the optimiser's moments, the best weights so far and the loss history.

Several processes share the items of each step and average their gradients (:mod:`verdict3d.adapt.parallel`).
The main one validates and writes the checkpoint, all go on from it, and all know the same history.

The weights with the lowest mean validation loss among the validated steps are kept, the earliest of equals;
the untouched start (step 0) is one of these steps. Without validation data the last weights are kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as format_safetensors
from torch import Tensor, nn
from tqdm import tqdm

from verdict3d.adapt.parallel import ALONE, Processes
from verdict3d.errors import Verdict3DError
from verdict3d.records.files import write_bytes
from verdict3d.records.losses import StepLosses

CHECKPOINT = "checkpoint.safetensors"
GRADIENT_NORM_LIMIT = 1.0
WARMUP_SHARE = 0.05

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        steps: Optimiser steps.
        learning_rate: Peak of a cosine that starts with a short linear warm-up and ends at zero.
        checkpoint_every: Steps between checkpoints, each with a validation.
        weight_decay: Decoupled decay of AdamW (Loshchilov and Hutter 2019).
    """

    steps: int
    learning_rate: float
    checkpoint_every: int
    weight_decay: float = 0.01

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of ``step``, counted from 0."""
        warmup = max(1, round(self.steps * WARMUP_SHARE))
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        return (
            self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, self.steps - warmup)))
        )


@dataclass
class TrainingProgress:
    """Where a training stands after ``step`` steps.

    Attributes:
        step: Steps taken.
        losses: History: rows with ``step``, ``learning_rate``, ``train_loss`` and, for validated steps, the
            validation losses.
        best_step: Validated step with the lowest mean validation loss.
        best_loss: That loss; infinite before the first validation.
        best: Weights at ``best_step``.
    """

    step: int = 0
    losses: list[StepLosses] = field(default_factory=list)
    best_step: int = 0
    best_loss: float = math.inf
    best: Weights = field(default_factory=dict)


def train(
    trained: nn.Module | Mapping[str, nn.Parameter],
    loss_at: Callable[[int], Tensor],
    validate: Callable[[], Mapping[str, float]],
    schedule: Schedule,
    checkpoints: Path,
    description: str,
    processes: Processes = ALONE,
    base: Mapping[str, float] | None = None,
) -> TrainingProgress:
    """Train parameters and leave the best weights in them.

    Args:
        trained: Parameters by name, or a module whose parameters that require gradients are meant; in their
            initial state.
        loss_at: Scalar loss of a step, counted from 0; all its randomness is keyed by the step. Of several
            processes each gives the mean over its own share of the items.
        validate: Losses by name on data that is never trained on; an empty mapping when there is none.
        schedule: Steps and learning rate.
        checkpoints: Folder of this training alone; a checkpoint found there is continued.
        description: What the progress bar says.
        processes: Those that train together, from the same initial state.
        base: Validation losses of the base; None where the initial state is the base.

    Raises:
        Verdict3DError: The loss is not finite at some step.
    """
    weights = (
        {name: weight for name, weight in trained.named_parameters() if weight.requires_grad}
        if isinstance(trained, nn.Module)
        else dict(trained)
    )
    optimizer = torch.optim.AdamW(
        weights.values(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    path = checkpoints / CHECKPOINT
    state = _load(path, weights, optimizer) if path.exists() else TrainingProgress()
    if not path.exists():
        _validate(state, weights, validate, processes, base)
    progress = tqdm(
        total=schedule.steps,
        initial=state.step,
        desc=description,
        unit="step",
        mininterval=1.0,
        disable=not processes.main,
    )
    with progress:
        while state.step < schedule.steps:
            _take_step(state, weights, optimizer, loss_at, schedule, processes)
            progress.update()
            if state.step % schedule.checkpoint_every == 0 or state.step == schedule.steps:
                _validate(state, weights, validate, processes, base)
                progress.set_postfix(_select_headline(state.losses[-1]))
                if processes.main:
                    _save(path, state, weights, optimizer)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(state.best[name])
    return state


def collect_validated(
    state: TrainingProgress, weights: Mapping[str, Tensor], base: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Return the size of what was trained, and the validation losses of the kept weights and of the base.

    With ``base`` as given to :func:`train`, those that the training started with are told apart from them.
    """
    kept = next(row for row in state.losses if row["step"] == state.best_step)
    names = [name for name in kept if name.startswith("validation_loss")]
    start = {name: state.losses[0][name] for name in names}
    found = {
        "parameters": sum(weight.numel() for weight in weights.values()),
        "adapter": {name: kept[name] for name in names},
    }
    return found | ({"base": start} if base is None else {"base": _name_losses(base), "start": start})


def _take_step(
    state: TrainingProgress,
    weights: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    loss_at: Callable[[int], Tensor],
    schedule: Schedule,
    processes: Processes,
) -> None:
    """Take one optimiser step and append its row to the history."""
    rate = schedule.learning_rate_at(state.step)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    own_loss = loss_at(state.step)
    loss = processes.mean(own_loss.detach())
    if not torch.isfinite(loss):
        raise Verdict3DError(
            f"training diverged: the loss of step {state.step + 1} is {loss.item()}; lower learning_rate"
        )
    own_loss.backward()
    processes.average_gradients(weights.values())
    nn.utils.clip_grad_norm_(weights.values(), GRADIENT_NORM_LIMIT)
    optimizer.step()
    state.step += 1
    state.losses.append({"step": state.step, "learning_rate": rate, "train_loss": loss.item()})


def _validate(
    state: TrainingProgress,
    weights: Mapping[str, Tensor],
    validate: Callable[[], Mapping[str, float]],
    processes: Processes,
    base: Mapping[str, float] | None,
) -> None:
    """Add validation losses to the newest row and keep the weights when they are the best so far.

    The base's own, which the first validation measures unless ``base`` gives it, is written beside every
    one as ``base_validation_loss``.
    """
    with torch.no_grad():
        losses = processes.from_main(lambda: dict(validate()))
    if not state.losses:
        state.losses.append({"step": 0, "learning_rate": None, "train_loss": None})
    named = _name_losses(losses)
    mean = named["validation_loss"]
    first = state.losses[0].get("validation_loss", mean)
    baseline = first if base is None else _name_losses(base)["validation_loss"]
    state.losses[-1].update({"validation_loss": mean, "base_validation_loss": baseline} | named)
    if mean is None or mean < state.best_loss:
        state.best_step, state.best_loss = state.step, math.inf if mean is None else mean
        state.best = {name: weight.detach().clone() for name, weight in weights.items()}


def _name_losses(losses: Mapping[str, float]) -> dict[str, float | None]:
    """Return the mean of validation losses, None without any, and each by its name."""
    mean = sum(losses.values()) / len(losses) if losses else None
    return {"validation_loss": mean} | {f"validation_loss_{name}": value for name, value in losses.items()}


def _select_headline(row: StepLosses) -> dict[str, str]:
    """Return what the progress bar shows of a validated row."""
    shown = {name: row.get(name) for name in ("train_loss", "validation_loss", "base_validation_loss")}
    return {name: f"{value:.4f}" for name, value in shown.items() if value is not None}


def write_checkpoint(
    path: Path,
    weights: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    kept: Mapping[str, Tensor],
    story: Mapping[str, Any],
) -> None:
    """Write where a training stands, atomically.

    Args:
        path: File to write.
        weights: Trained parameters by name.
        optimizer: Its moments of these parameters are written too.
        kept: The weights that the training ends with if it ends here, by the same names.
        story: What else has to be known to go on, JSON values.
    """
    tensors = {f"weights.{name}": weight.detach() for name, weight in weights.items()}
    tensors |= {f"best.{name}": weight for name, weight in kept.items()}
    for name, weight in weights.items():
        tensors |= {f"optimizer.{key}.{name}": value for key, value in optimizer.state[weight].items()}
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, format_safetensors(tensors, metadata={"state": json.dumps(story)}))


def read_checkpoint(
    path: Path, weights: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> tuple[Weights, dict[str, Any]]:
    """Read a checkpoint into the weights and the optimiser; return the kept weights and the story."""
    kept: Weights = {}
    with safe_open(path, framework="pt") as checkpoint, torch.no_grad():
        story: dict[str, Any] = json.loads(checkpoint.metadata()["state"])
        for key in checkpoint.keys():  # noqa: SIM118 (an open checkpoint is no mapping)
            kind, rest = key.split(".", 1)
            value = checkpoint.get_tensor(key)
            if kind == "weights":
                weights[rest].copy_(value)
            elif kind == "best":
                kept[rest] = value.to(weights[rest].device)
            else:
                moment, name = rest.split(".", 1)
                device = value.device if moment == "step" else weights[name].device
                optimizer.state[weights[name]][moment] = value.to(device)
    return kept, story


def _save(
    path: Path, state: TrainingProgress, weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> None:
    story = {
        "step": state.step,
        "losses": state.losses,
        "best_step": state.best_step,
        "best_loss": state.best_loss if math.isfinite(state.best_loss) else None,
    }
    write_checkpoint(path, weights, optimizer, state.best, story)


def _load(
    path: Path, weights: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> TrainingProgress:
    best, story = read_checkpoint(path, weights, optimizer)
    best_loss = math.inf if story["best_loss"] is None else story["best_loss"]
    return TrainingProgress(story["step"], story["losses"], story["best_step"], best_loss, best)
