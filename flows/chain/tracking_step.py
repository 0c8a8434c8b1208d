"""Keeps finished runs, under the run lock, and sends them to MLflow, without it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from flows.chain.difference_step import list_difference
from flows.chain.finished import keep_finished
from tasks.tracking.outbox import Outbox
from tasks.tracking.run_record import collect_run
from tasks.tracking.store import hide_secrets, mask_uri
from verdict3d.errors import Verdict3DError
from verdict3d.processes.commands import run_supervised
from verdict3d.project import Workspace
from verdict3d.records.record import read_record
from verdict3d.records.stages import StageEnds

Say = Callable[[str], None]
LIMIT_S = 120.0
"""What a run gives MLflow to take records; a slow one is left to ``verdict3d sync``, which has no limit."""


def keep_run(workspace: Workspace, stages_file: Path | None = None) -> None:
    """Put the results of ``workspace`` into the outbox, unless MLflow has them; needs the run lock.

    The next run can be compared with them from then on (:mod:`flows.chain.finished`).

    Args:
        workspace: Whose results.
        stages_file: What became of every stage in this run; None for results made elsewhere.

    Raises:
        Verdict3DError: What the stages wrote cannot be read.
    """
    keep_finished(workspace)
    outbox = Outbox(workspace.project)
    if outbox.run_id(workspace.root) is None:
        ends = read_record(stages_file, StageEnds) if stages_file else None
        outbox.put(collect_run(workspace.root, workspace.preset or "", ends, list_difference(workspace)))


def find_recorded(workspace: Workspace) -> str:
    """Return the id of the MLflow run that holds the results of ``workspace``.

    Raises:
        Verdict3DError: They are not recorded.
    """
    run = Outbox(workspace.project).run_id(workspace.root)
    if run is None:
        raise Verdict3DError(
            "the results here are not recorded in MLflow; "
            f"`verdict3d run{workspace.option}` or `verdict3d sync` records them"
        )
    return run


def attach_to_run(
    workspace: Workspace, environment: dict[str, str], folder: Path, name: str, say: Say
) -> None:
    """Copy a folder to the artifacts of the run that holds the results of ``workspace``.

    Args:
        workspace: Whose results.
        environment: For the process that sends.
        folder: What is copied.
        name: Where it goes among the artifacts.
        say: Called with each line for people.

    Raises:
        Verdict3DError: The results are not recorded, or the store cannot be used.
    """
    find_recorded(workspace)
    ended = run_supervised(
        [
            sys.executable,
            "-m",
            "tasks.tracking.attachment",
            str(workspace.project),
            str(workspace.root),
            str(folder.resolve()),
            name,
        ],
        cwd=workspace.project,
        environment=environment,
        on_line=lambda line, redraws: say(hide_secrets(line)),
    )
    if ended.status != 0:
        raise Verdict3DError("the folder is written, but not among the artifacts of the run")


def send_kept(
    project: Path, environment: dict[str, str], say: Say, *, limit_s: float | None = LIMIT_S
) -> bool:
    """Send the runs of ``project`` that wait for MLflow; tell whether all have arrived.

    What cannot be sent goes on waiting, and ``say`` hears why.

    Args:
        project: Whose runs.
        environment: For the process that sends; MLflow, which takes seconds to load, is loaded only there.
        say: Called with each line for people.
        limit_s: Seconds after which it is stopped; None: never.
    """
    outbox = Outbox(project)
    if not outbox.list_waiting():
        return True
    ended = run_supervised(
        [sys.executable, "-m", "tasks.tracking.mlflow_runs", str(project)],
        cwd=project,
        environment=environment,
        on_line=lambda line, redraws: say(hide_secrets(line)),
        timeout_s=limit_s,
    )
    if ended.timed_out:
        say(
            f"not recorded yet: MLflow at {mask_uri()} took more than {limit_s:.0f} s\n"
            f"{len(outbox.list_waiting())} run(s) wait in {outbox.folder}; `verdict3d sync` takes its time."
        )
    return ended.status == 0


def send_everything(project: Path, environment: dict[str, str], say: Say) -> int:
    """Send what waits and what was refused before; return how many runs there were.

    Raises:
        Verdict3DError: Some could not be sent, or were refused once more.
    """
    outbox = Outbox(project)
    outbox.try_refused_again()
    waiting = len(outbox.list_waiting())
    if not send_kept(project, environment, say, limit_s=None):
        raise Verdict3DError("nothing is lost: what could not be sent is kept")
    return waiting


def describe_unsent(project: Path) -> list[str]:
    """Return what waits for MLflow and what it has refused, a line each."""
    outbox = Outbox(project)
    waiting = len(outbox.list_waiting())
    lines = [f"{waiting} run(s) wait for MLflow; `verdict3d sync` sends them"] if waiting else []
    for place, reason in outbox.list_refused().items():
        first = reason.partition("\n")[0] or "the reason is lost"
        lines.append(
            f"run {place.name[:8]} is not recorded: {first}; it is kept in {place}, and "
            "`verdict3d sync` tries it again"
        )
    return lines
