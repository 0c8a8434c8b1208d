"""Adapters on disk: ``adapter.safetensors`` beside a ``card.json`` that says what base they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as format_safetensors
from torch import Tensor

from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_bytes
from verdict3d.records.files import read_json, write_bytes, write_json

WEIGHTS, CARD = "adapter.safetensors", "card.json"


@dataclass(frozen=True)
class Adapter:
    """Weights that change a base generator.

    Attributes:
        tensors: Weights by name, on the CPU.
        card: ``arm``, ``base_digest``, ``weights_digest`` and whatever else tells where the weights come from
            (parameters, data digests, losses, seed), as JSON values.
    """

    tensors: Mapping[str, Tensor]
    card: Mapping[str, Any]


def save_adapter(
    tensors: Mapping[str, Tensor], *, arm: str, base_digest: str, story: Mapping[str, Any], directory: Path
) -> Adapter:
    """Write the adapter's two files into ``directory`` and return it. Same weights, same bytes.

    Args:
        tensors: Weights by name.
        arm: Name of the arm that made them.
        base_digest: Digest of the generator's directory.
        story: Further entries of the card, JSON values.
        directory: Made when missing.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = format_safetensors(weights)
    card = {**story, "arm": arm, "base_digest": base_digest, "weights_digest": digest_bytes(content)}
    write_bytes(directory / WEIGHTS, content)
    write_json(directory / CARD, card)
    return Adapter(weights, card)


def load_adapter(directory: str | Path, *, arm: str, base_digest: str) -> Adapter:
    """Read an adapter for the arm and the base it was trained on.

    Raises:
        Verdict3DError: A file is missing or broken, the weights are not those of the card, or the adapter was
            made by another arm or on another base (both digests are named).
    """
    root = Path(directory)
    card = read_json(root / CARD)
    if card["arm"] != arm:
        raise Verdict3DError(f"{root} holds an adapter of arm {card['arm']!r}, not of {arm!r}")
    if card["base_digest"] != base_digest:
        raise Verdict3DError(
            f"the adapter in {root} was trained on the generator with digest {card['base_digest']}, "
            f"but the configured generator has {base_digest}; train it again on this one"
        )
    try:
        content = (root / WEIGHTS).read_bytes()
    except FileNotFoundError as error:
        raise Verdict3DError(f"{root / WEIGHTS} is missing; run the train stage of {arm} first") from error
    if digest_bytes(content) != card["weights_digest"]:
        raise Verdict3DError(f"{root / WEIGHTS} is not the file its card describes; train {arm} again")
    try:
        return Adapter(parse_safetensors(content), card)
    except SafetensorError as error:
        raise Verdict3DError(f"{root / WEIGHTS} is not a safetensors file: {error}") from error
