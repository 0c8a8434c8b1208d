"""The command line, called in this process: one of its own takes a second to start."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Called:
    """How a call ended: exit status, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def call_command_line(*arguments: str | Path, cwd: Path | None = None) -> Called:
    """Call ``verdict3d`` as its console script does, standing in ``cwd``; the environment stays as it was."""
    from verdict3d.cli.main import main

    environment, out, err = dict(os.environ), io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr("sys.argv", ["verdict3d", *map(str, arguments)])
        patch.chdir(cwd or Path.cwd())
        try:
            main()
        except SystemExit as ended:
            status = ended.code
        else:
            status = 0
        finally:
            os.environ.clear()
            os.environ.update(environment)
    assert status is None or isinstance(status, int), status
    return Called(status or 0, out.getvalue(), err.getvalue())
