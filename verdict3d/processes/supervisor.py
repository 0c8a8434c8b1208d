"""Runs one command so that it can never outlive the process that asked for it.

``kill -9`` of a pipeline leaves it no time to stop its stages, and ``kill -9`` of DVC leaves the stage it was
running: either would go on writing into folders that the next run uses. This small process stands between.
It leads its own session and process group, starts the command in it, and holds the reading end of a pipe
whose writing end only the asking process has: when that process ends in any way, the pipe closes and the
whole group is killed. SIGTERM asks the group to end first. When the command ends, whatever it left behind in
the group is killed too; this process leads the group and dies with it, so the command's exit status travels
through a second pipe.

Standard library only, run as a script: it starts in a few hundredths of a second.

    python -S -E supervisor.py OUTCOME_DESCRIPTOR COMMAND...     (standard input: the first pipe)
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time

GRACE_S = 8.0
POLL_S = 0.1


def supervise(outcome_descriptor: int, command: list[str]) -> None:
    """Run ``command`` until it ends or standard input closes, then kill the group, this process included.

    Args:
        outcome_descriptor: Gets ``{"status", "seconds", "max_rss_mib"}`` when the command ends by itself;
            ``status`` is negative for a signal, and the memory is that of the largest single process.
        command: Program and arguments. It inherits the open descriptors that the caller passed on, so a lock
            held through one is free only when the command is gone too.
    """
    stopping = abandoned = False

    def stop(signum: int, frame: object) -> None:
        nonlocal stopping
        stopping = True

    os.set_inheritable(outcome_descriptor, False)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    started = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False)
    while child.poll() is None and not stopping and not abandoned:
        readable, _, _ = select.select([sys.stdin], [], [], POLL_S)
        abandoned = bool(readable and not os.read(sys.stdin.fileno(), 1))
    if child.poll() is None and not abandoned:
        os.killpg(0, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
    elif child.poll() is not None:
        outcome = {
            "status": child.returncode,
            "seconds": time.monotonic() - started,
            "max_rss_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        }
        os.write(outcome_descriptor, json.dumps(outcome).encode())
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    supervise(int(sys.argv[1]), sys.argv[2:])
