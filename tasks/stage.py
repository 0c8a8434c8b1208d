"""How a stage starts from the command line: parameters from the current folder, problems as one message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from verdict3d.config import Params, load_params
from verdict3d.errors import one_message


def run_stage(run: Callable[[Params, Path], None]) -> None:
    """Run a stage on ``params.yaml`` of the current folder, which is the project's top folder.

    A problem that the user can solve is one message (:func:`verdict3d.errors.one_message`).
    """
    root = Path.cwd()
    with one_message():
        run(load_params(root / "params.yaml"), root)
