"""Unfinished work is continued for the same thing only: whatever an answer depends on decides."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import tasks.controls
import tasks.evaluate
import tasks.generate
import tasks.train
from support.adapters import make_origin
from support.rows import filled
from support.tiny_project import write_tiny_project
from tasks.paths import read_assets
from tasks.registry.packaging import copy_code
from verdict3d.adapt.adapter import save_adapter
from verdict3d.config import Params, load_params
from verdict3d.products.photo_meshes import MeshOptions, _digest_way
from verdict3d.project import TRAIN
from verdict3d.records.certificates import Certificate
from verdict3d.records.generations import Generation, Steps
from verdict3d.records.record import write_record, write_rows
from verdict3d.records.results import JudgeUsed

ARM = "searched"
REPAIR = {
    "method": "conditioner_repair",
    "steps": 2,
    "batch_size": 2,
    "learning_rate": 1e-3,
    "hidden": 8,
    "clean_share": 0.2,
    "draws": 1,
    "regimes": ["severe"],
    "checkpoint_every": 2,
}


class IdentityFoundError(Exception):
    """Stops a stage where its unfinished work would be looked up."""


def identity_of(root: Path, monkeypatch: pytest.MonkeyPatch, stage: Callable[..., None], *arm: str) -> Any:
    """Run a stage below ``root`` up to its unfinished work and return what that is kept for."""

    def stop(name: str, identity: Any, place: Path) -> None:
        raise IdentityFoundError(identity)

    with monkeypatch.context() as patched, pytest.raises(IdentityFoundError) as found:
        for module in ("tasks.making.generation", "tasks.asking.specimens", "tasks.train"):
            patched.setattr(f"{module}.resuming", stop)
        stage(load_params(root / "params.yaml"), root, *arm)
    return found.value.args[0]


def write_params(root: Path, change: Callable[[dict[str, Any]], None]) -> Params:
    values = yaml.safe_load((root / "params.yaml").read_text())
    change(values)
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    return load_params(root / "params.yaml")


def set_search(root: Path, **search: Any) -> None:
    """Give the project one arm, a stack of equal weights that ends in this search."""

    def change(values: dict[str, Any]) -> None:
        values["train"]["arms"] = values["promotion"]["arms"] = [ARM]
        values["train"][ARM] = {"method": "stack", "parts": [REPAIR, {"method": "search", **search}]}

    origin = make_origin(ARM, "base", write_params(root, change).train.sections[ARM])
    save_adapter({"part0.outer.bias": torch.zeros(24)}, origin, {}, root / TRAIN / ARM)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A tiny project with failed generations of the base, and an arm whose search asks the judge."""
    root = tmp_path / "project"
    write_tiny_project(root)
    rows = [
        Generation(
            id=f"{asset.id}-{regime}",
            **{"asset": asset.id, "category": asset.category, "split": "heldout", "regime": regime},
            **{"role": "heldout", "number": 0, "seed": 1, "condition": asset.condition},
            **{"generator": "g", "steps": Steps(structure=1, latents=1)},
            **{"failure": "empty", "failure_message": "", "mesh": None, "mesh_digest": None},
            **{"montage": None, "montages": None, "truth": None},
        )
        for asset in read_assets(root)
        for regime in ("clean", "severe")
    ]
    write_rows(root / "data/generate/generations.jsonl", rows)
    set_search(root, samples=8, pick="judge")
    return root


def test_an_evaluation_depends_on_the_settings_of_a_search(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for search in ({"samples": 8}, {"samples": 8}, {"samples": 4}, {"samples": 8, "agreed": 0.5}):
        set_search(project, pick="consensus", **search)
        found.append(identity_of(project, monkeypatch, tasks.evaluate.run, ARM))
    assert found[0] == found[1]
    assert found[2] != found[0] != found[3], "batches of another search went into one result"


def test_a_search_that_asks_the_judge_depends_on_its_weights_view_sets_and_panel(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look() -> Any:
        return identity_of(project, monkeypatch, tasks.evaluate.run, ARM)

    def widen(values: dict[str, Any]) -> None:
        values["judges"]["training"]["views"] = 3

    found = [look()]
    certificate = filled(Certificate, judge=filled(JudgeUsed, panel="two_sheets"))
    write_record(project / "data/audit/training/certificate.json", certificate)
    found.append(look())
    write_params(project, widen)
    found.append(look())
    config = project / "data/checkpoints/judge-training/preprocessor_config.json"
    config.write_text(config.read_text() + "\n")
    found.append(look())
    assert [found.count(one) for one in found] == [1, 1, 1, 1]
    set_search(project, samples=8, pick="consensus")
    before = look()
    config.write_text(config.read_text() + "\n")
    assert look() == before, "a consensus asks nobody"


def test_generating_depends_on_the_files_of_an_external_conditioner(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project
    place = root / "data/checkpoints/conditioner"
    shutil.copytree(root / "data/checkpoints/generator/image_cond_model", place)

    def name_it(values: dict[str, Any]) -> None:
        values["generator"]["conditioner"] = str(place)

    own = identity_of(root, monkeypatch, tasks.generate.run)
    write_params(root, name_it)
    named = identity_of(root, monkeypatch, tasks.generate.run)
    (place / "model.safetensors").write_bytes(b"other weights")
    assert own != named != identity_of(root, monkeypatch, tasks.generate.run)


def test_training_depends_on_meshes_and_on_the_code_that_reads_them(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look() -> Any:
        return identity_of(project, monkeypatch, tasks.train.run, "conditioner_repair")

    before = look()
    assert before == look()
    assert {"verdict3d/mesh/files.py", "verdict3d/adapt/methods/conditioner_repair.py"} <= set(before["code"])
    assert "verdict3d/adapt/methods/preference.py" not in before["code"]
    mesh = read_assets(project)[0].mesh
    (project / mesh).write_bytes((project / mesh).read_bytes() + b" ")
    assert look()["origin"] != before["origin"]


def test_the_code_behind_unfinished_meshes_is_that_of_the_arm(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = identity_of(project, monkeypatch, tasks.evaluate.run, ARM)
    mine = {
        "verdict3d/adapt/methods/search.py",
        "verdict3d/judge/local/reading.py",
        "verdict3d/making/arms.py",
    }
    assert mine <= set(found["adapter"]["code"])
    assert "verdict3d/adapt/methods/preference.py" not in found["adapter"]["code"]
    assert "verdict3d/trellis/sampler.py" in found["base"]["code"]
    assert "verdict3d/generators/command.py" not in found["base"]["code"]
    assert "verdict3d/render/renderer.py" in found["code"] and "tasks/evaluate.py" not in found["code"]


def test_a_mesh_of_a_photo_is_made_again_by_another_judge_of_the_search(project: Path) -> None:
    params = load_params(project / "params.yaml")
    before = [_digest_way(MeshOptions(arm=arm), params, project) for arm in (ARM, None)]
    config = project / "data/checkpoints/judge-training/preprocessor_config.json"
    config.write_text(config.read_text() + "\n")
    after = [_digest_way(MeshOptions(arm=arm), params, project) for arm in (ARM, None)]
    assert after[0] != before[0] and after[1] == before[1]


def test_a_registered_model_takes_the_code_that_it_runs_along_and_no_other(
    project: Path, tmp_path: Path
) -> None:
    settings = load_params(project / "params.yaml").train.sections[ARM]
    packages = [Path(place) for place in copy_code(settings, tmp_path / "code")]
    assert [place.name for place in packages] == ["tasks", "verdict3d"]
    taken = {path.relative_to(tmp_path / "code").as_posix() for path in (tmp_path / "code").rglob("*.py")}
    assert {"verdict3d/config_arms.py", "verdict3d/adapt/methods/search.py"} <= taken
    others = (
        "tasks/evaluate.py",
        "verdict3d/judge/local",
        "verdict3d/stats",
        "verdict3d/adapt/methods/token",
    )
    assert not [name for name in taken if name.startswith(others)]
