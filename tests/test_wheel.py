"""The wheel holds the library alone, with what it needs; `make wheel` uses it in a clean environment."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.places import ROOT

PARTS = ("verdict3d", "setup.py", "pyproject.toml", "README.md", "LICENSE", "params.yaml", "data/checkpoints")
USE = """
import importlib, pkgutil, sys

for name in ("prefect", "dvc", "mlflow", "sqlalchemy", "tasks", "flows"):
    sys.modules[name] = None  # whoever imports it, or asks whether it is there, is told that it is missing
sys.path.insert(0, sys.argv[1])
import verdict3d
assert verdict3d.__file__.startswith(sys.argv[1]), verdict3d.__file__
for module in pkgutil.walk_packages(verdict3d.__path__, "verdict3d."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from verdict3d.project import find_checkout, find_project
assert find_checkout() is None
print(verdict3d.Judge.load().digest)
verdict3d.load_pipeline()
print(find_project())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy: setuptools leaves folders beside what it builds."""
    source = tmp_path_factory.mktemp("source")
    for name in PARTS:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        "dist",
        ".",
    ]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    return next((source / "dist").iterdir())


@pytest.mark.slow
def test_the_wheel_holds_the_library_with_parameters_and_checkpoints(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"verdict3d"}
    shipped = {name.removeprefix("verdict3d/shipped/") for name in names if "/shipped/" in name}
    there = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "data/checkpoints").rglob("*") if path.is_file()
    }
    assert shipped == {"params.yaml", *there}
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "verdict3d").rglob("*.py")}
    assert sources <= set(names) and "verdict3d/py.typed" in names
    assert any(name.endswith("model-viewer-umd.min.js") for name in names)
    told = zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("METADATA"))).decode()
    plain = [
        line for line in re.findall(r"^Requires-Dist: (.*)$", told, re.MULTILINE) if "extra ==" not in line
    ]
    assert not [line for line in plain if re.match(r"(prefect|dvc|mlflow|sqlalchemy)\b", line)]


@pytest.mark.slow
def test_every_module_of_the_wheel_works_without_the_pipeline(wheel: Path, tmp_path: Path) -> None:
    """The judge is the checkout's; what is kept goes to the user's cache."""
    import verdict3d

    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    command = [sys.executable, "-I", "-W", "ignore", "-c", USE, str(tmp_path / "site")]
    environment = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    digest, project = done.stdout.split()
    assert digest == verdict3d.Judge.load(panel="three_images").digest
    assert project == str(tmp_path / "cache/verdict3d" / verdict3d.__version__)
    assert (Path(project) / "data/checkpoints/judge-eval/model.safetensors").is_file()
