"""What surrounds the code calls what it says: the hosted workflow, the hook, the make targets they name."""

from __future__ import annotations

import os
import re
import tomllib
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from support.places import ROOT


def make_targets() -> set[str]:
    return set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))


WORKFLOWS = {
    path.name: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yaml")
}


def steps_of(workflow: str) -> list[dict[str, Any]]:
    return [step for job in WORKFLOWS[workflow]["jobs"].values() for step in job["steps"]]


def test_the_workflow_runs_what_every_machine_runs() -> None:
    last = WORKFLOWS["ci.yaml"]["jobs"]["check-and-test"]["steps"][-1]
    assert last == {"run": ".ci/run"} and os.access(ROOT / ".ci/run", os.X_OK)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_workflows_use_fixed_actions_pythons_that_are_allowed_and_no_right_but_reading(workflow: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    jobs = WORKFLOWS[workflow]["jobs"].values()
    assert WORKFLOWS[workflow]["permissions"] == {}
    assert [job["permissions"] for job in jobs] == [{"contents": "read"}] * len(jobs)
    for step in steps_of(workflow):
        if used := step.get("uses"):
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", used)
        python = step.get("with", {}).get("python-version", "3.11")
        assert python.startswith("${{ matrix.") or python in SpecifierSet(project["requires-python"])


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_workflows_call_targets_that_exist(workflow: str) -> None:
    called = [step["run"].split() for step in steps_of(workflow) if step.get("run", "").startswith("make ")]
    assert {word for _, *words in called for word in words if "=" not in word} <= make_targets()


def test_updates_are_proposed_only_for_pins_that_need_no_run_of_the_chain() -> None:
    from test_pins import BOUNDS

    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    (packages,) = (update for update in updates if update["package-ecosystem"] == "pip")
    assert {one["dependency-name"] for one in packages["ignore"]} == {*BOUNDS, "torch"}


def test_ci_and_the_hook_call_targets_that_exist() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    called = [line.removeprefix("make ") for line in lines if line.startswith("make ")]
    assert called == ["check", "docs lint-files", "test"]
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook["entry"].removeprefix("make ") for hook in repository["hooks"]]
    assert (
        repository["repo"] == "local" and {*" ".join(called).split(), *hooks, "test-fast"} <= make_targets()
    )
