"""What surrounds the code calls what it says: the hosted workflow, the hook, the make targets they name."""

from __future__ import annotations

import os
import re
import tomllib

import yaml
from packaging.specifiers import SpecifierSet

from support.places import ROOT


def make_targets() -> set[str]:
    return set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))


def test_the_workflow_runs_what_every_machine_runs() -> None:
    (job,) = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text())["jobs"].values()
    *used, last = job["steps"]
    assert last == {"run": ".ci/run"} and os.access(ROOT / ".ci/run", os.X_OK)
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+\.\d+\.\d+", step["uses"]) for step in used)
    (python,) = (step["with"]["python-version"] for step in used if "setup-python" in step["uses"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert python in SpecifierSet(project["requires-python"])


def test_ci_and_the_hook_call_targets_that_exist() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    called = [line.removeprefix("make ") for line in lines if line.startswith("make ")]
    assert called == ["check", "test"]
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook["entry"].removeprefix("make ") for hook in repository["hooks"]]
    assert repository["repo"] == "local" and {*called, *hooks, "test-fast"} <= make_targets()
