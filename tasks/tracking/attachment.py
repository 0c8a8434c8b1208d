"""A folder among the artifacts of a recorded run: ``python -m tasks.tracking.attachment ROOT FOLDER NAME``.

ROOT has the results of the run, NAME is where the folder goes. Started in the project's folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tasks.tracking.outbox import Outbox
from tasks.tracking.store import open_store, saying_failures
from verdict3d.errors import Verdict3DError


def attach_folder(root: Path, folder: Path, name: str) -> str:
    """Copy a folder to the artifacts of the run of the results below ``root``; return the run's id.

    Raises:
        Verdict3DError: These results are not recorded, or the store cannot be used.
    """
    run = Outbox(Path.cwd()).run_id(root)
    if run is None:
        raise Verdict3DError("these results are not recorded in MLflow yet; `verdict3d run` records them")
    with saying_failures():
        open_store().log_artifacts(run, str(folder), name)
    return run


def main(root: str, folder: str, name: str) -> int:
    """Copy and say where to; return the exit status."""
    try:
        print(f"among the artifacts of run {attach_folder(Path(root), Path(folder), name)}: {name}")
    except Verdict3DError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
