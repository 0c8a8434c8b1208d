"""Drill: promoters move the champion while checkouts send results to the same MLflow; some are killed.

Promoters call what ``verdict3d rollback`` calls, which takes its turn, renews it, moves the alias and writes
the move down as a promotion does. Every move must begin where the one before it ended; a killed promoter may
leave one move that it did not write down, which the next one finds. Whatever a promoter was told it had done
must be among the moves, once.
"""

from __future__ import annotations

import json
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
from drills.recording import BROKEN as RECORDING_BROKEN
from drills.recording import PATIENCE_S, send_for
from drills.stores import drill_environment, mlflow_store, open_folder
from tasks.registry.promotion import rollback
from tasks.registry.versions import CHAMPION, FOUND, Registry
from tasks.tracking.lease import BusyError
from verdict3d.errors import Verdict3DError

PROMOTERS, VERSIONS = 3, 4
KILLED = 0.03
"""Share of moves in which the promoter is killed at a random moment of its first second."""
SOURCE = "verdict3d-drill:/none"
BROKEN = (
    *RECORDING_BROKEN,
    "moves without a beginning",
    "moves lost",
    "moves told twice",
    "unexpected errors",
)


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
    """Promote and send for ``seconds``; return what happened, by name."""
    with open_folder() as folder, mlflow_store(store, folder) as uri:
        os.environ["MLFLOW_TRACKING_URI"] = uri
        registry = Registry()
        registry.open()
        for number in range(1, VERSIONS + 1):
            tags = {"arm": "drill", "adapter": f"{number:064d}"}
            registry.client.create_model_version(registry.name, SOURCE, tags=tags, await_creation_for=0)
        (folder / "events").touch()
        watch = threading.Thread(target=_keep_promoting, args=(folder, uri, seed), daemon=True)
        watch.start()
        found = send_for(uri, folder, seconds, checkouts, seed)
        (folder / "stop").touch()
        watch.join()
        found.update(count_moves(registry, (folder / "events").read_text(encoding="utf-8").splitlines()))
        return found


def _keep_promoting(folder: Path, uri: str, seed: int) -> None:
    """Keep the promoters running until the drill ends."""
    environment = drill_environment() | {"MLFLOW_TRACKING_URI": uri}
    promoters: dict[int, subprocess.Popen[bytes]] = {}
    started = 0
    while not (folder / "stop").exists():
        for place in range(PROMOTERS):
            process = promoters.get(place)
            if process is None or process.poll() is not None:
                command = [sys.executable, "-m", "drills.promotions_promoter", str(folder)]
                promoters[place] = subprocess.Popen([*command, str(seed * 1000 + started)], env=environment)
                started += 1
        time.sleep(0.2)
    for process in promoters.values():
        process.wait(PATIENCE_S)


def count_moves(registry: Registry, events: list[str]) -> Counter[str]:
    """Count what is wrong with the moves in a registry, given what promoters noted."""
    moves = registry.read_moves()
    begins = [None, *(move["to"] for move in moves)]
    last = registry.find_aliased(CHAMPION)
    ends = [move["from"] for move in moves] + [int(last.version) if last else None]
    found = sum(move["why"] == FOUND for move in moves) + (begins[-1] != ends[-1])
    counts = Counter(event for event in events if not event.startswith("{"))
    told = Counter(json.loads(event)["why"] for event in events if event.startswith("{"))
    written = Counter(move["why"] for move in moves)
    counts.update(
        {
            "moves of the champion": len(moves),
            "moves of the killed, found by the next": found,
            "moves without a beginning": sum(a != b for a, b in zip(begins[:-1], ends[:-1], strict=True))
            + max(0, found - counts["promoters killed"]),
            "moves lost": sum(written[f"rolled back: {why}"] == 0 for why in told),
            "moves told twice": sum(written[f"rolled back: {why}"] > 1 for why in told),
            "unexpected errors": 0,
        }
    )
    return counts


def promote_until_stopped(folder: Path, seed: int) -> None:
    """Move the champion again and again, until the drill ends or this process is killed by chance."""
    choice, registry = random.Random(seed), Registry()
    events = os.open(folder / "events", os.O_WRONLY | os.O_APPEND)

    def note(event: str) -> None:
        os.write(events, f"{event}\n".encode())

    def die() -> None:
        note("promoters killed")
        os.kill(os.getpid(), signal.SIGKILL)

    number = 0
    while not (folder / "stop").exists():
        number += 1
        why = f"move {number} of {seed}"
        if choice.random() < KILLED:
            threading.Timer(choice.uniform(0.0, 1.0), die).start()
        try:
            done = rollback(registry, str(choice.randint(1, VERSIONS)), why)
            note(json.dumps({"why": why, "from": done.before, "to": done.champion.version}))
        except BusyError:
            note("promoters turned away")
        except Verdict3DError as error:
            note("unexpected errors")
            print(error, file=sys.stderr)
        time.sleep(choice.uniform(0.2, 2.0))


if __name__ == "__main__":
    sys.exit(main())
