"""What names the results of the last two finished runs: ``params.yaml`` and ``dvc.lock`` of each preset."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from verdict3d.errors import Verdict3DError
from verdict3d.project import Workspace
from verdict3d.run_keys import run_key

KEPT = Path("finished")
"""Below the state folder."""
INPUTS = ("params.yaml", "dvc.lock")
NOW, BEFORE = "now", "before"


def keep_finished(workspace: Workspace) -> None:
    """Keep what names the results of a finished run, and of the one before with other results."""
    now, before = (locate_kept(workspace, name) for name in (NOW, BEFORE))
    if _read_key(now) == run_key(workspace.root):
        return
    if now.is_dir():
        shutil.rmtree(before, ignore_errors=True)
        now.replace(before)
    unfinished = locate_kept(workspace, "unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name in INPUTS:
        shutil.copyfile(workspace.root / name, unfinished / name)
    unfinished.replace(now)


def find_before(workspace: Workspace) -> Path:
    """Return the folder with ``params.yaml`` and ``dvc.lock`` of the last finished run with other results.

    Raises:
        Verdict3DError: There is none yet.
    """
    key = run_key(workspace.root)
    for name in (NOW, BEFORE):
        place = locate_kept(workspace, name)
        if _read_key(place) not in (None, key):
            return place
    raise Verdict3DError(
        f"no finished run came before these results; `verdict3d run{workspace.option}` keeps what it finds"
    )


def find_params(workspace: Workspace) -> Path:
    """Return the ``params.yaml`` that the results here were made with: it may have been edited since."""
    place = locate_kept(workspace, NOW)
    same = _read_key(place) == run_key(workspace.root)
    return (place if same else workspace.root) / INPUTS[0]


def _read_key(folder: Path) -> str | None:
    """Return what identifies results; None where they are not kept, or not whole any more."""
    with suppress(Verdict3DError):
        return run_key(folder)
    return None


def locate_kept(workspace: Workspace, name: str) -> Path:
    """Return where something is kept beside what names finished runs."""
    return workspace.state / KEPT / (workspace.preset or "default") / name
