"""Drill: several processes take turns at one subject, and some are killed or stopped while they have it.

Whoever has the turn adds one to a number in the store by reading and writing it, as a promotion reads and
moves the champion, and holds a lock of the operating system meanwhile: a lost addition or a lock that is
taken already shows that two were in at once. A process that was stopped for longer than the lease must find,
before it adds anything, that another has taken over. An owner that a busy machine kept from its work for a
whole lease after its last check was stopped like them, though by nobody; who comes in then is counted apart.
"""

from __future__ import annotations

import fcntl
import math
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient

from drills.counting import print_counts, read_options
from drills.stores import drill_environment, mlflow_store, open_folder
from tasks.tracking.lease import BusyError, Lease
from verdict3d.errors import Verdict3DError

LEASE_S, BEAT_S = 3.0, 0.3
PATIENCE_S = 1800.0
KILLED, STOPPED = 0.04, 0.04
"""Shares of turns in which the owner is killed, and stopped for longer than the lease."""
ADDED = "turns that added"
BROKEN = ("two in at once", "additions lost", "unexpected errors")
MODEL, NUMBER, SUBJECT = "drill", "number", "drill"
NEVER = struct.pack("d", math.inf)
"""When an owner that is not in has checked its turn."""


def main() -> int:
    """Run the drill, print what came of it, return the exit status."""
    chosen = read_options(__doc__, "processes", 3, "number of contenders")
    found = drill(chosen.store, chosen.minutes * 60, chosen.processes, chosen.seed)
    print_counts(found)
    return 1 if broken(found) else 0


def broken(found: Counter[str]) -> bool:
    """Tell whether a promise was broken."""
    return any(found[what] for what in BROKEN)


def drill(store: str, seconds: float, processes: int, seed: int, least: int = 1) -> Counter[str]:
    """Let processes contend for ``seconds``, and until ``least`` turns were used; return what happened."""
    with open_folder() as folder, mlflow_store(store, folder) as uri:
        client = MlflowClient(uri, registry_uri=uri)
        client.create_registered_model(MODEL, tags={NUMBER: "0"})
        (folder / "witness").write_bytes(NEVER)
        events = folder / "events"
        events.touch()
        end = time.monotonic() + seconds
        contenders: dict[int, subprocess.Popen[bytes]] = {}
        started = 0
        while time.monotonic() < end or events.read_text(encoding="utf-8").count(ADDED) < least:
            for place in range(processes):
                process = contenders.get(place)
                if process is None or process.poll() is not None:
                    command = [sys.executable, "-m", "drills.turns_contender", uri, str(folder)]
                    command.append(str(seed * 1000 + started))
                    contenders[place] = subprocess.Popen(command, env=drill_environment())
                    started += 1
            time.sleep(0.2)
        (folder / "stop").touch()
        for process in contenders.values():
            process.wait(PATIENCE_S)
        lines = events.read_text(encoding="utf-8").splitlines()
        found = Counter({"processes started": started})
        found.update(lines)
        added = int(client.get_registered_model(MODEL).tags[NUMBER])
        found["additions lost"] = found[ADDED] - added
        for what in BROKEN:
            found[what] += 0
        return found


class Contender:
    """One process of the drill.

    Args:
        uri: Of the store.
        folder: Of the witness and the events.
        choice: Draws the faults.
    """

    def __init__(self, uri: str, folder: Path, choice: random.Random) -> None:
        self.client = MlflowClient(uri, registry_uri=uri)
        self.choice = choice
        self.witness = os.open(folder / "witness", os.O_RDWR)
        self.events = os.open(folder / "events", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def note(self, event: str) -> None:
        """Count an event, in one write, so that no line is torn."""
        os.write(self.events, f"{event}\n".encode())

    def contend(self) -> None:
        """Try for the turn once, and use it."""
        lease = Lease(self.client, SUBJECT, LEASE_S, BEAT_S)
        try:
            lease.take(wait=self.choice.random() < 0.5)
            self.note("turns taken")
            self._use(lease)
        except BusyError:
            self.note("turned away")
        finally:
            lease.end()

    def _use(self, lease: Lease) -> None:
        fate = self.choice.random()
        if fate < KILLED:
            self.note("killed in its turn")
            os.kill(os.getpid(), signal.SIGKILL)
        if fate < KILLED + STOPPED:
            self.note("stopped in its turn")
            waker = subprocess.Popen(["sh", "-c", f"sleep {2 * LEASE_S}; kill -CONT {os.getpid()}"])
            os.kill(os.getpid(), signal.SIGSTOP)
            waker.wait()
        elif not self._inside(lease, lambda: time.sleep(self.choice.uniform(0.0, 0.2))):
            return
        self._inside(lease, self._add)

    def _inside(self, lease: Lease, work: Callable[[], None]) -> bool:
        """Do something that one may do at a time; tell whether it was still this one's turn."""
        try:
            lease.check()
        except Verdict3DError:
            self.note("found that another had taken over")
            return False
        checked = time.monotonic()
        try:
            fcntl.flock(self.witness, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (since,) = struct.unpack("d", os.pread(self.witness, 8, 0))
            self.note("two in at once" if checked - since < LEASE_S else "in after an owner's lease")
            return True
        os.pwrite(self.witness, struct.pack("d", checked), 0)
        work()
        os.pwrite(self.witness, NEVER, 0)
        fcntl.flock(self.witness, fcntl.LOCK_UN)
        return True

    def _add(self) -> None:
        number = int(self.client.get_registered_model(MODEL).tags[NUMBER])
        self.client.set_registered_model_tag(MODEL, NUMBER, str(number + 1))
        self.note(ADDED)


if __name__ == "__main__":
    sys.exit(main())
