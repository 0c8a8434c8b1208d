"""Drill: processes of a run are killed at random moments, whatever their role, and the run is started again.

The chain is three stages of the real batch map. Every completed run is compared, byte by byte, with one that
nobody disturbed, and then forgotten, so that the next starts from nothing. No process may be left, no file
half written, and MLflow holds these results once, with nothing unfinished.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from drills.counting import print_counts
from drills.recording import count_kept
from drills.stores import open_folder
from flows.chain.environment import make_project_environment
from support.loopback import processes_of, wait_until
from support.resumable_chain import forget_results, results, write_resumable_chain
from tasks.tracking.run_record import run_key

RUN = [sys.executable, "-m", "flows.cli.main", "run"]
ROLES = {
    "stage": "stage.py",
    "flow": "-m flows.chain.pipeline",
    "DVC": "-m dvc repro",
    "restore": "flows/chain/restore.py",
    "Prefect's server": "prefect",
    "sender": "-m tasks.tracking.mlflow_runs",
    "supervisor": "supervisor.py",
    "command line": "flows.cli.main run",
}
"""What a run consists of, and by which words of its command each is found; the rest is killed with "all"."""
OUTSIDE = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "VERDICT3D_PROJECT")
"""What the environment of the drill must not hand down."""
ALL = "all at once"
GONE_S = 60.0


def main() -> int:
    """Run the drill, print what came of it, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="duration")
    parser.add_argument("--items", type=int, default=12, help="items of each stage")
    parser.add_argument("--pause-s", type=float, default=0.3, help="time that a batch of two items takes")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the batches of a stage")
    parser.add_argument("--seed", type=int, default=0, help="seed of the kills")
    chosen = parser.parse_args()
    os.environ["VERDICT3D_WORKERS"] = str(chosen.workers)
    found = drill(chosen.minutes * 60, chosen.items, chosen.pause_s, chosen.seed)
    print_counts(found)
    return 1 if broken(found) else 0


def broken(found: Counter[str]) -> bool:
    """Tell whether a promise was broken."""
    wrong = ("unequal outputs", "half-written files", "processes left", "recorded twice", "unfinished runs")
    return any(found[what] for what in (*wrong, "lost"))


def drill(seconds: float, items: int, pause_s: float, seed: int) -> Counter[str]:
    """Kill for ``seconds``; return what happened, by name."""
    choice, found = random.Random(seed), Counter[str]()
    with open_folder() as folder:
        whole = write_resumable_chain(folder / "whole", pause_s, items)
        project = write_resumable_chain(folder / "killed", pause_s, items)
        environment = make_project_environment(project)
        environment = {name: text for name, text in environment.items() if name not in OUTSIDE}
        if start(whole, environment, folder / "whole.log").wait(600) != 0:
            raise RuntimeError((folder / "whole.log").read_text(encoding="utf-8"))
        expected = results(whole)
        end, roles = time.monotonic() + seconds, [*ROLES, ALL]
        number = 0
        while time.monotonic() < end:
            role = roles[number % len(roles)]
            number += 1
            if kill_once(project, environment, choice, role, folder / "run.log"):
                found[f"killed: {role}"] += 1
                found["kills"] += 1
            finish(project, expected, found)
        last = start(project, environment, folder / "run.log")
        if last.wait(600) != 0:
            raise RuntimeError((folder / "run.log").read_text(encoding="utf-8"))
        finish(project, expected, found, forget=False)
        found.update(count_kept(f"sqlite:///{project / 'mlflow.db'}", [run_key(project) or ""]))
        return found


def start(project: Path, environment: dict[str, str], log_file: Path) -> subprocess.Popen[bytes]:
    """Start a run of ``project``."""
    with log_file.open("wb") as log:
        return subprocess.Popen(RUN, cwd=project, env=environment, stdout=log, stderr=log)


def kill_once(
    project: Path, environment: dict[str, str], choice: random.Random, role: str, log_file: Path
) -> bool:
    """Start a run and kill one process of this role at a random moment; tell whether one was hit."""
    run = start(project, environment, log_file)
    hit = False
    try:
        wait_until(lambda: run.poll() is not None or bool(running(project, role)), f"a {role} to run", 300)
        time.sleep(choice.uniform(0.0, 1.5))
        victims = running(project, role)
        for pid in victims if role == ALL else choice.sample(victims, min(1, len(victims))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                hit = True
        run.wait(300)
    finally:
        run.kill()
        run.wait()
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


def finish(project: Path, expected: dict[str, bytes], found: Counter[str], *, forget: bool = True) -> None:
    """Look at what a run that was killed or not has left; a complete one is compared and forgotten."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: processes_of(project) == {}, "all to end", GONE_S)
    found["processes left"] += len(processes_of(project))
    now = results(project)
    if set(now) == set(expected):
        found["completions compared"] += 1
        found["unequal outputs"] += now != expected
        found["half-written files"] += sum(
            path.name.startswith(".") for path in (project / "data").rglob("*")
        )
        if forget:
            forget_results(project)


if __name__ == "__main__":
    sys.exit(main())
