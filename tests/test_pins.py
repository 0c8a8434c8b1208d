"""What is installed: bounds whose breach is silent, a lock with hashes, and nothing that nothing imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions, version
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
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
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-cuda.lock")
RUN_ONLY = {"psycopg2-binary": "SQLAlchemy loads it for addresses of PostgreSQL"}
"""Dependencies that no file imports, with who does."""
TOOLS = {
    "ruff",
    "mypy",
    "import-linter",
    "pytest-timeout",
    "pytest-xdist",
    "pytest-randomly",
    "uv",
    "dvc-s3",
    "moto",
}
"""Development dependencies that are started, or loaded by what is started."""
COMES_WITH = {
    "pydantic-core": "pydantic",
    "starlette": "fastapi",
    "tokenizers": "transformers",
    "alembic": "mlflow",
    "markupsafe": "jinja2",
    "mlflow-skinny": "mlflow",
    "mlflow-tracing": "mlflow",
    "ruamel-yaml-clib": "ruamel.yaml",
}
"""What is imported although only a dependency asks for it."""


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def declared(*extras: str) -> dict[str, Requirement]:
    """Return the dependencies, with those of extras, by canonical name."""
    lines = [*project()["dependencies"]]
    for extra in extras:
        lines += project()["optional-dependencies"][extra]
    found = map(Requirement, lines)
    return {canonicalize_name(one.name): one for one in found if one.name != "verdict3d"}


def locked(*names: str) -> dict[str, str]:
    """Return the versions in these locks, by canonical name; by default in those of the tests."""
    found: dict[str, str] = {}
    for name in names or LOCKS[:2]:
        pins = re.findall(r"^(\S+)==([^\s;]+)", (ROOT / name).read_text(), re.MULTILINE)
        found |= {canonicalize_name(name): pin for name, pin in pins}
    return found


@cache
def imported(*folders: str) -> set[str]:
    """Return the distributions that files below these folders import, by canonical name."""
    owners, names = packages_distributions(), set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.add(node.module.partition(".")[0])
    return {
        canonicalize_name(owner) for name in names - sys.stdlib_module_names for owner in owners.get(name, [])
    }


@pytest.mark.parametrize("name", BOUNDS)
def test_installed_and_locked_versions_are_within_the_bounds(name: str) -> None:
    allowed = Requirement(f"{name}{BOUNDS[name]}").specifier
    assert Version(version(name)) in allowed
    assert Version(locked()[name]) in allowed


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_exact_versions_with_hashes_and_nothing_of_a_machine(name: str) -> None:
    entries = (ROOT / name).read_text().split("\n", 1)[1].removesuffix("\n")
    for entry in re.split(r"\n(?=\S)", entries):
        pin, *hashes = entry.split(" \\\n    ")
        assert re.fullmatch(r"[a-z0-9._-]+==[0-9][A-Za-z0-9.]*( ; .*)?", pin), pin
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes), pin


def test_the_lock_has_torch_for_every_machine() -> None:
    assert (
        locked()["torch"] == "2.13.0"
    )  # without a local suffix, so that CPU and CUDA builds both satisfy it


def test_the_bounds_are_those_that_are_declared() -> None:
    here = declared("pipeline")
    assert {name: here[name].specifier for name in BOUNDS} == {
        name: Requirement(f"{name}{bound}").specifier for name, bound in BOUNDS.items()
    }


def test_every_upper_bound_has_its_reason() -> None:
    reasons = re.findall(r"^\| `([a-z-]+)[=<>]", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    bounded = {
        name
        for name, requirement in declared("pipeline").items()
        if any(one.operator not in (">=", ">") for one in requirement.specifier)
    }
    assert bounded == set(reasons)


def test_every_declared_dependency_is_in_the_lock() -> None:
    for name, requirement in declared("pipeline", "dev").items():
        assert Version(locked()[name]) in requirement.specifier, requirement


def test_what_runs_is_locked_without_what_tests_it() -> None:
    running, development = (set(locked(name)) for name in LOCKS[:2])
    assert not running & development
    assert imported("verdict3d", "tasks", "flows") - {"verdict3d", "ray"} <= running
    tools = {"ruff", "mypy", "import-linter", "pytest", "pytest-xdist", "hypothesis", "moto", "assimp-py"}
    assert tools <= development


def test_nothing_is_installed_that_nothing_imports() -> None:
    library, all_of_it = imported("verdict3d"), imported("verdict3d", "tasks", "flows")
    assert set(declared()) <= library
    assert set(declared("pipeline")) <= all_of_it
    tests = imported("verdict3d", "tasks", "flows", "tests", "benchmarks")
    assert set(declared("pipeline", "dev")) - tests <= TOOLS | set(RUN_ONLY) | {"types-pyyaml", "types-tqdm"}


def test_what_is_imported_is_declared() -> None:
    """Otherwise it goes with whoever brings it now."""
    assert imported("verdict3d") - {"verdict3d"} <= {*declared(), *COMES_WITH}
    assert imported("tasks", "flows") - {"verdict3d"} <= {*declared("pipeline", "ray"), *COMES_WITH}


def test_the_library_needs_no_package_of_the_pipeline() -> None:
    assert not {"prefect", "dvc", "mlflow", "sqlalchemy"} & set(declared())
