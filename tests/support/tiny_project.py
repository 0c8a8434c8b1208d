"""A whole project at a tiny scale: real classes with random weights, five assets, their conditions.

Of the last asset the severe condition is empty: every generation from it fails.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from PIL import Image

from support.places import ROOT
from support.rows import filled
from support.tiny_trellis import tiny_photo, write_tiny_generator
from verdict3d.config import Params, load_params
from verdict3d.degrade.regimes import degrade_by_regime, regime_params
from verdict3d.furniture.catalogue import make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.files import write_mesh
from verdict3d.pretrain.embedded import build_judge
from verdict3d.project import locate_certificate
from verdict3d.randomness import numpy_generator
from verdict3d.records.assets import Asset, Condition
from verdict3d.records.certificates import Certificate, Finding
from verdict3d.records.files import write_json
from verdict3d.records.record import write_record, write_rows

SPLITS = ("train", "train", "validation", "heldout", "heldout")


def write_tiny_project(root: Path, **train_values: int) -> Params:
    """Write parameters, checkpoints, assets and conditions below ``root`` and return the parameters."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name in ("structure", "latents"):
        values["generator"][name]["steps"] = 3
    values["generator"]["device"] = "cpu"
    values["generate"].update(batch_size=2, low_budget_steps=1)
    values["train"]["conditioner_repair"].update(
        {"steps": 6, "batch_size": 3, "hidden": 16, "draws": 4, "checkpoint_every": 2, **train_values}
    )
    values["train"]["arms"] = values["promotion"]["arms"] = ["conditioner_repair"]
    values["evaluate"]["bootstrap"] = 50
    values["audit"].update(rows_per_defect=1, compared=4, copies=2, allow_uncertified=True)
    values["judges"]["view_px"] = 32
    for judge, family in (("training", "qwen2_5_vl"), ("evaluation", "internvl")):
        place = root / f"data/checkpoints/judge-{judge}"
        build_judge(family, seed=3).save(place)
        values["judges"][judge].update(model=str(place), device="cpu", batch_size=4, views=2)
    root.mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    params = load_params(root / "params.yaml")
    write_tiny_generator(root / params.generator.model)
    _write_assets(root, params)
    sees_colours = filled(Certificate, controls={"colour": filled(Finding, passed=True)})
    write_record(root / locate_certificate("evaluation"), sees_colours)
    write_json(root / locate_certificate("evaluation").with_name("metrics.json"), {})
    return params


def _write_assets(root: Path, params: Params) -> None:
    assets, conditions = [], []
    for folder in ("assets/meshes", "assets/conditions", "degrade/images/severe"):
        (root / "data" / folder).mkdir(parents=True)
    for number, split in enumerate(SPLITS):
        name = f"chair-{number:05d}"
        mesh, picture = f"data/assets/meshes/{name}.glb", f"data/assets/conditions/{name}.png"
        degraded = f"data/degrade/images/severe/{name}.png"
        photo = tiny_photo(number)
        write_mesh(mesh_from_parts(make_furniture("chair", numpy_generator(0, "chair", number))), root / mesh)
        photo.save(root / picture)
        worse, _ = degrade_by_regime(
            photo, regime_params(params.degrade, "severe"), numpy_generator(0, "worse", number)
        )
        if number == len(SPLITS) - 1:
            worse = Image.new("RGBA", worse.size)  # nothing of the object is left: its generations fail
        worse.save(root / degraded)
        assets.append(filled(Asset, id=name, category="chair", split=split, mesh=mesh, condition=picture))
        conditions.append(filled(Condition, asset=name, split=split, regime="severe", image=degraded))
    write_rows(root / "data/assets/assets.jsonl", assets)
    write_rows(root / "data/degrade/conditions.jsonl", conditions)


def run_tiny_chain(root: Path) -> Params:
    """Write the tiny project and run every stage from ``generate`` to ``gate``."""
    import tasks.challenge
    import tasks.evaluate
    import tasks.gate
    import tasks.generate
    import tasks.label
    import tasks.pairs
    import tasks.train

    params = write_tiny_project(root)
    for stage in (tasks.generate, tasks.pairs, tasks.label):
        stage.run(params, root)
    tasks.train.run(params, root, "conditioner_repair")
    tasks.evaluate.run(params, root, "conditioner_repair")
    tasks.challenge.run(params, root)
    tasks.gate.run(params, root)
    return params
