"""The finished checkpoints: copies of generator and judges, each with a card that says how it was made."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from verdict3d.mesh.damage import DEFECTS
from verdict3d.pretrain.workshop import Workshop
from verdict3d.records.files import read_json, write_json

MADE_BY = "python -m verdict3d.pretrain: steps and rows counted, everything drawn from the seed"


def publish(shop: Workshop) -> None:
    """Copy generator and judges into the folder of checkpoints, each with a card."""
    for folder, card in cards(shop).items():
        target = shop.checkpoints / folder
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(shop.work / folder, target)
        weights = sorted(target.rglob("*.safetensors"))
        parameters = {str(path.relative_to(target)): weight_count(path) for path in weights}
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
        write_json(
            target / "card.json",
            {"scale": "embedded", "recipe": MADE_BY, "parameters": parameters, "bytes": size, **card},
        )


def cards(shop: Workshop) -> dict[str, dict[str, Any]]:
    """Return what the cards say of seeds, trainings and measures, by folder."""
    recipe, work = shop.recipe, shop.work
    measured = {family: read_json(work / f"{family}-measures.json") for family in recipe.judges}
    found: dict[str, dict[str, Any]] = {
        "generator": {
            "seed": recipe.seed,
            "rows": {"furniture": recipe.furniture, "grids": recipe.grids},
            "trainings": {name: shortened(read_json(work / f"{name}.json")) for name in recipe.trainings},
            "held_out": {family: values["generator"] for family, values in measured.items()},
        }
    }
    for family, judge in recipe.judges.items():
        found[judge.folder] = {
            "seed": judge.seed,
            "taught": {"defects": tuple(DEFECTS)},  # its rows of generations have all kinds
            "rows": {"damaged": judge.damaged, "generated": judge.generated},
            "trainings": {"judge": shortened(read_json(work / f"{family}.json"))},
            "held_out": measured[family]["measures"],
        }
    return found


def shortened(training: dict[str, Any]) -> dict[str, Any]:
    """Return what a card says of a training: where, how many steps, first and last logged losses."""
    losses = training["losses"]
    return {**training, "losses": {"first": losses[0], "last": losses[-1]}}


def weight_count(path: Path) -> int:
    """Return how many numbers a safetensors file holds."""
    return sum(tensor.numel() for tensor in load_file(path).values())
