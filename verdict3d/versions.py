"""Which version this package is, installed or not."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

NAME = "verdict3d"
UNKNOWN = "0+unknown"


def find_own_version() -> str:
    """Return the version of this package.

    Where nothing is installed (a checkout on the path of Python, as on a machine without a network), it is
    the one in ``pyproject.toml``; for files alone it is :data:`UNKNOWN`.
    """
    try:
        return version(NAME)
    except PackageNotFoundError:
        return _read_project(Path(__file__).parents[1] / "pyproject.toml")


def find_versions(*packages: str) -> dict[str, str]:
    """Return the versions of those of these packages that are installed, and of this one always."""
    found = {}
    for name in packages:
        try:
            found[name] = find_own_version() if name == NAME else version(name)
        except PackageNotFoundError:
            continue
    return found


def _read_project(path: Path) -> str:
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        return str(project["version"]) if project["name"] == NAME else UNKNOWN
    except (OSError, ValueError, KeyError):
        return UNKNOWN
