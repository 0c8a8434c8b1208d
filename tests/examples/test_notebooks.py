"""Every notebook runs from top to bottom, and is kept without outputs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.places import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]


def read_cells(notebook: Path) -> list[dict[str, Any]]:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert content["metadata"]["kernelspec"]["language"] == "python"
    cells: list[dict[str, Any]] = content["cells"]
    return cells


def test_there_are_the_notebooks_that_are_promised() -> None:
    assert NAMES == ["a_foreign_generator", "a_judge_in_ten_minutes", "adapt_and_promote", "an_own_arm"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=NAMES)
def test_a_notebook_is_whole_and_without_outputs(notebook: Path) -> None:
    cells = read_cells(notebook)
    assert len({cell["id"] for cell in cells}) == len(cells)
    for cell in cells:
        code = {"outputs", "execution_count"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"cell_type", "id", "metadata", "source"} | code
        assert not cell.get("outputs") and cell.get("execution_count") is None
    assert cells[0]["cell_type"] == "markdown" and cells[0]["source"][0].startswith("# ")


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=NAMES)
def test_a_notebook_runs(notebook: Path, tmp_path: Path) -> None:
    """Its cells are Python without magic, so they run as one program: no Jupyter is installed for it."""
    cells = [cell for cell in read_cells(notebook) if cell["cell_type"] == "code"]
    (tmp_path / "notebook.py").write_text("\n\n".join("".join(cell["source"]) for cell in cells))
    shutil.copy(ROOT / "examples/two_folders.py", tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-W", "error::DeprecationWarning:verdict3d", "notebook.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip()
