"""DVC as seen by a run: what changed, in which order stages go, and one stage at a time as a subprocess.

Stages run through DVC's command line, in processes of their own: two threads of one process look like the
same holder to DVC's locks, and a consumer then reads what its producer is still writing. ``dvc_words.py``
reads what DVC did, and ``restore.py`` replaces a function inside DVC; both hold for the pinned DVC only.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.chain.dvc_digests import find_damaged_outputs, forget_damaged, read_lock_bytes
from flows.chain.dvc_words import BUSY, OUTCOMES, Listener, StageOutcome
from tasks.dvc_lock import read_lock
from tasks.paths import EVALUATE
from verdict3d.errors import Verdict3DError, storage_problem
from verdict3d.processes.commands import run_supervised
from verdict3d.project import TRAIN

Changes = dict[str, dict[str, list[str]]]
"""Stages that would run, with their reasons in DVC's words and the paths each reason names."""

IDENTITY = "identity"
"""The stage that tells DVC what the others depend on."""
_DVC = [sys.executable, "-m", "dvc"]
_REFUSED = re.compile(r"\[Errno (\d+)\] (.*?): '(.*?)'")
_EDGE = re.compile(r'^"([^"]+)"(?: -> "([^"]+)")?;?$')


class StageBusyError(Verdict3DError):
    """DVC found the stage's paths in use; the same command may work in a moment."""


class StageFailedError(Verdict3DError):
    """The stage ended with an error or ran past its time limit."""


@dataclass(frozen=True)
class StageRun:
    """What DVC did for one stage.

    Attributes:
        stage: Name as in ``dvc.yaml``, with the arm: ``train@conditioner_repair``.
        outcome: ``ran``, ``restored`` (from DVC's cache, without running) or ``up to date``.
        seconds: Wall time, DVC included.
        max_rss_mib: Memory of the largest process.
    """

    stage: str
    outcome: StageOutcome
    seconds: float
    max_rss_mib: float


def find_changed_stages(root: Path, environment: dict[str, str]) -> Changes:
    """Return the stages that DVC would not skip; empty when nothing changed.

    DVC sees code and parameters of a stage in what ``identity`` wrote. Where that is due, what it would write
    is compared here, and nothing is written; alone it is no reason to run.

    Raises:
        StageBusyError: A stage runs.
        Verdict3DError: ``dvc.lock`` is damaged, or DVC refuses the project; its own words are in the message.
    """
    read_lock(root)
    text = _ask(["status", "--json"], root, environment)
    changed: Changes = {}
    for stage, entries in json.loads(text or "{}").items():
        reasons = changed.setdefault(stage, {})
        for entry in entries:
            for kind, paths in entry.items() if isinstance(entry, dict) else [(entry, {})]:
                reasons[str(kind)] = sorted(paths) if isinstance(paths, dict) else [str(paths)]
    if IDENTITY not in changed:
        return changed
    from tasks.identity import find_changed_identities
    from verdict3d.config import load_params

    for stage, differing in find_changed_identities(load_params(root / "params.yaml"), root).items():
        changed.setdefault(stage, {}).update(differing)
    return {} if changed.keys() == {IDENTITY} else changed


def read_stage_graph(root: Path, environment: dict[str, str]) -> dict[str, set[str]]:
    """Return all stages in an order in which they can run, each with those it waits for.

    DVC refuses cycles.
    """
    needs: dict[str, set[str]] = {}
    for line in _ask(["dag", "--dot"], root, environment).splitlines():
        match = _EDGE.match(line.strip())
        if match:
            first, second = match.groups()
            needs.setdefault(first, set())
            if second:
                needs.setdefault(second, set()).add(first)
    ordered: dict[str, set[str]] = {}
    while len(ordered) < len(needs):
        ready = next(
            stage for stage, first in needs.items() if stage not in ordered and first <= set(ordered)
        )
        ordered[ready] = needs[ready]
    return leave_nearest(ordered)


def leave_nearest(needs: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return what each stage needs without what others of these need anyway: fewer arrows say the same.

    Args:
        needs: Stages in an order in which they can run.
    """
    before: dict[str, set[str]] = {}
    for stage, first in needs.items():
        before[stage] = first.union(*(before[name] for name in first))
    return {stage: first.difference(*(before[name] for name in first)) for stage, first in needs.items()}


def remove_left_over(root: Path, stages: Collection[str]) -> None:
    """Remove the outputs of arms that are in no stage any more; DVC's cache keeps them.

    Later stages depend on the folders of all arms: with left-over ones in them, nobody who has only the
    parameters gets the same inputs.
    """
    for stage in (TRAIN, EVALUATE):
        for folder in (root / stage).glob("*/"):
            if f"{stage.name}@{folder.name}" not in stages:
                shutil.rmtree(folder)


def restore_through_dvc(
    *, root: Path, environment: dict[str, str], log_file: Path, lock_descriptor: int | None = None
) -> dict[str, StageRun]:
    """Check out whatever needs no running, in one process of DVC (``flows/chain/restore.py``).

    Args:
        root: Folder of ``dvc.yaml``.
        environment: From :func:`flows.chain.environment.make_project_environment`.
        log_file: Gets every line.
        lock_descriptor: Descriptor of the run lock.

    Returns:
        The stages that are up to date now; of a process that ended early, those it had come to. None of them
        where something restored was damaged: it is removed, and every stage has to be looked at.
    """
    found: dict[str, tuple[StageOutcome, float]] = {}
    last, lock = time.monotonic(), read_lock_bytes(root)

    def hear(line: str, redraws: bool) -> None:
        nonlocal last
        listener.hear(line, redraws)
        for pattern, outcome in OUTCOMES:
            if outcome != "ran" and pattern.match(line):
                now = time.monotonic()
                found[line.split("'")[1]] = outcome, now - last
                last = now

    with Listener(lambda line: None, log_file) as listener:
        ended = run_supervised(
            [sys.executable, "-P", str(Path(__file__).with_name("restore.py"))],
            cwd=root,
            environment=environment,
            on_line=hear,
            lock_descriptor=lock_descriptor,
        )
    restored = [stage for stage, (outcome, _) in found.items() if outcome == "restored"]
    if damaged := find_damaged_outputs(root, restored):
        forget_damaged(root, environment, damaged, lock)
        return {}
    return {
        stage: StageRun(stage, outcome, seconds, ended.max_rss_mib)
        for stage, (outcome, seconds) in found.items()
    }


def run_stage_through_dvc(
    stage: str,
    *,
    root: Path,
    environment: dict[str, str],
    say: Callable[[str], None],
    log_file: Path,
    timeout_s: float | None = None,
    lock_descriptor: int | None = None,
    force: bool = False,
) -> StageRun:
    """Run one stage with ``dvc repro --single-item``; its needs must be up to date.

    What DVC's cache gave is read once more: what is damaged is removed from it, and the stage runs.

    Args:
        stage: Name as in ``dvc.yaml``.
        root: Folder of ``dvc.yaml``.
        environment: From :func:`flows.chain.environment.make_project_environment`.
        say: Called with each line for people; DVC's own chatter is left out, progress bars are thinned.
        log_file: Gets every line.
        timeout_s: The stage is killed after this time.
        lock_descriptor: Descriptor of the run lock.
        force: Run it whatever DVC's cache holds.

    Raises:
        StageBusyError: DVC found its paths in use.
        StageFailedError: The stage failed; the message ends with its last lines.
    """

    def reproduce() -> StageRun:
        command = [*_DVC, "repro", "--single-item", *(["--force"] if force else []), stage]
        listener = Listener(say, log_file)
        with listener:
            ended = run_supervised(
                command,
                cwd=root,
                environment=environment,
                on_line=listener.hear,
                timeout_s=timeout_s,
                lock_descriptor=lock_descriptor,
            )
        if ended.status != 0:
            raise _explain_failure(stage, listener, log_file, timeout_s if ended.timed_out else None)
        if listener.outcome is None:
            raise StageFailedError(f"{stage}: DVC did not say what it did; its output is in {log_file}")
        if listener.lost:
            raise StageFailedError(
                f"{stage}: DVC's cache takes no results; make room for it\n{listener.lost}"
            )
        return StageRun(stage, listener.outcome, time.monotonic() - started, ended.max_rss_mib)

    started, lock = time.monotonic(), read_lock_bytes(root)
    done = reproduce()
    if done.outcome == "restored" and (damaged := find_damaged_outputs(root, [stage])):
        forget_damaged(root, environment, damaged, lock)
        say(f"DVC's cache held damaged files of {', '.join(damaged)}: removed, and made again")
        done = reproduce()
        if done.outcome == "restored" and find_damaged_outputs(root, [stage]):
            raise StageFailedError(f"{stage}: what DVC restores is damaged each time; look at this disk")
    return done


def _explain_failure(stage: str, listener: Listener, log_file: Path, limit_s: float | None) -> Verdict3DError:
    """Return why a stage failed; ``limit_s``: it ran past this limit."""
    tail = "\n".join(listener.tail)
    if any(message in tail for message in BUSY):
        return StageBusyError(f"{stage}: its files are in use by another DVC command\n{tail}")
    if limit_s is not None:
        return StageFailedError(f"{stage} ran past its limit of {limit_s:.0f} s and was stopped\n{tail}")
    return StageFailedError(f"{stage} failed; all of its output is in {log_file}\n{tail}")


def _ask(arguments: list[str], root: Path, environment: dict[str, str]) -> str:
    """Return what a DVC command that changes nothing prints."""
    answer = subprocess.run(
        [*_DVC, *arguments],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode == 0:
        return answer.stdout
    message = answer.stderr.strip() or answer.stdout.strip()
    if any(busy in message for busy in BUSY):
        raise StageBusyError(f"a DVC command runs in {root}; try again when it has ended\n{message}")
    refused = _REFUSED.search(message)
    error = OSError(int(refused[1]), refused[2], refused[3]) if refused else OSError(message)
    problem = storage_problem(error) or message
    raise Verdict3DError(f"dvc {' '.join(arguments)} failed in {root}:\n{problem}")
