"""A torch.hub DINOv2 checkpoint to the transformers directory that TRELLIS is conditioned with.

    python -m verdict3d.trellis.convert_conditioner dinov2_vitl14_reg4_pretrain.pth image_cond_model

Only here is a pickle opened, and only its tensors are let in. What is written keeps the file's float32.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from verdict3d.errors import Verdict3DError
from verdict3d.trellis.conditioner import Conditioner, make_dinov2_config

HEAD_CHANNELS = 64
"""Channels of a head in every released DINOv2."""


def read_hub_file(path: str | Path) -> dict[str, Tensor]:
    """Read a ``dinov2_vit*14_reg4_pretrain.pth``; code in it is not run.

    Raises:
        Verdict3DError: The file is missing, damaged, or holds anything but named tensors of such a model.
    """
    if not Path(path).is_file():
        raise Verdict3DError(f"{path}: there is no such file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise Verdict3DError(f"{path} is no intact file of tensors alone: {first}") from error
    wanted = (
        "cls_token",
        "register_tokens",
        "pos_embed",
        "patch_embed.proj.weight",
        "blocks.0.mlp.fc1.weight",
    )
    named = isinstance(state, Mapping) and all(isinstance(value, Tensor) for value in state.values())
    missing = [key for key in wanted if key not in state] if named else list(wanted)
    if missing:
        raise Verdict3DError(
            f"{path} is no DINOv2 with registers: {', '.join(missing)} missing; "
            "expected dinov2_vitl14_reg4_pretrain.pth"
        )
    return dict(state)


def make_hub_config(state: Mapping[str, Tensor], heads: int | None = None) -> Any:
    """Return the configuration that torch.hub weights have, from their shapes.

    Args:
        state: Tensors by torch.hub's names.
        heads: Attention heads, which shapes do not tell; None: of 64 channels each.
    """
    channels, patch = state["cls_token"].shape[-1], state["patch_embed.proj.weight"].shape[-1]
    side = round((state["pos_embed"].shape[1] - 1) ** 0.5)
    blocks = {key.split(".")[1] for key in state if key.startswith("blocks.")}
    return make_dinov2_config(
        hidden_size=channels,
        num_hidden_layers=len(blocks),
        num_attention_heads=heads or channels // HEAD_CHANNELS,
        mlp_ratio=len(state["blocks.0.mlp.fc1.weight"]) // channels,
        image_size=side * patch,
        patch_size=patch,
        num_register_tokens=state["register_tokens"].shape[1],
    )


def convert(source: str | Path, directory: str | Path, heads: int | None = None) -> None:
    """Write the directory ``directory`` from the torch.hub file ``source``.

    Raises:
        Verdict3DError: The file is not as expected.
    """
    state = read_hub_file(source)
    config = make_hub_config(state, heads)
    Conditioner.of_weights(config, state, f"{source} is inconsistent").save(directory, torch.float32)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Convert a torch.hub DINOv2 checkpoint with registers.")
    parser.add_argument("source", help="such as dinov2_vitl14_reg4_pretrain.pth")
    parser.add_argument("directory", help="such as TRELLIS-image-large/image_cond_model")
    parser.add_argument("--heads", type=int, help="attention heads; by default of 64 channels each")
    arguments = parser.parse_args()
    try:
        convert(arguments.source, arguments.directory, arguments.heads)
    except Verdict3DError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
