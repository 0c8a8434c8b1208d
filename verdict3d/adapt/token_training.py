"""The training that token regression and token flow share: a network that repairs tokens, held in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from verdict3d.adapt.method import Fit, FitInputs
from verdict3d.adapt.tokens import TokenPairs, encode_examples
from verdict3d.adapt.training import Schedule, collect_validated, train
from verdict3d.config_arms import ConditionerRepairParams, TokenFlowParams
from verdict3d.errors import Verdict3DError
from verdict3d.randomness import numpy_generator, torch_generator

Net = TypeVar("Net", bound=nn.Module)


def fit_on_tokens(
    method: str,
    inputs: FitInputs,
    params: ConditionerRepairParams | TokenFlowParams,
    make: Callable[[torch.Size, torch.Generator], Net],
    loss: Callable[[Net, Tensor, Tensor, int], Tensor],
    validate: Callable[[Net, TokenPairs], dict[str, float]],
) -> Fit:
    """Train on the tokens of the training pictures, which are encoded once and kept in memory.

    Args:
        method: Name of the method; its randomness is keyed by it.
        inputs: Pipeline, pictures, seed and processes.
        params: Length, batch and share of clean inputs.
        make: Makes the untrained network from the shape (V, L, C) of the clean tokens and a generator.
        loss: Mean loss over the own share of a batch: network, given tokens (B, L, C), clean ones, step.
        validate: Losses by regime on pictures that are held back.

    Raises:
        Verdict3DError: There is no training picture.
    """
    pairs = encode_examples(inputs.pipeline, inputs.train, "encode training pictures")
    if pairs is None:
        raise Verdict3DError(f"{method} needs training pictures, but no asset is in the train split")
    held_back = encode_examples(inputs.pipeline, inputs.validation, "encode validation pictures")
    generator = torch_generator(inputs.seed, "initial_weights", method)
    network = make(pairs.clean.shape, generator).to(pairs.clean.device)

    def loss_at(step: int) -> Tensor:
        rng = numpy_generator(inputs.seed, "train", method, step)
        chosen = torch.from_numpy(rng.integers(len(pairs.degraded), size=params.batch_size))
        stays_clean = torch.from_numpy(rng.random(params.batch_size) < params.clean_share)
        clean = pairs.clean[pairs.pictures.clean_row[chosen]]
        given = torch.where(stays_clean.to(clean.device)[:, None, None], clean, pairs.degraded[chosen])
        return loss(network, given, clean, step)

    state = train(
        network,
        loss_at,
        lambda: {} if held_back is None else validate(network, held_back),
        Schedule(params.steps, params.learning_rate, params.checkpoint_every),
        inputs.checkpoints,
        f"train {method}",
        inputs.processes,
    )
    measures = collect_validated(state, dict(network.named_parameters()))
    return Fit(network.state_dict(), state.losses, state.best_step, measures)
