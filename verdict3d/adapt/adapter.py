"""Adapters on disk: ``adapter_model.safetensors`` beside a card that says what base they belong to.

Where all weights are LoRA, file and names are PEFT's, with its configuration beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as format_safetensors
from torch import Tensor

from verdict3d.adapt.lora import from_peft_names, is_filed, is_lora, peft_config, to_peft_names
from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_bytes
from verdict3d.records.adapters import (
    CARD,
    CONFIG,
    WEIGHTS,
    AdapterCard,
    AdapterOrigin,
    read_card,
    remove_adapter,
)
from verdict3d.records.files import read_json, write_bytes, write_json
from verdict3d.records.record import write_record


@dataclass(frozen=True)
class Adapter:
    """Weights that change a base generator.

    Attributes:
        tensors: Weights by name, on the CPU.
        card: Where they come from.
    """

    tensors: Mapping[str, Tensor]
    card: AdapterCard


def save_adapter(
    tensors: Mapping[str, Tensor], origin: AdapterOrigin, measures: Mapping[str, Any], directory: Path
) -> Adapter:
    """Write the adapter's files into ``directory`` and return it. Same weights, same bytes.

    Args:
        tensors: Weights by name.
        origin: Where they come from.
        measures: What was measured while they were trained, JSON values.
        directory: Made when missing.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    lora = is_lora(weights)
    content = format_safetensors(to_peft_names(weights) if lora else weights)
    made = {"weights_digest": digest_bytes(content), "measures": dict(measures)}
    card = AdapterCard.model_validate({**dict(origin), **made})
    remove_adapter(directory)
    if lora:
        write_json(directory / CONFIG, peft_config(weights, origin.base))
    write_bytes(directory / WEIGHTS, content)
    write_record(directory / CARD, card)
    return Adapter(weights, card)


def load_adapter(directory: str | Path, *, arm: str, base_digest: str) -> Adapter:
    """Read an adapter for the arm and the base it was trained on.

    Raises:
        Verdict3DError: A file is missing or broken, the weights are not those of the card, or the adapter was
            made by another arm or on another base (both digests are named).
    """
    root = Path(directory)
    card = read_card(root)
    if card.arm != arm:
        raise Verdict3DError(f"{root} holds an adapter of arm {card.arm!r}, not of {arm!r}")
    if card.base_digest != base_digest:
        raise Verdict3DError(
            f"the adapter in {root} was trained on the generator with digest {card.base_digest}, "
            f"but the configured generator has {base_digest}; train it again on this one"
        )
    try:
        content = (root / WEIGHTS).read_bytes()
    except FileNotFoundError as error:
        raise Verdict3DError(f"{root / WEIGHTS} is missing; run the train stage of {arm} first") from error
    if digest_bytes(content) != card.weights_digest:
        raise Verdict3DError(f"{root / WEIGHTS} is not the file its card describes; train {arm} again")
    try:
        tensors = parse_safetensors(content)
    except SafetensorError as error:
        raise Verdict3DError(f"{root / WEIGHTS} is not a safetensors file: {error}") from error
    if is_filed(tensors):
        tensors = from_peft_names(tensors)
        _require_own_config(root, tensors, card)
    return Adapter(tensors, card)


def _require_own_config(root: Path, tensors: Mapping[str, Tensor], card: AdapterCard) -> None:
    """Refuse a configuration that says something else than the tensors, under any version of PEFT."""
    wanted, found = peft_config(tensors, card.base), read_json(root / CONFIG)
    same = isinstance(found, dict) and all(
        found.get(name) == value for name, value in wanted.items() if name in found and name != "peft_version"
    )
    if not same or not {"r", "lora_alpha", "target_modules"} <= set(found):
        raise Verdict3DError(f"{root / CONFIG} is not the one that was written with the weights; train again")
