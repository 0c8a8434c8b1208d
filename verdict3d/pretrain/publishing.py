"""The finished checkpoints: copies of generator and judges, each with a card that says how it was made."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from verdict3d.pretrain.workshop import Workshop
from verdict3d.records.files import read_json, write_json

MADE_BY = "python -m verdict3d.pretrain: steps and rows counted, everything drawn from the seed"


def publish(shop: Workshop) -> None:
    """Copy what the work folder holds of generator and judges to the checkpoints, each with a card."""
    for folder, describe in write_cards(shop).items():
        if not (shop.work / folder).exists():
            continue
        target = shop.checkpoints / folder
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(shop.work / folder, target)
        weights = sorted(target.rglob("*.safetensors"))
        parameters = {str(path.relative_to(target)): count_weights(path) for path in weights}
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
        write_json(
            target / "card.json",
            {"scale": "embedded", "recipe": MADE_BY, "parameters": parameters, "bytes": size, **describe()},
        )


def write_cards(shop: Workshop) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return by folder what says what its card has of seeds, rows, trainings and measures."""
    judges = {judge.folder: partial(judge_card, shop, family) for family, judge in shop.recipe.judges.items()}
    return {"generator": partial(write_generator_card, shop), **judges}


def write_generator_card(shop: Workshop) -> dict[str, Any]:
    """Return what the generator's card says; the judges' rows measured it."""
    recipe, work = shop.recipe, shop.work
    return {
        "seed": recipe.seed,
        "rows": {"furniture": recipe.furniture, "grids": recipe.grids},
        "trainings": {name: shorten(read_json(work / f"{name}.json")) for name in recipe.trainings},
        "held_out": {
            family: read_json(work / f"{family}-measures.json")["generator"] for family in recipe.judges
        },
    }


def judge_card(shop: Workshop, family: str) -> dict[str, Any]:
    """Return what a judge's card says."""
    judge, work = shop.recipe.judges[family], shop.work
    return {
        "seed": judge.seed,
        "taught": {"measure": judge.measure, "defects": judge.defects, "edits": judge.edits},
        "rows": {"damaged": judge.damaged, "generated": judge.generated, "coloured": judge.coloured},
        "trainings": {"judge": shorten(read_json(work / f"{family}.json"))},
        "held_out": read_json(work / f"{family}-measures.json")["measures"],
    }


def shorten(training: dict[str, Any]) -> dict[str, Any]:
    """Return what a card says of a training: where, how many steps, first and last logged losses."""
    losses = training["losses"]
    return {**training, "losses": {"first": losses[0], "last": losses[-1]}}


def count_weights(path: Path) -> int:
    """Return how many numbers a safetensors file holds."""
    return sum(tensor.numel() for tensor in load_file(path).values())
