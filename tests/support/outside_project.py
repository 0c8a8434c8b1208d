"""The tiny project with a generator that is not ours, and arms that need no networks."""

from __future__ import annotations

from pathlib import Path

import yaml

from support.outside import box_settings
from support.tiny_project import write_tiny_project
from verdict3d.config import Params, load_params
from verdict3d.records.files import write_json

OUTSIDE, SEARCH = "other_boxes", "best_box"
FAILS = "chair-00004"


def write_outside_project(root: Path, determinism: str = "bitwise") -> Params:
    """Write the project: the base makes boxes, and so does an arm, by a program that fails on one object."""
    write_tiny_project(root)
    base = box_settings(root, name="base boxes")
    other = box_settings(root, name="other boxes", version="2", determinism=determinism)
    other["run"] = [*other["run"], FAILS]
    values = yaml.safe_load((root / "params.yaml").read_text())
    values["generator"] = base
    values["train"] |= {
        "arms": [OUTSIDE, SEARCH],
        OUTSIDE: {"method": "outside", "generator": other},
        SEARCH: {"method": "search", "samples": 2, "pick": "judge"},
    }
    values["promotion"]["arms"] = [OUTSIDE]
    values["preflight"]["override"] = True
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    return load_params(root / "params.yaml")


def run_outside_chain(root: Path, determinism: str = "bitwise") -> Params:
    """Write the project and run every stage from ``generate`` to ``gate``; add what a registry reads."""
    import tasks.challenge
    import tasks.evaluate
    import tasks.gate
    import tasks.generate
    import tasks.label
    import tasks.pairs
    import tasks.preflight
    import tasks.train

    params = write_outside_project(root, determinism)
    for stage in (tasks.generate, tasks.pairs, tasks.label, tasks.preflight):
        stage.run(params, root)
    for arm in params.train.arms:
        tasks.train.run(params, root, arm)
        tasks.evaluate.run(params, root, arm)
    tasks.challenge.run(params, root)
    tasks.gate.run(params, root)
    (root / "dvc.lock").write_text("schema: '2.0'\nstages:\n  gate:\n    cmd: python -m tasks.gate\n")
    for certificate in root.glob("data/certify/*/certificate.json"):
        write_json(certificate.with_name("metrics.json"), {})
    return params
