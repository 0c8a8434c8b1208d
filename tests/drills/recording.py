"""Drill: several checkouts send the same results to one MLflow at the same moment, and some are killed.

Every round all of them put the same record into their outboxes and send. Afterwards each round's results
must be in MLflow once, finished, with the child of its arm, and no run may be left unfinished.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from drills.counting import print_counts, read_options
from drills.stores import drill_environment, mlflow_store, open_folder
from tasks.tracking.mlflow_runs import KEY_TAG, MLFLOW_PARENT_RUN_ID, send_waiting
from tasks.tracking.outbox import EXPERIMENT, Outbox
from tasks.tracking.run_record import RunPart, RunRecord
from verdict3d.errors import Verdict3DError

KILLED = 0.08
"""Share of sendings in which the sender is killed at a random moment of its first second."""
BROKEN = ("recorded twice", "lost", "without its arm", "unfinished runs")
POLL_S = 0.05
PATIENCE_S = 1800.0  # a busy machine is no fault


def main() -> int:
    """Run the drill, print what came of it, return the exit status."""
    chosen = read_options(__doc__, "checkouts", 2, "number of senders")
    found = drill(chosen.store, chosen.minutes * 60, chosen.checkouts, chosen.seed)
    print_counts(found)
    return 1 if broken(found) else 0


def broken(found: Counter[str]) -> bool:
    """Tell whether a promise was broken."""
    return any(found[what] for what in BROKEN)


def drill(store: str, seconds: float, checkouts: int, seed: int) -> Counter[str]:
    """Let checkouts send for ``seconds``; return what happened, by name."""
    with open_folder() as folder, mlflow_store(store, folder) as uri:
        return send_for(uri, folder, seconds, checkouts, seed)


def send_for(uri: str, folder: Path, seconds: float, checkouts: int, seed: int) -> Counter[str]:
    """Let checkouts below ``folder`` send to the store at ``uri``; return what happened, by name."""
    found: Counter[str] = Counter()
    end, sent = time.monotonic() + seconds, 0
    senders: dict[int, subprocess.Popen[bytes]] = {}
    environment = drill_environment() | {"MLFLOW_TRACKING_URI": uri}
    while time.monotonic() < end:
        sent += 1
        (folder / "round.new").write_text(str(sent))
        (folder / "round.new").replace(folder / "round")
        limit = time.monotonic() + PATIENCE_S
        while not all((folder / str(place) / f"done-{sent}").exists() for place in range(checkouts)):
            for place in range(checkouts):
                process = senders.get(place)
                if process is None or process.poll() is not None:
                    found["senders killed"] += process is not None
                    command = [sys.executable, "-m", "drills.recording_sender", str(folder), str(place)]
                    command.append(str(seed * 1000 + found["senders killed"] * checkouts + place))
                    senders[place] = subprocess.Popen(command, env=environment)
            if time.monotonic() > limit:
                raise TimeoutError(f"round {sent} did not end in {PATIENCE_S:.0f} s")
            time.sleep(POLL_S)
    for process in senders.values():
        process.kill()
        process.wait()
    last = [
        sys.executable,
        "-m",
        "tasks.tracking.mlflow_runs",
        str(folder / "0"),
    ]  # ends what was left behind
    subprocess.run(last, cwd=folder / "0", env=environment, check=True)
    found.update(count_runs(uri, sent))
    return found


def count_runs(uri: str, rounds: int) -> Counter[str]:
    """Count what MLflow holds of the results of the rounds."""
    return count_kept(uri, [key_of(number + 1) for number in range(rounds)])


def count_kept(uri: str, keys: list[str]) -> Counter[str]:
    """Count what MLflow holds of the results with these keys."""
    from mlflow import MlflowClient

    client = MlflowClient(uri, registry_uri=uri)
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    runs, token = [], None
    while page := client.search_runs([experiment], max_results=1000, page_token=token):
        runs += page
        token = page.token
        if not token:
            break
    parents = [run for run in runs if MLFLOW_PARENT_RUN_ID not in run.data.tags]
    times = Counter(run.data.tags[KEY_TAG] for run in parents if run.info.status == "FINISHED")
    arms = Counter(run.data.tags.get(MLFLOW_PARENT_RUN_ID) for run in runs)
    return Counter(
        {
            "results sent": len(keys),
            "recorded once": sum(times[key] == 1 for key in keys),
            "recorded twice": sum(times[key] > 1 for key in keys),
            "lost": sum(times[key] == 0 for key in keys),
            "without its arm": sum(arms[run.info.run_id] != 1 for run in parents),
            "unfinished runs": sum(run.info.status != "FINISHED" for run in runs),
        }
    )


def key_of(number: int) -> str:
    """Return the key of a round's results."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def put_record(outbox: Outbox, number: int) -> None:
    """Put a small record with an artifact and an arm into an outbox."""
    note = outbox.folder.parent / "note.txt"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text("an artifact")
    numbers = {"number": float(number)}
    run = RunPart("run", {"number": str(number)}, metrics=numbers, artifacts=[(str(note), "notes")])
    arm = RunPart("arm", tags={"arm": "arm"}, metrics=numbers, series={"loss": [(0, 1.0)]})
    outbox.put(RunRecord(key_of(number), 1.0, run, [arm], "", None))


def send_rounds(folder: Path, place: int, seed: int) -> None:
    """Send every round's results from one checkout, until killed by the drill or by chance."""
    choice = random.Random(seed)
    checkout = folder / str(place)
    checkout.mkdir(exist_ok=True)
    os.chdir(folder)  # a relative store is the same for all
    outbox = Outbox(checkout)
    number = 1
    while True:
        if (checkout / f"done-{number}").exists():
            number += 1
        elif int((folder / "round").read_text()) < number:
            time.sleep(POLL_S)
        else:
            put_record(outbox, number)
            if choice.random() < KILLED:
                threading.Timer(choice.uniform(0.0, 1.0), os.kill, (os.getpid(), signal.SIGKILL)).start()
            try:
                send_waiting(outbox)
            except Verdict3DError as error:
                print(error, file=sys.stderr)
                time.sleep(1.0)
                continue
            (checkout / f"done-{number}").touch()


if __name__ == "__main__":
    sys.exit(main())
