"""Drill: processes of a run are killed at random moments, whatever their role, and the run is started again.

The chain is three stages of the real batch map. Roles take turns to be killed first. What goes on after a
kill is killed at again, whoever is there, or left alone, by chance. Every completed run is compared, byte by
byte, with what the stages give when nobody disturbs them, and then forgotten: all of it, so that the next
starts from nothing; its outputs alone, where a process that restores them is to be killed; also what MLflow
holds, where a sender is. No process may be left, no file half written, no batch kept that is done with, and
MLflow holds these results once, with nothing unfinished. With ``--folder`` a drill that was stopped goes on
where it was.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from drills.counting import print_counts
from drills.recording import count_kept
from drills.stores import open_folder
from flows.chain.environment import make_project_environment
from support.loopback import processes_of, wait_until
from support.resumable_chain import forget_outputs, forget_results, results, write_resumable_chain
from support.toy_chain import STAGES, run_toy_stage
from tasks.tracking.outbox import EXPERIMENT, Outbox
from verdict3d.records.files import read_json, write_json
from verdict3d.run_keys import run_key

RUN = [sys.executable, "-m", "verdict3d", "run"]
ROLES = {
    "stage": "stage.py",
    "worker of a stage": "multiprocessing.spawn",
    "flow": "-m flows.chain.pipeline",
    "DVC": "-m dvc repro",
    "restore": "flows/chain/restore.py",
    "Prefect's server": "prefect",
    "sender": "-m tasks.tracking.mlflow_runs",
    "supervisor": "supervisor.py",
    "command line": "-m verdict3d run",
}
"""What a run consists of, and by which words of its command each is found; the rest is killed with "all"."""
OUTSIDE = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "VERDICT3D_PROJECT")
"""What the environment of the drill must not hand down."""
ALL = "all at once"
BROKEN = (
    "unequal outputs",
    "half-written files",
    "unfinished work kept",
    "processes left",
    "recorded twice",
    "unfinished runs",
    "lost",
)
RUN_S, GONE_S, POLL_S = 900.0, 120.0, 0.1
LONGEST_PAUSE_S = 1.5
"""Before a kill, from when the process is there."""
LEFT_ALONE = 0.4
"""Share of the kills after which a run that goes on is left alone."""


def main() -> int:
    """Run the drill, print what came of it, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="kills that end the drill")
    parser.add_argument("--minutes", type=float, default=60.0, help="minutes that end it earlier")
    parser.add_argument("--items", type=int, default=12, help="items of each stage")
    parser.add_argument("--pause-s", type=float, default=0.3, help="time that a batch of two items takes")
    parser.add_argument("--seed", type=int, default=0, help="seed of the kills")
    parser.add_argument("--folder", type=Path, help="where it keeps its count, to go on when it was stopped")
    chosen = parser.parse_args()
    os.environ["VERDICT3D_WORKERS"] = "2"
    with contextlib.nullcontext(chosen.folder.resolve()) if chosen.folder else open_folder() as folder:
        found = drill(folder, chosen.kills, chosen.minutes * 60, chosen.items, chosen.pause_s, chosen.seed)
    print_counts(found)
    return 1 if broken(found) else 0


def broken(found: Counter[str]) -> bool:
    """Tell whether a promise was broken."""
    return any(found[what] for what in BROKEN)


def drill(
    folder: Path,
    kills: int,
    seconds: float,
    items: int,
    pause_s: float,
    seed: int,
    roles: Sequence[str] = (*ROLES, ALL),
) -> Counter[str]:
    """Kill until ``kills`` or ``seconds`` are reached; return what happened, by name.

    Args:
        folder: Of the projects and the count; a drill that was stopped here goes on.
        kills: In all.
        seconds: From now on.
        items: Of each stage.
        pause_s: What a batch takes.
        seed: Of the moments.
        roles: Who is killed, in turn.
    """
    count_file, whole, project = folder / "found.json", folder / "whole", folder / "killed"
    if not count_file.exists():
        for place in (whole, project):
            shutil.rmtree(place, ignore_errors=True)
            write_resumable_chain(place, pause_s, items)
    environment = make_project_environment(project)
    environment = {name: text for name, text in environment.items() if name not in OUTSIDE}
    if not count_file.exists():
        for stage in STAGES:
            run_toy_stage(whole, stage)
        write_json(count_file, {})
    expected, found = results(whole), Counter[str](read_json(count_file))
    began, end = time.monotonic(), time.monotonic() + seconds
    while found["kills"] < kills and time.monotonic() < end:
        hit = disturb(project, environment, folder / "run.log", roles, seed, found, kills - found["kills"])
        if finish(project, expected, found):
            forget(project, roles[found["tries"] % len(roles)], found)
        write_json(count_file, found)
        said = f"{found['kills']} of {kills} kills, last {', '.join(hit) or 'none'}"
        print(f"{said}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    complete(project, environment, folder / "run.log")
    finish(project, expected, found)
    forget(project, "sender", found)  # so that a drill that goes on starts a run
    write_json(count_file, found)
    return found


def complete(project: Path, environment: dict[str, str], log_file: Path) -> None:
    """Run ``project`` to its end.

    Raises:
        RuntimeError: It ended with an error; the text is its log.
    """
    if start(project, environment, log_file).wait(RUN_S) != 0:
        raise RuntimeError(log_file.read_text(encoding="utf-8"))


def start(project: Path, environment: dict[str, str], log_file: Path) -> subprocess.Popen[bytes]:
    """Start a run of ``project``."""
    with log_file.open("wb") as log:
        return subprocess.Popen(RUN, cwd=project, env=environment, stdout=log, stderr=log)


def disturb(
    project: Path,
    environment: dict[str, str],
    log_file: Path,
    roles: Sequence[str],
    seed: int,
    found: Counter[str],
    most: int,
) -> list[str]:
    """Start a run, kill at most so many processes of it, until it ends or is left alone; return whose."""
    run = start(project, environment, log_file)
    role, choice = roles[found["tries"] % len(roles)], random.Random(f"{seed} {found['tries']}")
    found["tries"] += 1
    hit: list[str] = []
    try:
        while run.poll() is None and len(hit) < most:
            if kill_one(project, run, choice, role):
                hit.append(role)
                found[f"killed: {role}"] += 1
                found["kills"] += 1
                if choice.random() < LEFT_ALONE:
                    break
            there = [one for one in roles if running(project, one)]
            role = choice.choice(there or [role])
        run.wait(RUN_S)
    finally:
        run.kill()
        run.wait()
    return hit


def kill_one(project: Path, run: subprocess.Popen[bytes], choice: random.Random, role: str) -> bool:
    """Kill a process of this role at a random moment of a run; tell whether one was hit before it ended."""
    what = f"a {role} to run"
    wait_until(lambda: run.poll() is not None or running(project, role), what, RUN_S, POLL_S)
    time.sleep(choice.random() * choice.uniform(0.0, LONGEST_PAUSE_S))  # seldom long: some are soon done
    victims, hit = running(project, role), False
    for pid in victims if role == ALL else choice.sample(victims, min(1, len(victims))):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            hit = True
    return hit


def running(project: Path, role: str) -> list[int]:
    """Return the processes of one role; a supervisor names what it watches, which is not meant with it."""
    found = processes_of(project)
    if role == ALL:
        return list(found)
    return [
        pid
        for pid, command in found.items()
        if ROLES[role] in command and (role == "supervisor" or "supervisor.py" not in command)
    ]


def finish(project: Path, expected: dict[str, bytes], found: Counter[str]) -> bool:
    """Look at what a run that was killed or not has left; tell whether it is complete."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: processes_of(project) == {}, "all to end", GONE_S)
    found["processes left"] += len(processes_of(project))
    now = results(project)
    if set(now) != set(expected):
        return False
    found["completions compared"] += 1
    found["unequal outputs"] += now != expected
    found["half-written files"] += sum(path.name.startswith(".") for path in (project / "data").rglob("*"))
    found["unfinished work kept"] += len(list((project / ".verdict3d/resume").glob("*/*")))
    return True


def forget(project: Path, role: str, found: Counter[str]) -> None:
    """Forget a complete run, so that the next has work for a process of this role."""
    arrived = project / ".verdict3d/recorded.json"
    if role == "sender" and arrived.is_file() and not Outbox(project).list_waiting():
        from mlflow import MlflowClient

        uri = f"sqlite:///{project / 'mlflow.db'}"
        found.update(count_kept(uri, [run_key(project) or ""]))
        client = MlflowClient(uri, registry_uri=uri)
        for run in client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id]):
            client.delete_run(run.info.run_id)
        arrived.unlink()
    (forget_outputs if role == "restore" else forget_results)(project)


if __name__ == "__main__":
    sys.exit(main())
