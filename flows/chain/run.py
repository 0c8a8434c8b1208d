"""Run the chain from the command line: ask DVC first, and start the flow only when something changed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows.chain.counted_votes import count_new_votes, count_votes
from flows.chain.dvc_stages import Changes, find_changed_stages
from flows.chain.environment import make_project_environment
from flows.chain.judge_server import has_gpu
from flows.chain.outside_files import watch_generators
from flows.chain.own_meshes import watch_own_meshes
from flows.chain.prefect_server import provide_server
from flows.chain.promotion_step import refresh_champion
from flows.chain.results import HEADINGS, describe_decisions, format_text, format_win_rate, read_win_rates
from flows.chain.runs_page import find_page_of_results
from flows.chain.stopped import describe_failures, locate_page, write_page
from flows.chain.tracking_step import describe_unsent, keep_run, send_kept
from flows.processes.run_lock import recover_dvc_locks, run_lock
from tasks.paths import DECISION
from tasks.tracking.outbox import Outbox
from verdict3d.errors import Verdict3DError
from verdict3d.processes.commands import run_supervised
from verdict3d.project import Workspace
from verdict3d.records.decisions import Decision
from verdict3d.records.record import as_values, read_record
from verdict3d.records.stages import StageEnd, StageEnds
from verdict3d.run_keys import run_key

GIB_PER_STAGE = 8
CORES_PER_STAGE = 4


def _say(line: str) -> None:
    print(line, flush=True)


def run_chain(
    workspace: Workspace,
    jobs: int | None = None,
    stage_timeout_s: float | None = None,
    say: Callable[[str], None] = _say,
    *,
    to_stderr: bool = False,
) -> dict[str, Any]:
    """Bring every stage of ``workspace`` up to date, record the run, and say what happened.

    Args:
        workspace: Where to run.
        jobs: Most stages at a time; None: by cores, memory and GPUs.
        stage_timeout_s: Limit of one stage.
        say: Prints a line for people.
        to_stderr: What the flow prints goes to standard error.

    Returns:
        ``changed``: the stages that were not up to date and why; ``stages``: what became of every stage,
        empty when nothing had changed; ``seconds``.

    Raises:
        Verdict3DError: A stage failed, or another run holds the checkout.
    """
    ends: list[StageEnd] = []
    started = time.monotonic()
    environment = make_project_environment(workspace.project)
    with run_lock(workspace.state / "run.lock", say) as lock:
        changed = look_for_changes(workspace, environment, say)
        if changed:
            say(describe_changes(workspace, changed))
            refresh_champion(workspace, environment, lock, say)
            limits = jobs or choose_jobs(), stage_timeout_s
            ends = _run_flow(workspace, environment, *limits, lock, say, to_stderr)
        else:
            say("nothing changed: every stage is up to date")
            if run_key(workspace.root):
                keep_run(workspace)  # made by hand
    send_kept(workspace.project, environment, say)  # the next run need not wait for this
    say("")
    say(describe_results(workspace, find_page_of_results(workspace)))
    seconds = time.monotonic() - started
    say(f"\n{seconds:.1f} s")
    return {"changed": changed, "stages": [end.model_dump() for end in ends], "seconds": seconds}


def look_for_changes(
    workspace: Workspace, environment: dict[str, str], say: Callable[[str], None]
) -> Changes:
    """Clear up after a killed run, return the stages to run with their reasons; needs the run lock."""
    if recover_dvc_locks(workspace.root):
        say("removed DVC's list of busy paths, left by a killed run")
    watch_own_meshes(workspace)
    watch_generators(workspace)
    count_votes(workspace)
    return find_changed_stages(workspace.root, environment)


def describe_results(workspace: Workspace, page: str | None = None) -> str:
    """Return the last win-rates and decisions of ``workspace``, and where its pages are.

    Args:
        workspace: Whose results.
        page: Address of their run on MLflow's server; None: the command that shows it is named.
    """
    rates = read_win_rates(workspace.root)
    if not rates:
        return f"no results yet; `verdict3d run{workspace.option}` makes them"
    lines = [format_text(HEADINGS, [format_win_rate(rate) for rate in rates])]
    decisions = describe_decisions(workspace.root)
    if decisions:
        why = f"`verdict3d promote --explain{workspace.option}` says why"
        lines.append("\n".join(["", *decisions, why]))
    if workspace.report.is_file():
        lines.append(f"\nreport: {workspace.report}")
    shown = page or f"`verdict3d ui{workspace.option} --last` shows this one in MLflow"
    lines.append(f"run:    {shown}")
    lines += describe_unsent(workspace.project)
    return "\n".join(lines)


def read_results(workspace: Workspace) -> dict[str, Any]:
    """Return the last results of ``workspace`` as JSON values.

    Returns:
        ``preset``; ``win_rates``; ``decision``; ``report``: its page; ``stopped``: the page of a run that
        stopped since; ``new_votes``: answers of people that no run has counted; ``unsent``: how many runs
        wait for MLflow, and why it has refused others, by the folder that keeps each.
    """
    decision, stopped = workspace.root / DECISION, locate_page(workspace)
    outbox = Outbox(workspace.project)
    refused = {str(place): reason.strip() for place, reason in outbox.list_refused().items()}
    return {
        "preset": workspace.preset,
        "win_rates": [asdict(rate) for rate in read_win_rates(workspace.root)],
        "decision": as_values(read_record(decision, Decision)) if decision.is_file() else None,
        "report": str(workspace.report) if workspace.report.is_file() else None,
        "stopped": str(stopped) if stopped.is_file() else None,
        "new_votes": count_new_votes(workspace),
        "unsent": {"waiting": len(outbox.list_waiting()), "refused": refused},
    }


def choose_jobs() -> int:
    """Return how many stages to run side by side: one on a small machine, and one where they share a GPU."""
    if has_gpu():
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return max(1, min(cores // CORES_PER_STAGE, int(memory_gib) // GIB_PER_STAGE))


def describe_changes(workspace: Workspace, changed: Changes) -> str:
    """Return which stages are to run and why: a short line each, or one for all where results are missing."""
    if not changed:
        return "every stage is up to date"
    missing = any("changed outs" in reasons for reasons in changed.values())
    if missing or not (workspace.root / "dvc.lock").is_file():
        return f"{len(changed)} stages to run: {', '.join(changed)}"
    return "\n".join(
        f"{stage}: {'; '.join(_shorten(kind, paths) for kind, paths in reasons.items())}"
        for stage, reasons in changed.items()
    )


def _shorten(kind: str, paths: list[str]) -> str:
    """Return one of DVC's reasons with the first of its paths, and how many there are."""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{kind}: {paths[0]}{more}" if paths else kind


def _run_flow(
    workspace: Workspace,
    environment: dict[str, str],
    jobs: int,
    stage_timeout_s: float | None,
    lock: int,
    say: Callable[[str], None],
    to_stderr: bool,
) -> list[StageEnd]:
    stages_file = locate_stages_file(workspace)
    stages_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "flows.chain.pipeline", str(workspace.project), workspace.preset or ""]
    command += [str(jobs), str(stage_timeout_s or 0), str(lock), str(stages_file)]
    log_file = workspace.state / "logs/prefect-server.log"
    with provide_server(workspace.project, environment, log_file, say) as client:
        ended = run_supervised(
            command,
            cwd=workspace.project,
            environment=environment | client,
            lock_descriptor=lock,
            to_stderr=to_stderr,
        )
    ends = read_record(stages_file, StageEnds).stages if stages_file.exists() else []
    if ends:
        say("")
        say(format_text(("stage", "outcome", "seconds", "peak MiB"), [_format_stage(end) for end in ends]))
    if ended.status != 0:
        failed = [end.stage for end in ends if end.outcome == "failed"]
        where = f" in {', '.join(failed)}" if failed else ""
        logs = workspace.state / "logs" / (workspace.preset or "default")
        words = describe_failures(logs, failed)
        write_page(workspace, f"The run stopped{where}. {words}", say)
        raise Verdict3DError(
            f"the run stopped{where}; what each stage printed is in {logs}. "
            "Finished work is kept: the next run goes on from here." + (f"\n{words}" if words else "")
        )
    locate_page(workspace).unlink(missing_ok=True)
    return ends


def locate_stages_file(workspace: Workspace) -> Path:
    """Return the file that holds what became of every stage in the last run of ``workspace``."""
    return workspace.state / "stages" / f"{workspace.preset or 'default'}.json"


def _format_stage(end: StageEnd) -> tuple[str, str, str, str]:
    seconds = "" if end.seconds is None else f"{end.seconds:.1f}"
    peak = "" if end.max_rss_mib is None else f"{end.max_rss_mib:.0f}"
    return end.stage, end.outcome, seconds, peak
