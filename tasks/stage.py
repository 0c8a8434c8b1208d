"""How a stage starts from the command line: parameters from the current folder, problems as one message."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from verdict3d.config import Params, load_params
from verdict3d.errors import Verdict3DError, storage_problem


def run_stage(run: Callable[[Params, Path], None]) -> None:
    """Run a stage on ``params.yaml`` of the current folder, which is the project's top folder.

    A :class:`~verdict3d.errors.Verdict3DError`, a full disk and a folder that may not be written are one
    message on standard error and status 1; anything else is a bug and keeps its traceback.
    """
    root = Path.cwd()
    try:
        run(load_params(root / "params.yaml"), root)
    except Exception as error:
        message = str(error) if isinstance(error, Verdict3DError) else storage_problem(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(1)
