"""dvc.yaml tells the truth: stages depend on their identity, and name the data and parameters they read."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml

from flows.chain.environment import make_project_environment
from support.places import ROOT
from verdict3d.provenance import PACKAGES, VALUES
from verdict3d.records.files import write_bytes, write_json
from verdict3d.records.losses import format_losses

STAGES = (
    "identity",
    "assets",
    "degrade",
    "controls",
    "audit",
    "admission",
    "generate",
    "pairs",
    "certify",
    "label",
    "preflight",
    "train",
    "evaluate",
    "challenge",
    "gate",
    "report",
)
READERS_OF_VALUES = {"sections", "experiment", "sees_clean", "picks_structures", "by_role"}
"""Public functions in the files of values that refuse nothing, but give values as they stand there."""
ARM, ROLE = "conditioner_repair", "training"
FOR_A_JUDGE, FOR_AN_ARM = ("audit", "certify"), ("train", "evaluate")
ITEMS = {**dict.fromkeys(FOR_A_JUDGE, ROLE), **dict.fromkeys(FOR_AN_ARM, ARM)}


@cache
def stages() -> dict[str, Any]:
    parsed = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    plain = {name: stage.get("do", stage) for name, stage in parsed.items()}
    for name, stage in plain.items():
        text = yaml.safe_dump(stage, sort_keys=False)
        plain[name] = yaml.safe_load(text.replace("${item}", ROLE if name in FOR_A_JUDGE else ARM))
    return plain


@cache
def params() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


@cache
def imported(stage: str) -> set[str]:
    graph = grimp.build_graph("verdict3d", "tasks", cache_dir=None)
    return {f"tasks.{stage}", *graph.find_upstream_modules(f"tasks.{stage}")}


def parameter_chains(path: Path) -> set[str]:
    """Return what a module reads from arguments annotated ``Params``, as dotted names."""
    chains = set()
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, ast.FunctionDef):
            continue
        for argument in [*function.args.args, *function.args.kwonlyargs]:
            if argument.annotation is not None and ast.unparse(argument.annotation) == "Params":
                chains |= _chains_from(function, argument.arg)
    return chains


def _chains_from(function: ast.FunctionDef, name: str) -> set[str]:
    found = set()
    for node in ast.walk(function):
        parts, inner = [], node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if parts and isinstance(inner, ast.Name) and inner.id == name:
            found.add(".".join(part for part in reversed(parts) if part not in ("model_dump", "model_copy")))
    return {chain for chain in found if chain and not any(other.startswith(f"{chain}.") for other in found)}


def test_the_stages_are_the_method() -> None:
    assert tuple(stages()) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_the_command_is_its_module(stage: str) -> None:
    item = ITEMS.get(stage)
    assert stages()[stage]["cmd"] == " ".join(["python -m", f"tasks.{stage}", *([item] if item else [])])
    assert (ROOT / f"tasks/{stage}.py").is_file()
    assert stages()[stage]["outs"] == [f"data/{stage}/{item}" if item else f"data/{stage}"]


@pytest.mark.parametrize("stage", STAGES)
def test_dependencies_exist(stage: str) -> None:
    made = {out for other in stages().values() for out in other["outs"]}
    roles = params()["audit"]["roles"]
    made |= {out.replace(f"/{ROLE}", f"/{role}") for out in made for role in roles}
    for path in stages()[stage]["deps"]:
        by_a_stage = any(out == path or out.startswith(f"{path}/") for out in made)
        shipped = path.startswith("data/checkpoints") or (ROOT / path).exists()
        assert by_a_stage or shipped or path.startswith("data/identity/"), path


@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_stage_depends_on_its_identity_and_else_on_data(stage: str) -> None:
    item = f"/{ITEMS[stage]}" if stage in ITEMS else ""
    first, *others = stages()[stage]["deps"]
    assert first == f"data/identity/{stage}{item}.json"
    assert all(path.startswith("data/") and "identity" not in path for path in others)


def test_the_identities_depend_on_all_code_and_values() -> None:
    files = ["data/loras", "data/generators", "data/watched", "data/registry/champion"]
    assert stages()["identity"]["deps"] == [*PACKAGES, "params.yaml", *files]


def test_files_of_values_compute_nothing() -> None:
    """They are no part of the code that a stage depends on, so they hold fields, and refuse wrong values."""
    for name in VALUES:
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                refuses = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
                said = f"{name}: {node.name} computes; put it into a module that stages depend on"
                assert refuses or node.name in READERS_OF_VALUES, said


@pytest.mark.parametrize("stage", STAGES[1:])
def test_parameters_exist(stage: str) -> None:
    for name in stages()[stage]["params"]:
        value: Any = params()
        for key in name.split("."):
            assert key in value, name
            value = value[key]


@pytest.mark.parametrize("stage", STAGES[1:-1])  # all but the report, which shows them all
def test_every_parameter_that_is_read_is_declared(stage: str) -> None:
    declared = stages()[stage]["params"]
    for module in imported(stage):
        path = ROOT / f"{module.replace('.', '/')}.py"
        if not path.is_file():
            continue  # a package's own file holds its docstring
        for chain in parameter_chains(path):
            if chain in (
                "train",
                "train.arms",
                "train.sections",
            ):  # the arm's own section, and the example in a message
                continue
            covered = any(
                chain == name or chain.startswith(f"{name}.") or name.startswith(f"{chain}.")
                for name in declared
            )
            assert covered, f"{stage}: {module} reads {chain}"


def test_the_report_declares_all_parameters_that_concern_results() -> None:
    assert stages()["report"]["params"] == [name for name in params() if name not in ("schedule", "photos")]


def test_dvc_shows_the_numbers_of_whatever_arms_there_are(tmp_path: Path) -> None:
    """A preset has the same ``dvc.yaml`` and other arms."""
    shutil.copytree(ROOT / ".dvc/plots", tmp_path / ".dvc/plots")
    shutil.copy(ROOT / ".dvc/config", tmp_path / ".dvc/config")
    shown = {name: yaml.safe_load((ROOT / "dvc.yaml").read_text())[name] for name in ("metrics", "plots")}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(shown))
    arms = {"one_arm", "another"}
    for arm in arms:
        write_json(tmp_path / f"data/report/rates/{arm}.json", {"severe": 0.7})
        row = {"step": 0, "learning_rate": 0.1, "train_loss": 0.5}
        write_bytes(tmp_path / f"data/report/losses/{arm}.csv", format_losses([row]))
    command, environment = [sys.executable, "-m", "dvc"], make_project_environment(tmp_path)
    for words, names in (
        (["metrics", "show", "--json"], {f"data/report/rates/{arm}.json" for arm in arms}),
        (["plots", "show", "--json"], {f"data/report/losses/{arm}.csv" for arm in arms}),
    ):
        found = json.loads(subprocess.check_output([*command, *words], cwd=tmp_path, env=environment))
        assert set(found["data"] if "plots" in words else found[""]["data"]) == names
    lines = subprocess.check_output([*command, "metrics", "show"], cwd=tmp_path, env=environment, text=True)
    assert all(len(line) <= 80 for line in lines.splitlines())


def test_plots_draw_what_was_measured_and_no_loss_of_0_between(tmp_path: Path) -> None:
    """Losses as a training writes them, of which most steps have no validation, through the real DVC."""
    shutil.copytree(ROOT / ".dvc/plots", tmp_path / ".dvc/plots")
    shutil.copy(ROOT / ".dvc/config", tmp_path / ".dvc/config")
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"plots": plots}))
    table = "data/report/losses/some_arm.csv"
    (tmp_path / table).parent.mkdir(parents=True)
    first = {"step": 0, "learning_rate": None, "train_loss": None, "validation_loss": 0.9}
    later = [{"step": n, "learning_rate": 0.1, "train_loss": 1 / n} for n in range(1, 5)]
    rows = [first, *later, {"step": 5, "learning_rate": 0.1, "train_loss": 0.2, "validation_loss": 0.4}]
    (tmp_path / table).write_bytes(format_losses(rows))
    command = [sys.executable, "-m", "dvc", "plots", "show"]
    environment = make_project_environment(tmp_path)
    shown = subprocess.check_output([*command, "--json"], cwd=tmp_path, env=environment)
    (plot,) = json.loads(shown)["data"][table]
    drawn = plot["content"]["encoding"]["y"]["field"]
    assert plot["content"]["transform"] == [{"filter": f"datum['{drawn}'] !== ''"}]
    values = plot["content"]["data"]["values"]
    for name in ("train_loss", "validation_loss"):
        found = [
            (int(row["step"]), float(row[drawn])) for row in values if row["field"] == name and row[drawn]
        ]
        assert found == [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    subprocess.run(
        [*command, "--out", "page"], cwd=tmp_path, env=environment, check=True, capture_output=True
    )
    page = (tmp_path / "page/index.html").read_text()
    assert '"title": "loss"' in page and "validation_loss" in page
