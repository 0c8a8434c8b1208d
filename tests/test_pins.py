"""Pins whose breach is silent: Prefect imports and starts with newer versions of these, and does not work."""

from __future__ import annotations

import re
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


def test_every_declared_dependency_is_in_the_lock() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pins = {re.sub(r"[-_.]+", "-", name): pin for name, pin in locked().items()}
    for requirement in map(Requirement, declared):
        pin = pins[re.sub(r"[-_.]+", "-", requirement.name.lower())]
        assert Version(pin) in requirement.specifier, requirement
