"""A folder among the artifacts of a run: ``python -m tasks.tracking.attachment PROJECT ROOT FOLDER NAME``.

PROJECT is the checkout, ROOT has the results of the run, NAME is where the folder goes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tasks.tracking.outbox import Outbox
from tasks.tracking.store import open_store, saying_failures
from verdict3d.errors import Verdict3DError, one_message


def attach_folder(project: Path, root: Path, folder: Path, name: str) -> str:
    """Copy a folder to the artifacts of the run of the results below ``root``; return the run's id.

    Raises:
        Verdict3DError: These results are not recorded, or the store cannot be used.
    """
    run = Outbox(project).run_id(root)
    if run is None:
        raise Verdict3DError("these results are not recorded in MLflow yet; `verdict3d run` records them")
    with saying_failures():
        open_store().log_artifacts(run, str(folder), name)
    return run


def main(project: str, root: str, folder: str, name: str) -> None:
    """Copy and say where to."""
    with one_message():
        run = attach_folder(Path(project), Path(root), Path(folder), name)
        print(f"among the artifacts of run {run}: {name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
