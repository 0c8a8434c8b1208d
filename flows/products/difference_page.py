"""Writes what changed between two runs: a page, and the same as JSON."""

from __future__ import annotations

from pathlib import Path

from flows.products.difference import compare_runs
from flows.products.run_files import open_runs
from verdict3d.project import Workspace
from verdict3d.records.differences import DIFFERENCE, Difference
from verdict3d.records.files import write_bytes
from verdict3d.records.record import write_record
from verdict3d.view.difference import render_difference

PAGE = "index.html"


def write_difference(
    workspace: Workspace, before: str, after: str, output: Path | None, pairs_page: str | None
) -> tuple[Difference, Path]:
    """Compare two runs and write the page.

    Args:
        workspace: Whose results ``.`` are, and whose registry and cache.
        before: Name of the earlier run (:func:`flows.products.run_files.open_runs`).
        after: Name of the later one.
        output: Folder; None: below the state folder.
        pairs_page: Address of the later run's page of pairs; None: pairs lead nowhere.

    Returns:
        What changed, and where the page is.

    Raises:
        Verdict3DError: A name means no run, or a run cannot be read.
    """
    with open_runs(workspace, [before, after]) as (runs, history):
        difference = compare_runs(runs[0], runs[1], history, workspace.root)
    folder = output or workspace.difference
    write_record(folder / DIFFERENCE, difference)
    write_bytes(folder / PAGE, render_difference(difference, pairs_page).encode())
    return difference, (folder / PAGE).resolve()
