"""Recordings of the official classes: ``tests/goldens``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from support.places import GOLDENS
from verdict3d.trellis.checkpoint import MODEL_CLASSES
from verdict3d.trellis.network import Network
from verdict3d.trellis.sparse import SparseTensor


@dataclass(frozen=True)
class Recording:
    """What an official class gave, with its weights and inputs."""

    notes: dict[str, Any]
    weights: dict[str, Tensor]
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]

    def close(self, key: str, value: Tensor, tolerance: float = 2e-4) -> None:
        torch.testing.assert_close(value, self.outputs[key], atol=tolerance, rtol=0)

    def network(self, kind: type[Network] | None = None) -> Network:
        model = (kind or MODEL_CLASSES[self.notes["cls"]])(**self.notes["args"])
        model.load_state_dict(self.weights)
        return model.eval()

    def sparse(self) -> SparseTensor:
        return SparseTensor(self.inputs["feats"], self.inputs["coords"])


def recorded(name: str) -> Recording:
    tensors = load_file(GOLDENS / f"{name}.safetensors")

    def part(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    weights = {key: value.float() for key, value in part("w.").items()}
    return Recording(json.loads((GOLDENS / f"{name}.json").read_text()), weights, part("in."), part("out."))
