"""LoRA sets of others, read strictly: PEFT's configuration and safetensors, and nothing that could be run.

A set is rooted at one network, as ``get_peft_model(flow, ...)`` leaves it, or at all of them by their
released names, as this project writes it. Its tensors become those of this project
(:mod:`verdict3d.adapt.lora`), where every layer has alpha = 2 r: another scale is multiplied into B, which is
exact where it is a power of two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from verdict3d.adapt.lora import NETWORKS, ROOT, linear_layers
from verdict3d.errors import Verdict3DError
from verdict3d.records.adapters import CONFIG, WEIGHTS
from verdict3d.records.files import read_json
from verdict3d.trellis.conditioner_weights import find_published_name

_NEUTRAL: Sequence[Any] = (None, False, 0, "none", [], {})
_WITHOUT_EFFECT = frozenset(
    {"task_type", "auto_mapping", "peft_version", "revision", "inference_mode", "lora_dropout"}
    | {"exclude_modules", "layers_to_transform", "layers_pattern", "megatron_config", "megatron_core"}
    | {"loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size"}
    | {"runtime_config", "ensure_weight_tying"}
)
"""Fields that concern training, or which layers are named: the tensors say that."""
_READ = frozenset(
    {"peft_type", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "target_modules"}
    | {"base_model_name_or_path", "init_lora_weights"}
)
_REASONS = {
    "use_dora": "DoRA scales the base's own weights too",
    "modules_to_save": "whole layers are part of it, not only LoRA",
    "bias": "biases of the base were trained",
    "lora_bias": "LoRA's layers have biases",
    "fan_in_fan_out": "no layer of this generator is kept transposed",
    "layer_replication": "it is for a base with other layers",
}
_INITIALISED = (True, False, None, "gaussian", "eva", "orthogonal")
"""Starts of A and B that leave the base's weights alone."""
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)
_PATTERN = re.compile(r"[\w.\\]+")
_NAMED = 5


@dataclass(frozen=True)
class LoraSet:
    """A set as this project holds it.

    Attributes:
        tensors: By their names in memory, float32.
        base: What its configuration calls the base; None where it does not.
        networks: Released names of the networks that it changes.
    """

    tensors: Mapping[str, Tensor]
    base: str | None
    networks: tuple[str, ...]


def read_lora(folder: Path, networks: Mapping[str, nn.Module], part: str | None = None) -> LoraSet:
    """Read a set for a generator.

    Args:
        folder: Holds ``adapter_config.json`` and ``adapter_model.safetensors``; nothing else is opened.
        networks: By part, from :func:`verdict3d.adapt.lora.networks_of`.
        part: Network that its names are of, where they could be of several.

    Raises:
        Verdict3DError: A file is missing or broken, the set is not plain LoRA, or it does not fit.
    """
    config = _read_config(folder)
    halves = _read_halves(folder)
    layers = _place(folder, halves, networks, part)
    _require_targets(folder, config, halves)
    tensors: dict[str, Tensor] = {}
    for name, (place, layer, linear) in layers.items():
        a, b = halves[name]["A"].float(), halves[name]["B"].float()
        rank = _number(folder, config, "r", "rank_pattern", name, 8)
        wanted = (rank, linear.in_features), (linear.out_features, rank)
        if (tuple(a.shape), tuple(b.shape)) != wanted:
            raise Verdict3DError(
                f"{folder / WEIGHTS}: {name} has A {tuple(a.shape)} and B {tuple(b.shape)}; with "
                f"rank {rank}, as {CONFIG} says, and this generator's layer it has to be {wanted[0]} and "
                f"{wanted[1]}: the set is for another generator, or the two files do not belong together"
            )
        alpha = _number(folder, config, "lora_alpha", "alpha_pattern", name, 8)
        scale = alpha / (rank**0.5 if config.get("use_rslora") else rank)
        own = f"{place}.{layer}"
        tensors |= {f"{own}.lora_A.default.weight": a, f"{own}.lora_B.default.weight": b * (scale / 2)}
    used = {place for place, _, _ in layers.values()}
    return LoraSet(
        dict(sorted(tensors.items())),
        config.get("base_model_name_or_path"),
        tuple(network for place, network in NETWORKS.items() if place in used),
    )


def _read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of plain LoRA."""
    path = folder / CONFIG
    if not path.is_file():
        raise Verdict3DError(f"{path} is missing; a LoRA set is a folder with {CONFIG} and {WEIGHTS}")
    values = read_json(path)
    if not isinstance(values, dict) or values.get("peft_type") != "LORA":
        kind = values.get("peft_type") if isinstance(values, dict) else type(values).__name__
        raise Verdict3DError(f"{path} is of type {kind!r}; only PEFT's LORA can be an arm")
    unknown = [
        name
        for name, value in values.items()
        if name not in _READ | _WITHOUT_EFFECT and value not in _NEUTRAL
    ]
    wrong = [f"{name} ({_REASONS.get(name, 'more than plain LoRA')})" for name in sorted(unknown)]
    if (start := values.get("init_lora_weights", True)) not in _INITIALISED:
        wrong.append(f"init_lora_weights {start!r} (it changes the base's own weights)")
    if wrong:
        raise Verdict3DError(
            f"{path} asks for {'; '.join(wrong)}: only plain LoRA of linear layers can be an arm. Train it "
            "without; of another start PEFT makes plain LoRA: `save_pretrained(..., "
            "path_initial_model_for_weight_conversion=...)`"
        )
    return values


def _read_halves(folder: Path) -> dict[str, dict[str, Tensor]]:
    """Return A and B of each layer, by the layer's name in the file."""
    path = folder / WEIGHTS
    if not path.is_file():
        pickled = (folder / "adapter_model.bin").is_file()
        why = "; adapter_model.bin is a pickle, which could run code and is not opened" if pickled else ""
        raise Verdict3DError(f"{path} is missing{why}: save the set with PEFT's `safe_serialization=True`")
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise Verdict3DError(f"{path} is not a safetensors file: {error}") from error
    halves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        found = re.fullmatch(rf"{re.escape(ROOT)}(.+)\.lora_([AB])\.weight", name)
        if found is None:
            raise Verdict3DError(
                f"{path}: {name} is no weight of plain LoRA; expected {ROOT}<layer>.lora_A.weight and "
                "lora_B.weight"
            )
        if tensor.dtype not in _FLOATS or not torch.isfinite(tensor).all():
            raise Verdict3DError(f"{path}: {name} holds {tensor.dtype} or no finite numbers; expected floats")
        halves.setdefault(found[1], {})[found[2]] = tensor
    alone = [name for name, found in halves.items() if set(found) != {"A", "B"}]
    if alone or not halves:
        what = f"{alone[0]} has only one of lora_A and lora_B" if alone else "there is no weight in it"
        raise Verdict3DError(f"{path}: {what}; save the set again")
    return halves


def _place(
    folder: Path, names: Mapping[str, Any], networks: Mapping[str, nn.Module], part: str | None
) -> dict[str, tuple[str, str, nn.Linear]]:
    """Return part, published name and layer of each name in the file."""
    known = {part: linear_layers(network) for part, network in networks.items()}
    rooted = {released: part for part, released in NETWORKS.items()}
    if all(name.split(".", 1)[0] in rooted for name in names):
        places = {name: (rooted[name.split(".", 1)[0]], name.split(".", 1)[1]) for name in names}
    else:
        fitting = [one for one in known if all(_published(name) in known[one] for name in names)]
        if part is None and len(fitting) > 1:
            found = " and in ".join(NETWORKS[one] for one in fitting)
            raise Verdict3DError(
                f"{folder}: the layers of this set are in {found}; say which with `network: "
                f"{fitting[0]}` (or {', '.join(fitting[1:])}) in the arm's section"
            )
        chosen = part or (fitting[0] if fitting else _nearest(names, known))
        places = {name: (chosen, name) for name in names}
    missing = [name for name, (one, layer) in places.items() if _published(layer) not in known[one]]
    if missing:
        some = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
        raise Verdict3DError(
            f"{folder}: {len(missing)} of {len(names)} layers are no linear layers of this generator: {some}."
            f" LoRA may change those of {', '.join(NETWORKS.values())}; the set is for another generator"
        )
    return {
        name: (one, _published(layer), known[one][_published(layer)][1])
        for name, (one, layer) in places.items()
    }


def _nearest(names: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the part that has most of the layers."""
    return max(known, key=lambda part: sum(_published(name) in known[part] for name in names))


def _published(layer: str) -> str:
    return find_published_name(f"{layer}.").removesuffix(".")


def _require_targets(folder: Path, config: Mapping[str, Any], names: Mapping[str, Any]) -> None:
    """Refuse target modules that no weight is of; a pattern is not run, for the tensors say what it found."""
    targets = config.get("target_modules")
    if isinstance(targets, str):
        return
    if not isinstance(targets, list) or not all(isinstance(one, str) for one in targets):
        raise Verdict3DError(f"{folder / CONFIG}, target_modules: expected a list of names or one pattern")
    idle = [one for one in targets if not any(f".{name}".endswith(f".{one}") for name in names)]
    other = [name for name in names if not any(f".{name}".endswith(f".{one}") for one in targets)]
    if idle or other:
        raise Verdict3DError(
            f"{folder}: target_modules of {CONFIG} and the weights differ, such as in {(idle or other)[0]}; "
            "the two files do not belong together, or a layer of the set is missing here"
        )


def _number(
    folder: Path, config: Mapping[str, Any], field: str, patterns: str, layer: str, default: int
) -> float | int:
    """Return the rank or alpha of a layer: that of the first pattern that fits, else that of all layers."""
    found = config.get(field, default)
    special = config.get(patterns) or {}
    for pattern in special:
        if not _PATTERN.fullmatch(pattern):
            raise Verdict3DError(
                f"{folder / CONFIG}, {patterns}: {pattern!r} is no name of a layer; expected names, which "
                "may have their dots escaped"
            )
        if re.fullmatch(rf"(.*\.)?({pattern})", layer):
            found = special[pattern]
            break
    whole = field == "r"
    if isinstance(found, bool) or not isinstance(found, int if whole else (int, float)) or not found > 0:
        raise Verdict3DError(
            f"{folder / CONFIG}, {field}: {found!r} for {layer}; expected a {'whole ' * whole}number above 0"
        )
    return found
