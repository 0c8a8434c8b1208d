"""A trained part of an arm as weights to go on from: ``python -m benchmarks.ship_start ARM PART OUT``.

ARM is a folder of ``data/train``, PART the number of a part of its stack. OUT, such as
``data/checkpoints/repair``, gets the weights in half precision and a card; ``start: repair`` names it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file

from verdict3d.adapt.adapter import save_adapter
from verdict3d.adapt.layers import under_prefix
from verdict3d.config_arms import StackParams
from verdict3d.records.adapters import WEIGHTS, AdapterOrigin, read_card


def ship_start(arm: Path, part: int, out: Path) -> None:
    """Write part number ``part`` of the stack in ``arm`` into ``out``."""
    card = read_card(arm)
    assert isinstance(card.params, StackParams)
    settings = card.params.parts[part]
    tensors = under_prefix(f"part{part}", load_file(arm / WEIGHTS))
    known = {name: getattr(card, name) for name in AdapterOrigin.model_fields}
    origin = AdapterOrigin(**{**known, "arm": out.name, "method": settings.method, "params": settings})
    halved = {name: tensor.to(torch.float16) for name, tensor in tensors.items()}
    measures = card.measures[f"part{part}"] | {
        "train_pictures": card.measures["train_pictures"],
        "part_of": card.arm,
        "weights_digest_there": card.weights_digest,
    }
    save_adapter(halved, origin, measures, out)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("arm", type=Path)
    parser.add_argument("part", type=int)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    ship_start(given.arm, given.part, given.out)


if __name__ == "__main__":
    main()
