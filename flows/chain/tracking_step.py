"""Starts ``tasks.tracking.mlflow_runs`` as a process: MLflow is loaded only when there is a run to record."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from flows.chain.workspace import Workspace
from flows.processes.commands import run_supervised
from tasks.tracking.outbox import Outbox
from verdict3d.errors import Verdict3DError


def record_run(
    workspace: Workspace,
    environment: dict[str, str],
    say: Callable[[str], None],
    *,
    stages_file: Path | None,
    lock_descriptor: int | None,
) -> bool:
    """Record the results of ``workspace`` in MLflow and send what waits from earlier; tell whether it worked.

    A store that does not answer counts as worked: the run waits for the next time, and ``say`` heard so.

    Args:
        workspace: Whose results.
        environment: For the process.
        say: Called with each line it prints.
        stages_file: What became of every stage in this run; None for results made elsewhere.
        lock_descriptor: Descriptor of the run lock.
    """
    outbox = Outbox(workspace.project)
    if outbox.run_id(workspace.root) is not None and not outbox.waiting():
        return True  # MLflow, which takes seconds to load, has these results already
    root = os.path.relpath(workspace.root, workspace.project)
    command = [sys.executable, "-m", "tasks.tracking.mlflow_runs", root, workspace.preset or ""]
    ended = run_supervised(
        [*command, str(stages_file)] if stages_file else command,
        cwd=workspace.project,
        environment=environment,
        on_line=lambda line, redraws: say(line),
        lock_descriptor=lock_descriptor,
    )
    return ended.status == 0


def send_unsent(project: Path, environment: dict[str, str], say: Callable[[str], None]) -> int:
    """Send the runs of ``project`` that wait for MLflow; return how many there were.

    Raises:
        Verdict3DError: The store cannot be used; they go on waiting.
    """
    waiting = len(Outbox(project).waiting())
    if waiting:
        ended = run_supervised(
            [sys.executable, "-m", "tasks.tracking.mlflow_runs"],
            cwd=project,
            environment=environment,
            on_line=lambda line, redraws: say(line),
        )
        if ended.status != 0:
            raise Verdict3DError("nothing is lost: what could not be sent goes on waiting")
    return waiting
