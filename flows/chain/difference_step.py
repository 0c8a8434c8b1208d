"""A scheduled run compares its results with those of the finished run before it, for MLflow and Prefect."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from flows.chain.finished import find_before, locate_kept
from verdict3d.errors import Verdict3DError
from verdict3d.processes.commands import run_supervised
from verdict3d.project import Workspace
from verdict3d.records.differences import DIFFERENCE, Difference
from verdict3d.records.record import read_record
from verdict3d.run_keys import run_key

FOLDER = "difference"
"""Where the page is among the artifacts of the run in MLflow."""
LIMIT_S = 900.0
COMPARED = (0, 3)
"""Statuses of ``verdict3d diff`` that are no failure."""


def compare_with_before(
    workspace: Workspace, environment: dict[str, str], say: Callable[[str], None]
) -> Difference | None:
    """Write what changed since the finished run before; None where there is none, or it cannot be said.

    Args:
        workspace: Whose results.
        environment: For the process that compares, which loads networks.
        say: Called with each line for people.
    """
    folder = _locate(workspace)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        find_before(workspace)
    except Verdict3DError:
        return None
    preset = ["--preset", workspace.preset] if workspace.preset else []
    ended = run_supervised(
        [sys.executable, "-m", "verdict3d", "diff", "before", ".", "--output", str(folder), *preset],
        cwd=workspace.project,
        environment=environment,
        on_line=lambda line, redraws: None if redraws else say(line),
        timeout_s=LIMIT_S,
    )
    if ended.status not in COMPARED or ended.timed_out:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return read_record(folder / DIFFERENCE, Difference)


def list_difference(workspace: Workspace) -> list[tuple[Path, str]]:
    """Return what MLflow keeps of the last comparison, if it is about the present results."""
    folder = _locate(workspace)
    try:
        compared = read_record(folder / DIFFERENCE, Difference).after.key
    except Verdict3DError:  # there is none, or it is damaged, and the next run makes another
        return []
    if compared != run_key(workspace.root):
        return []
    return [(path, FOLDER) for path in sorted(folder.iterdir())]


def _locate(workspace: Workspace) -> Path:
    return locate_kept(workspace, FOLDER)
