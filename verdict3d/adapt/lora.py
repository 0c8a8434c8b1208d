"""LoRA of a generator in PEFT's form, and put on a pipeline.

In memory a weight is called ``<part>.<layer>.lora_A.default.weight``, the part ``encoder``, ``structure`` or
``latents``. In a file it has PEFT's name under one root with all networks by their released names, such as
``base_model.model.slat_flow_model.blocks.0.mlp.mlp.0.lora_A.weight``. So one set may change several networks,
and ``PeftModel.from_pretrained(peft_root(pipeline), folder)`` reads it. Layers of the encoder are called as
recent versions of transformers call them.

Every layer has alpha = 2 r: the configuration follows from the tensors, and says nothing that they do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from verdict3d.adapt.conditioners import RepairedConditioner, adapt_encoder
from verdict3d.adapt.layers import (
    Parameters,
    load_into,
    lora_config,
    lora_copy,
    under_prefix,
)
from verdict3d.trellis.conditioner_weights import find_published_name, find_recent_name

if TYPE_CHECKING:
    from verdict3d.trellis.pipeline import TrellisPipeline

NETWORKS = {
    "encoder": "image_cond_model",
    "structure": "sparse_structure_flow_model",
    "latents": "slat_flow_model",
}
"""Released name of the network of each part that LoRA may change."""
FLOWS = {"structure": "structure_flow", "latents": "latent_flow"}
"""The flows among them, as :class:`verdict3d.trellis.networks.Networks` calls them."""
ROOT = "base_model.model."
"""What PEFT puts before every name."""
_OWN = re.compile(rf"({'|'.join(NETWORKS)})\.(.+)\.(lora_[AB])\.default\.weight")
_FILED = re.compile(rf"{re.escape(ROOT)}({'|'.join(NETWORKS.values())})\.(.+)\.(lora_[AB])\.weight")


def is_lora(tensors: Mapping[str, Tensor]) -> bool:
    """Say whether an adapter is LoRA of the generator's networks and nothing else."""
    return bool(tensors) and all(_OWN.fullmatch(name) for name in tensors)


def is_filed(tensors: Mapping[str, Tensor]) -> bool:
    """Say whether tensors have PEFT's names, under the root with all networks."""
    return bool(tensors) and all(_FILED.fullmatch(name) for name in tensors)


def to_peft_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of LoRA as files have them."""
    named = {}
    for name, tensor in tensors.items():
        found = _OWN.fullmatch(name)
        assert found is not None
        part, layer, half = found.groups()
        named[f"{ROOT}{NETWORKS[part]}.{find_recent_name(f'{layer}.')}{half}.weight"] = tensor
    return named


def from_peft_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo :func:`to_peft_names`."""
    parts = {network: part for part, network in NETWORKS.items()}
    named = {}
    for name, tensor in tensors.items():
        found = _FILED.fullmatch(name)
        assert found is not None
        network, layer, half = found.groups()
        named[f"{parts[network]}.{find_published_name(f'{layer}.')}{half}.default.weight"] = tensor
    return named


def peft_config(tensors: Mapping[str, Tensor], base: str) -> dict[str, Any]:
    """Return the configuration beside the tensors of LoRA, as JSON values.

    Args:
        tensors: By their names in memory.
        base: What the base is called.
    """
    ranks = {
        name.removeprefix(ROOT).removesuffix(".lora_A.weight"): len(tensor)
        for name, tensor in to_peft_names(tensors).items()
        if name.endswith(".lora_A.weight")
    }
    config = lora_config(ranks, base)
    config.inference_mode = True
    values = {**config.to_dict(), "target_modules": sorted(ranks)}  # type: ignore[no-untyped-call]
    return {name: getattr(value, "value", value) for name, value in values.items()}


def networks_of(pipeline: TrellisPipeline) -> dict[str, nn.Module]:
    """Return the networks that LoRA may change, by part; the encoder without what repairs its tokens."""
    conditioner = pipeline.conditioner
    while isinstance(conditioner, RepairedConditioner):
        conditioner = conditioner.conditioner
    flows = pipeline.networks
    return {
        "encoder": conditioner.model,
        "structure": flows.structure_flow,
        "latents": flows.latent_flow,
    }


def peft_root(pipeline: TrellisPipeline) -> nn.ModuleDict:
    """Return what ``PeftModel.from_pretrained`` takes for the base; it then changes these very networks."""
    return nn.ModuleDict({NETWORKS[part]: network for part, network in networks_of(pipeline).items()})


def linear_layers(network: nn.Module) -> dict[str, tuple[str, nn.Linear]]:
    """Return the linear layers of a network by their published names, each with its name there."""
    return {
        find_published_name(f"{name}.").removesuffix("."): (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
    }


def put_on(pipeline: TrellisPipeline, tensors: Mapping[str, Tensor]) -> TrellisPipeline:
    """Return a copy of the pipeline with LoRA on; ``pipeline`` stays as it is, bit for bit.

    Args:
        pipeline: A generator, adapted or not.
        tensors: By their names in memory.

    Raises:
        Verdict3DError: The tensors do not fit.
    """
    conditioner, parameters, flows = pipeline.conditioner, dict[str, nn.Parameter](), dict[str, Any]()
    for part in NETWORKS:
        if own := under_prefix(part, tensors):
            adapt = partial(_adapt, own=own)
            if part == "encoder":
                conditioner, found = adapt_encoder(conditioner, adapt)
            else:
                flows[FLOWS[part]], found = adapt(pipeline.networks.get_flow(part))
            parameters |= {f"{part}.{name}": value for name, value in found.items()}
    load_into(parameters, tensors)
    for parameter in parameters.values():
        parameter.requires_grad_(False)
    return pipeline.with_networks(conditioner, **flows)


def _adapt(network: Any, own: Mapping[str, Tensor]) -> tuple[Any, Parameters]:
    """Copy a network with LoRA on the layers that tensors have their names of."""
    known, ends = linear_layers(network), ".lora_A.default.weight"
    layers = {name.removesuffix(ends): len(tensor) for name, tensor in own.items() if name.endswith(ends)}
    return lora_copy(network, {known[layer][0]: rank for layer, rank in layers.items()})
