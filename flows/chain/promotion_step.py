"""Starts ``tasks.registry.promotion`` as a process, and tells people and the webhook what it did."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows.chain.notify import notify
from tasks.registry.promotion_record import PROGRESS
from tasks.tracking.store import EMBEDDED_STORE, hide_secrets, mask_uri, read_tracking_uri
from verdict3d.config import load_params
from verdict3d.errors import Verdict3DError
from verdict3d.processes.commands import run_supervised
from verdict3d.project import Workspace
from verdict3d.records.promotion import PlacedChampion
from verdict3d.records.record import R, read_record

Say = Callable[[str], None]
ASK_S = 60.0
"""What a run gives MLflow to name the champion, with the run lock held; sending has a limit of its own."""

_PROMOTION = [sys.executable, "-m", "tasks.registry.promotion"]


def call_promotion(
    workspace: Workspace,
    environment: dict[str, str],
    lock: int | None,
    say: Say,
    kind: type[R],
    command: str,
    *arguments: str,
    limit_s: float | None = None,
) -> R:
    """Run one command of :mod:`tasks.registry.promotion`, pass on its progress, return what it did.

    Raises:
        Verdict3DError: It failed, and the message is its own, or it took more than ``limit_s``.
    """
    lines: list[str] = []

    def hear(line: str, redraws: bool) -> None:
        if line.startswith(PROGRESS):
            say(line.removeprefix(PROGRESS))
        else:
            lines.append(hide_secrets(line))

    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        root = os.path.relpath(workspace.root, workspace.project)
        ended = run_supervised(
            [
                *_PROMOTION,
                command,
                str(workspace.project),
                root,
                workspace.preset or "",
                str(result),
                *arguments,
            ],
            cwd=workspace.project,
            environment=environment,
            on_line=hear,
            lock_descriptor=lock,
            timeout_s=limit_s,
        )
        if ended.timed_out:
            raise Verdict3DError(f"MLflow at {mask_uri()} took more than {limit_s:.0f} s")
        if ended.status == 0:
            return read_record(result, kind)
    told = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    said = lines[told[-1] :] if told else lines[-15:]
    raise Verdict3DError("\n".join(said).removeprefix("error: ") or f"promotion: {command} was stopped")


def refresh_champion(
    workspace: Workspace, environment: dict[str, str], lock: int | None, say: Say, *, needed: bool = False
) -> None:
    """Put the registry's champion where the stages find it, so that candidates are compared with it.

    Nothing is started while there is no registry yet. When the registry does not answer, the champion that
    was last known stays, unless it is ``needed``.

    Raises:
        Verdict3DError: The registry does not answer, and it is needed.
    """
    if read_tracking_uri() == EMBEDDED_STORE and not (workspace.project / "mlflow.db").exists():
        return
    try:
        limit_s = None if needed else ASK_S
        found = call_promotion(workspace, environment, lock, say, PlacedChampion, "sync", limit_s=limit_s)
    except Verdict3DError as error:
        if needed:
            raise
        say(f"the champion may have moved since it was last seen: {error}")
        return
    if found.changed:
        say(f"champion: {found.champion.name}")


def tell(workspace: Workspace, text: str, facts: dict[str, Any], say: Say) -> None:
    """Print what was decided and tell the webhook."""
    say(text)
    variable = load_params(workspace.root / "params.yaml").schedule.webhook_env
    notify("decision", text.partition("\n")[0], facts, variable=variable, say=say)
