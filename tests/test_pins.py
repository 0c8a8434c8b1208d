"""Pins whose breach is silent: newer versions import and start, and do not work, or answer otherwise."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from support.places import ROOT

BOUNDS = {
    "prefect": "==3.8.8",
    "fastapi": ">=0.139,<0.151",
    "sqlalchemy": ">=2.0.50,<2.1",
    "dvc": "==3.67.1",
    "mlflow": "==3.17.2",
    "transformers": ">=5.23,<5.24",
}


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return dict(line.lower().split("==") for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("name", BOUNDS)
def test_installed_and_locked_versions_are_within_the_bounds(name: str) -> None:
    allowed = Requirement(f"{name}{BOUNDS[name]}").specifier
    assert Version(version(name)) in allowed
    assert Version(locked()[name]) in allowed


def test_the_lock_holds_exact_versions_and_nothing_of_a_machine() -> None:
    text = (ROOT / "requirements.lock").read_text()
    for line in text.splitlines()[1:]:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line), line
    assert "torch==2.13.0\n" in text


def test_the_bounds_are_those_that_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {requirement.name: requirement for requirement in map(Requirement, project["dependencies"])}
    assert {name: declared[name].specifier for name in BOUNDS} == {
        name: Requirement(f"{name}{bound}").specifier for name, bound in BOUNDS.items()
    }


def test_every_declared_dependency_is_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pins = {re.sub(r"[-_.]+", "-", name): pin for name, pin in locked().items()}
    for requirement in map(Requirement, declared):
        pin = pins[re.sub(r"[-_.]+", "-", requirement.name.lower())]
        assert Version(pin) in requirement.specifier, requirement
