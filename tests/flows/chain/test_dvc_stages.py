"""DVC as a run sees it, on a toy chain: what changed and why, the order, and what became of a stage."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flows.chain.dvc_stages import (
    StageBusyError,
    StageFailedError,
    StageRun,
    find_changed_stages,
    leave_nearest,
    read_stage_graph,
    remove_left_over,
    restore_through_dvc,
    run_stage_through_dvc,
)
from flows.chain.environment import make_project_environment
from flows.chain.own_meshes import watch_own_meshes
from flows.chain.workspace import open_workspace, overlay
from support.places import ROOT, append
from support.toy_chain import ARM, write_toy_chain
from verdict3d.config import load_params
from verdict3d.errors import Verdict3DError
from verdict3d.processes.environment import CACHES, TELEMETRY_OFF
from verdict3d.project import Workspace, find_project
from verdict3d.records.files import read_json


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_toy_chain(tmp_path / "project")


def run(root: Path, stage: str, lines: list[str] | None = None, **options: float) -> StageRun:
    return run_stage_through_dvc(
        stage,
        root=root,
        environment=make_project_environment(root),
        say=(lines if lines is not None else []).append,
        log_file=root / "log",
        **options,
    )


def test_the_life_of_a_stage(project: Path) -> None:
    environment = make_project_environment(project)
    assert list(find_changed_stages(project, environment)) == ["assets", f"train@{ARM}", f"evaluate@{ARM}"]
    lines: list[str] = []
    assert run(project, "assets", lines).outcome == "ran"
    assert lines == ["assets works"]
    assert run(project, "assets").outcome == "up to date"
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace("seed: ", "seed: 1"))
    assert find_changed_stages(project, environment)["assets"] == {"changed deps": ["params.yaml"]}
    assert run(project, "assets").outcome == "ran"
    (project / "params.yaml").write_text(params)
    assert run(project, "assets").outcome == "restored"


def test_a_failed_stage_ends_with_its_own_words(project: Path) -> None:
    (project / "fail-assets").touch()
    with pytest.raises(StageFailedError, match="it does not work"):
        run(project, "assets")
    with pytest.raises(StageFailedError, match="ran past its limit"):
        (project / "hold-assets").touch()
        run(project, "assets", timeout_s=4.0)


def test_a_stage_whose_files_are_in_use_is_busy(project: Path) -> None:
    (project / "hold-assets").touch()
    first = threading.Thread(target=run, args=(project, "assets"))
    first.start()
    while not (project / "data/assets/whole").exists():
        time.sleep(0.05)
    with pytest.raises(StageBusyError):
        run(project, "assets")
    (project / "hold-assets").unlink()
    first.join()


def test_stages_come_in_an_order_in_which_they_can_run(project: Path) -> None:
    needs = read_stage_graph(project, make_project_environment(project))
    assert list(needs) == ["assets", f"train@{ARM}", f"evaluate@{ARM}"]
    assert needs[f"evaluate@{ARM}"] == {f"train@{ARM}"} and needs["assets"] == set()


def test_a_stage_waits_for_the_nearest_ones_only() -> None:
    """Prefect's page draws an arrow for each, and all stages need the first ones."""
    needs = {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"a", "b", "c"}, "e": {"a", "d"}, "f": {"b"}}
    assert leave_nearest(needs) == needs | {"d": {"b", "c"}, "e": {"d"}}


IDENTIFIED = """
stages:
  identity:
    cmd: python -m tasks.identity
    deps: [tasks, verdict3d, params.yaml]
    outs: [data/identity]
  degrade:
    cmd: python stage.py degrade data/degrade
    deps: [data/identity/degrade.json]
    params: [degrade]
    outs: [data/degrade]
  gate:
    cmd: python stage.py gate data/gate
    deps: [data/identity/gate.json]
    params: [promotion]
    outs: [data/gate]
"""


def test_dvc_reruns_what_an_edit_or_a_parameter_concerns_and_nothing_else(project: Path) -> None:
    for name in ("tasks", "verdict3d"):
        shutil.copytree(ROOT / name, project / name, dirs_exist_ok=True)
    (project / "dvc.yaml").write_text(IDENTIFIED)
    (project / "presets/other.yaml").write_text("seed: 7\n")
    environment = make_project_environment(project)
    assert set(find_changed_stages(project, environment)) == {"identity", "degrade", "gate"}
    assert [run(project, stage).outcome for stage in ("identity", "degrade", "gate")] == ["ran"] * 3
    assert find_changed_stages(project, environment) == {}
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace('cron: "0 3', 'cron: "0 4'))
    assert find_changed_stages(project, environment) == {}, "when it runs concerns no result"
    append(project / "verdict3d/stats/gate.py", "# edited\n")
    append(project / "verdict3d/trellis/sampler.py", "# edited\n")
    changed = find_changed_stages(project, environment)
    assert set(changed) == {"identity", "gate"} and changed["gate"] == {
        "changed code": ["verdict3d/stats/gate.py"]
    }
    left = restore_through_dvc(root=project, environment=environment, log_file=project / "log")
    assert {stage: one.outcome for stage, one in left.items()} == {"degrade": "up to date"}
    outcomes = {stage: run(project, stage).outcome for stage in ("identity", "degrade", "gate")}
    assert outcomes == {"identity": "up to date", "degrade": "up to date", "gate": "ran"}
    preset = open_workspace(project, "other").root
    (preset / "stage.py").symlink_to(project / "stage.py")
    assert [run(preset, stage).outcome for stage in ("identity", "degrade")] == ["ran", "restored"]


@pytest.mark.parametrize("with_git", [True, False])
def test_the_chain_needs_no_git_and_minds_none(project: Path, with_git: bool) -> None:
    if with_git:
        subprocess.run(["git", "init", "-q", "."], cwd=project, check=True)
    assert run(project, "assets").outcome == "ran"
    assert not (project / "data/.gitignore").exists()


def test_a_broken_dvc_yaml_is_explained(project: Path) -> None:
    (project / "dvc.yaml").write_text("stages: {assets: {comand: x}}")
    with pytest.raises(Verdict3DError, match="comand"):
        find_changed_stages(project, make_project_environment(project))


def test_a_preset_has_parameters_and_results_of_its_own(project: Path) -> None:
    (project / "presets/small.yaml").write_text("seed: 7\nassets: {train: 2}\n")
    workspace = open_workspace(project, "small")
    params, own = load_params(workspace.root / "params.yaml"), load_params(project / "params.yaml")
    assert (params.seed, params.assets.train) == (7, 2)
    assert params.assets.heldout == own.assets.heldout and own.seed != 7
    (workspace.root / "stage.py").symlink_to(project / "stage.py")
    assert run(workspace.root, "assets").outcome == "ran"
    assert not (project / "data/assets").exists() and not (project / "dvc.lock").exists()
    moved = project.rename(project.with_name("moved"))
    again = open_workspace(moved, "small")
    assert (again.root / "data/checkpoints").resolve() == moved / "data/checkpoints"


def test_unknown_presets_and_values_are_refused(project: Path) -> None:
    (project / "presets/wrong.yaml").write_text("assets: {trian: 2}\n")
    with pytest.raises(Verdict3DError, match="there are: wrong"):
        open_workspace(project, "other")
    with pytest.raises(Verdict3DError, match=r"assets\.trian"):
        open_workspace(project, "wrong")


@pytest.mark.parametrize("name", ["../outside", "/tmp/x", "small+../outside", ".", "", "small+", "a b", "A"])
def test_what_is_no_name_of_a_preset_is_refused_before_anything_is_read(project: Path, name: str) -> None:
    for folder in (project, project / "presets"):
        (folder / "outside.yaml").write_text("seed: 7\n")
    (project / "presets/small.yaml").write_text("seed: 7\n")
    with pytest.raises(Verdict3DError, match="is no preset: give the name of a file in presets"):
        open_workspace(project, name)
    assert not (project / ".verdict3d/presets").exists()


@pytest.mark.parametrize("text", ["- 1\n", "0\n", "text\n"])
def test_a_preset_holds_sections(project: Path, text: str) -> None:
    (project / "presets/wrong.yaml").write_text(text)
    with pytest.raises(Verdict3DError, match=r"wrong\.yaml holds a .*; expected sections of parameters"):
        open_workspace(project, "wrong")


def test_overlays_merge_mappings_and_replace_the_rest() -> None:
    assert overlay({"a": {"b": 1, "c": [1, 2]}, "d": 1}, {"a": {"c": [3]}}) == {
        "a": {"b": 1, "c": [3]},
        "d": 1,
    }


def test_the_project_is_found_from_below(project: Path) -> None:
    assert find_project(project / "data/meshes") == project.resolve()


def test_changes_in_a_mesh_folder_elsewhere_are_noticed(project: Path, tmp_path: Path) -> None:
    meshes = tmp_path / "meshes"
    meshes.mkdir()
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("source: procedural", f"source: {meshes}"))
    workspace = Workspace(project, project, None)

    def listing() -> list[bytes]:
        watch_own_meshes(workspace)
        return [path.read_bytes() for path in (project / "data/watched").glob("*")]

    before = listing()
    assert len(before) == 1 and listing() == before
    (project / "data/watched/listing.json").write_bytes(b"damaged")
    assert listing() == before
    (meshes / "chair.glb").write_bytes(b"x")
    assert len(listing()) == 1 and listing() != before
    (project / "data/meshes/linked").symlink_to(meshes)
    (project / "params.yaml").write_text(text.replace("source: procedural", "source: data/meshes"))
    linked = listing()  # DVC does not look behind links to folders
    (meshes / "chair.glb").write_bytes(b"xx")
    assert len(linked) == 1 and listing() != linked
    (project / "data/meshes/linked").unlink()
    assert listing() == []
    (project / "params.yaml").write_text(text)
    assert listing() == []


def test_a_name_that_dvc_cannot_take_is_refused_and_elsewhere_it_is_listed(
    project: Path, tmp_path: Path
) -> None:
    odd = os.fsdecode(b"\xff.glb")
    (project / "data/meshes" / odd).write_bytes(b"x")
    workspace = Workspace(project, project, None)
    with pytest.raises(Verdict3DError, match=r"\ufffd.glb' is not UTF-8.*assets\.source"):
        watch_own_meshes(workspace)
    elsewhere = (project / "data/meshes").rename(tmp_path / "meshes")
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("source: procedural", f"source: {elsewhere}"))
    watch_own_meshes(workspace)
    assert list(read_json(project / "data/watched/listing.json")) == ["\ufffd.glb"]


def test_a_preset_with_meshes_elsewhere_leaves_the_project_alone(project: Path, tmp_path: Path) -> None:
    meshes = tmp_path / "meshes"
    meshes.mkdir()
    (meshes / "chair.glb").write_bytes(b"x")
    (project / "presets/own.yaml").write_text(f"assets: {{source: {meshes}}}\n")
    workspace = open_workspace(project, "own")
    before = sorted((project / "data").rglob("*"))
    watch_own_meshes(workspace)
    assert sorted((project / "data").rglob("*")) == before
    assert [path.name for path in (workspace.root / "data/watched").glob("*.json")] == ["listing.json"]


def test_loopback_never_goes_through_a_proxy_and_caches_stay_inside(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "intranet.example, 127.0.0.1")
    for name in CACHES:
        monkeypatch.delenv(name, raising=False)
    environment = make_project_environment(project)
    assert environment["NO_PROXY"] == environment["no_proxy"] == "intranet.example,127.0.0.1,localhost,::1"
    assert all(Path(environment[name]).is_relative_to(project / ".verdict3d") for name in CACHES)
    monkeypatch.setenv("U2NET_HOME", "/models")
    assert make_project_environment(project)["U2NET_HOME"] == "/models"


def test_the_environment_of_a_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    monkeypatch.setenv("PREFECT_HOME", "/elsewhere")
    monkeypatch.setenv("SHELL", "/usr/sbin/nologin")
    environment = make_project_environment(project)
    assert TELEMETRY_OFF.items() <= environment.items()
    assert environment["PREFECT_HOME"] == "/elsewhere" and environment["SHELL"] == "/bin/sh"
    monkeypatch.delenv("PREFECT_HOME")
    assert Path(make_project_environment(project)["PREFECT_HOME"]).is_relative_to(project)
    found = subprocess.check_output(["sh", "-c", "command -v python"], env=environment, text=True)
    assert Path(found.strip()).parent.samefile(Path(sys.executable).parent)


def test_outputs_of_arms_that_are_gone_are_removed_and_come_back_from_the_cache(
    toy_chain: Path, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(toy_chain, tmp_path / "project"))
    stages = read_stage_graph(project, make_project_environment(project))
    remove_left_over(project, stages)
    assert (project / f"data/train/{ARM}").is_dir()
    remove_left_over(project, {"assets"})
    assert not (project / f"data/train/{ARM}").exists() and not (project / f"data/evaluate/{ARM}").exists()
    assert [run(project, f"{stage}@{ARM}").outcome for stage in ("train", "evaluate")] == ["restored"] * 2


def test_what_the_cache_holds_is_restored_at_once_and_the_rest_left_alone(project: Path) -> None:
    environment = make_project_environment(project)

    def restore() -> dict[str, str]:
        done = restore_through_dvc(root=project, environment=environment, log_file=project / "log")
        return {stage: one.outcome for stage, one in done.items()}

    assert restore() == {}
    run(project, "assets")
    run(project, f"train@{ARM}")
    assert restore() == {"assets": "up to date", f"train@{ARM}": "up to date"}
    kept = (project / "dvc.lock").read_text()
    shutil.rmtree(project / f"data/train/{ARM}")
    (project / "dvc.lock").unlink()
    assert restore() == {"assets": "restored", f"train@{ARM}": "restored"}
    assert (project / "dvc.lock").read_text() == kept
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace("seed: ", "seed: 1"))
    assert restore() == {} and run(project, "assets").outcome == "ran"
