"""The version, also where nothing was installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from support.places import ROOT
from verdict3d import versions
from verdict3d.versions import UNKNOWN, find_own_version, find_versions

STATED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the checkout is only on the path of Python."""

    def find(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(versions, "version", find)


def test_an_installed_package_says_its_version() -> None:
    assert find_own_version() == metadata.version("verdict3d") == STATED


def test_a_checkout_says_that_of_its_project(nothing_installed: None) -> None:
    assert find_own_version() == STATED
    assert find_versions("torch", "verdict3d") == {"verdict3d": STATED}


def test_files_alone_have_a_version_too(tmp_path: Path) -> None:
    for name in ("__init__.py", "versions.py"):
        (tmp_path / "verdict3d").mkdir(exist_ok=True)
        shutil.copy(ROOT / "verdict3d" / name, tmp_path / "verdict3d" / name)
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); " + SAY]
    assert subprocess.check_output(command, text=True).strip() == UNKNOWN
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\nversion = "9"\n')
    assert subprocess.check_output(command, text=True).strip() == UNKNOWN


SAY = "import verdict3d; print(verdict3d.__version__)"
