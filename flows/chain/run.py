"""Run the chain from the command line: ask DVC first, and start the flow only when something changed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows.chain.dvc_stages import changed_stages
from flows.chain.environment import project_environment
from flows.chain.own_meshes import watch_own_meshes
from flows.chain.prefect_server import without_silent_server
from flows.chain.promotion_step import refresh_champion
from flows.chain.results import HEADINGS, as_text, decision_lines, read_win_rates, win_rate_cells
from flows.chain.tracking_step import record_run
from flows.chain.workspace import Workspace
from flows.processes.commands import run_supervised
from flows.processes.run_lock import recover_dvc_locks, run_lock
from verdict3d.errors import Verdict3DError
from verdict3d.records.files import read_json

GIB_PER_STAGE = 8
CORES_PER_STAGE = 4


def _say(line: str) -> None:
    print(line, flush=True)


def run_chain(
    workspace: Workspace,
    jobs: int | None = None,
    stage_timeout_s: float | None = None,
    say: Callable[[str], None] = _say,
) -> None:
    """Bring every stage of ``workspace`` up to date, record the run, and say what happened.

    Args:
        workspace: Where to run.
        jobs: Most stages at a time; None: by cores, memory and GPUs.
        stage_timeout_s: Limit of one stage.
        say: Prints a line for people.

    Raises:
        Verdict3DError: A stage failed, or another run holds the checkout.
    """
    started = time.monotonic()
    environment = project_environment(workspace.project)
    with run_lock(workspace.state / "run.lock", say) as lock:
        changed = look_for_changes(workspace, environment, say)
        if changed:
            announce(changed, say)
            refresh_champion(workspace, environment, lock, say)
            _run_flow(workspace, environment, jobs or default_jobs(), stage_timeout_s, lock, say)
        else:
            say("nothing changed: every stage is up to date")
            # made by hand, or the store was down
            record_run(workspace, environment, say, stages_file=None, lock_descriptor=lock)
    say("")
    say(describe_results(workspace))
    say(f"\n{time.monotonic() - started:.1f} s")


def look_for_changes(
    workspace: Workspace, environment: dict[str, str], say: Callable[[str], None]
) -> dict[str, list[str]]:
    """Clear up after a killed run, return the stages to run with their reasons; needs the run lock."""
    if recover_dvc_locks(workspace.root):
        say("removed DVC's list of busy paths, left by a killed run")
    watch_own_meshes(workspace)
    return changed_stages(workspace.root, environment)


def describe_results(workspace: Workspace) -> str:
    """Return the last win-rates of ``workspace`` and where its report is."""
    rates = read_win_rates(workspace.root)
    lines = [as_text(HEADINGS, [win_rate_cells(rate) for rate in rates]) if rates else "no results yet"]
    decisions = decision_lines(workspace.root)
    if decisions:
        lines.append("\n".join(["", *decisions, "`verdict3d promote --explain` says why"]))
    if workspace.report.is_file():
        lines.append(f"\nreport: {workspace.report}")
    return "\n".join(lines)


def default_jobs() -> int:
    """Return how many stages to run side by side: one on a small machine, and one where they share a GPU."""
    if Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists():
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return max(1, min(cores // CORES_PER_STAGE, int(memory_gib) // GIB_PER_STAGE))


def announce(changed: dict[str, list[str]], say: Callable[[str], None]) -> None:
    """Say which stages will run and why, or only which when results are missing, as on the first run."""
    if any("changed outs" in reason for reasons in changed.values() for reason in reasons):
        say(f"{len(changed)} stages to bring up to date: {', '.join(changed)}")
        return
    for stage, reasons in changed.items():
        say(f"{stage}: {'; '.join(reasons)}")


def _run_flow(
    workspace: Workspace,
    environment: dict[str, str],
    jobs: int,
    stage_timeout_s: float | None,
    lock: int,
    say: Callable[[str], None],
) -> None:
    stages_file = stages_file_of(workspace)
    stages_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "flows.chain.pipeline", str(workspace.project), workspace.preset or ""]
    command += [str(jobs), str(stage_timeout_s or 0), str(lock), str(stages_file)]
    environment = without_silent_server(environment, say)
    ended = run_supervised(command, cwd=workspace.project, environment=environment, lock_descriptor=lock)
    rows = read_json(stages_file) if stages_file.exists() else []
    if rows:
        say("")
        say(as_text(("stage", "outcome", "seconds", "peak MiB"), [_stage_cells(row) for row in rows]))
    if ended.status != 0:
        failed = [row["stage"] for row in rows if row["outcome"] == "failed"]
        where = f" in {', '.join(failed)}" if failed else ""
        raise Verdict3DError(
            f"the run stopped{where}; what each stage printed is in {workspace.state / 'logs'}. "
            "Finished work is kept: the next run goes on from here."
        )


def stages_file_of(workspace: Workspace) -> Path:
    """Return the file that holds what became of every stage in the last run of ``workspace``."""
    return workspace.state / "stages" / f"{workspace.preset or 'default'}.json"


def _stage_cells(row: dict[str, Any]) -> tuple[str, str, str, str]:
    seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
    peak = "" if row["max_rss_mib"] is None else f"{row['max_rss_mib']:.0f}"
    return row["stage"], row["outcome"], seconds, peak
