"""The trained copy of a generator: conditioner, structure flow, latent flow, each frozen or adapted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from verdict3d.adapt.conditioners import RepairedConditioner, TokenTransformer, adapt_encoder
from verdict3d.adapt.layers import (
    ENCODER_LAYERS,
    FLOW_LAYERS,
    Parameters,
    checkpoint_blocks,
    load_into,
    trainable_copy,
    with_prefix,
)
from verdict3d.config_arms import EncoderLayers, FlowLayers, TokenTransformerParams
from verdict3d.errors import Verdict3DError
from verdict3d.randomness import torch_generator

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline


@dataclass(frozen=True)
class Student:
    """Networks that share everything frozen with a pipeline.

    Attributes:
        conditioner: The pipeline's own, or an adapted copy.
        flows: By stage, the pipeline's own or adapted copies.
        parameters: What is trained, by name with the part before it.
    """

    conditioner: Any
    flows: Mapping[str, Any]
    parameters: Parameters

    def trains(self, part: str) -> bool:
        """Say whether ``encoder``, ``tokens``, ``structure`` or ``latents`` is trained."""
        return any(name.startswith(f"{part}.") for name in self.parameters)

    def on(self, pipeline: TrellisPipeline) -> TrellisPipeline:
        """Return a copy of the pipeline with these networks in it, frozen."""
        for parameter in self.parameters.values():
            parameter.requires_grad_(False)
        structure, latents = self.flows["structure"], self.flows["latents"]
        return pipeline.with_networks(self.conditioner, structure_flow=structure, latent_flow=latents)


def make_student(
    pipeline: TrellisPipeline,
    seed: int,
    *,
    encoder: EncoderLayers | None = None,
    tokens: TokenTransformerParams | None = None,
    structure: FlowLayers | None = None,
    latents: FlowLayers | None = None,
    training: bool = True,
) -> Student:
    """Make the trained copies; untrained, they compute what the pipeline does, bit for bit.

    Args:
        pipeline: Stays as it is.
        seed: Decides initial weights.
        encoder: What of the conditioner's encoder is trained.
        tokens: A transformer behind it.
        structure: What of the structure flow is trained.
        latents: What of the latent flow is trained.
        training: Gradients will be asked for, so ``checkpointing`` matters.
    """
    conditioner: Any = pipeline.conditioner
    parameters: Parameters = {}
    if encoder is not None:
        conditioner, found = adapt_encoder(
            conditioner,
            partial(
                trainable_copy,
                patterns=ENCODER_LAYERS,
                layers=encoder.layers,
                rank=encoder.rank,
                generator=torch_generator(seed, "initial_weights", "encoder"),
            ),
        )
        parameters |= _name_parameters("encoder", found)
    if tokens is not None:
        repair = TokenTransformer(
            conditioner.channels,
            token_count(pipeline),
            tokens.blocks,
            tokens.heads,
            torch_generator(seed, "initial_weights", "tokens"),
        ).to(pipeline.device)
        conditioner = RepairedConditioner(conditioner, repair.eval())
        parameters |= _name_parameters("tokens", dict(repair.named_parameters()))
    flows: dict[str, nn.Module] = {}
    for stage, wanted in (("structure", structure), ("latents", latents)):
        flows[stage] = pipeline.networks.get_flow(stage)
        if wanted is not None:
            generator = torch_generator(seed, "initial_weights", stage)
            flows[stage], found = trainable_copy(
                flows[stage], FLOW_LAYERS, wanted.layers, wanted.rank, generator
            )
            if wanted.checkpointing and training:
                checkpoint_blocks(flows[stage])
            parameters |= _name_parameters(stage, found)
    return Student(conditioner, flows, parameters)


def load_student(pipeline: TrellisPipeline, tensors: Mapping[str, Tensor], **parts: Any) -> TrellisPipeline:
    """Return a copy of the pipeline with trained weights on; ``parts`` as for :func:`make_student`.

    Raises:
        Verdict3DError: The weights do not fit.
    """
    student = make_student(pipeline, 0, training=False, **parts)
    load_into(student.parameters, tensors)
    return student.on(pipeline)


def token_count(pipeline: TrellisPipeline) -> int:
    """Return the number L of condition tokens of a picture.

    Raises:
        Verdict3DError: The conditioner's patches are unknown.
    """
    inner = pipeline.conditioner
    while isinstance(inner, RepairedConditioner):
        inner = inner.conditioner
    try:
        side = inner.image_size // int(inner.config.patch_size)
    except AttributeError as error:
        raise Verdict3DError(f"{type(inner).__name__} does not say how large its patches are") from error
    return int(inner.prefix_tokens + side * side)


def _name_parameters(part: str, parameters: Mapping[str, nn.Parameter]) -> Parameters:
    named: Any = with_prefix(part, parameters)
    return dict(named)
