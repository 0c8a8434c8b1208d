"""Stage ``train@<arm>``: fit one arm's adapter on the frozen generator (``python -m tasks.train <arm>``).

Writes ``data/train/<arm>/``: ``adapter.safetensors``, ``card.json`` (base, parameters, data digests, losses,
seed), ``losses.csv`` (a row a step; what was not measured at a step is empty) and ``metrics.json``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from tasks.arms import arm_from_command_line, arm_params
from tasks.base import load_base
from tasks.batches import RESUME_ROOT, digest_code, resuming
from tasks.machine import settle_torch
from tasks.manifest import TRAIN, read_assets, start_folder
from tasks.stage import run_stage
from verdict3d.adapt.adapter import save_adapter
from verdict3d.adapt.method import Example, FitInputs
from verdict3d.adapt.registry import find_arm
from verdict3d.config import Params
from verdict3d.degrade.regimes import degrade_by_regime, regime_params
from verdict3d.errors import ItemFailure
from verdict3d.provenance import digest_file, digest_json
from verdict3d.randomness import numpy_generator
from verdict3d.records import Row, write_bytes, write_json
from verdict3d.trellis.preprocess import object_box

CODE = (
    "tasks/train.py",
    "verdict3d/adapt",
    "verdict3d/degrade",
    "verdict3d/trellis",
    "verdict3d/randomness.py",
)
VALIDATION_DRAWS = 2
"""Degraded pictures of each validation asset and regime."""


def make_examples(
    params: Params, root: Path, assets: Sequence[Row], regimes: Sequence[str], draws: int
) -> list[Example]:
    """Degrade the clean condition of each asset ``draws`` times, the regimes taking turns.

    Pictures in which nothing of the object is left teach nothing and are left out.
    """
    examples = []
    for asset in assets:
        clean = Image.open(root / asset["condition"]).convert("RGBA")
        for draw in range(draws):
            regime = regimes[draw % len(regimes)]
            rng = numpy_generator(params.seed, "training_picture", asset["id"], regime, draw)
            try:
                degraded, _ = degrade_by_regime(clean, regime_params(params.degrade, regime), rng)
                object_box(degraded)
            except ItemFailure:
                continue
            examples.append(Example(asset["id"], regime, clean, degraded))
    return examples


def format_losses(rows: Sequence[Row]) -> bytes:
    """Return the loss history as CSV; columns in the order of their first appearance."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def run(params: Params, root: Path, arm: str) -> None:
    """Train ``arm`` on the assets below ``root``."""
    method, settings = find_arm(arm), arm_params(params, arm)
    assets = read_assets(root)
    splits = {name: [row for row in assets if row["split"] == name] for name in ("train", "validation")}
    story = {
        "trains": method.trains,
        "base": params.generator.model,
        "params": settings.model_dump(mode="json"),
        "degrade": params.degrade.model_dump(mode="json"),
        "seed": params.seed,
        "data": {name: _data_digest(root, rows) for name, rows in splits.items()},
        "assets": {name: len(rows) for name, rows in splits.items()},
    }
    base = load_base(params, root)
    identity = [arm, story, base.digest, params.generator.device, settle_torch(), digest_code(*CODE)]
    with resuming(f"train/{arm}", identity, root / RESUME_ROOT) as checkpoints:
        regimes = settings.regimes
        train = make_examples(params, root, splits["train"], regimes, settings.draws)
        validation = make_examples(
            params, root, splits["validation"], regimes, VALIDATION_DRAWS * len(regimes)
        )
        inputs = FitInputs(base, train, validation, params.seed, checkpoints)
        fit = method.fit(inputs, settings)
        measures = {
            **fit.measures,
            "best_step": fit.best_step,
            "train_pictures": len(train),
            "validation_pictures": len(validation),
        }
        out = start_folder(root / TRAIN / arm)
        save_adapter(
            fit.tensors,
            arm=arm,
            base_digest=base.digest,
            story={**story, "measures": measures},
            directory=out,
        )
        write_bytes(out / "losses.csv", format_losses(fit.losses))
        write_json(out / "metrics.json", measures)


def _data_digest(root: Path, rows: Sequence[Row]) -> str:
    """Return one digest over the assets and their clean conditions."""
    return digest_json([[row["id"], digest_file(root / row["condition"])] for row in rows])


def _main(params: Params, root: Path) -> None:
    run(params, root, arm_from_command_line(params))


if __name__ == "__main__":
    run_stage(_main)
