"""Runs one command so that it can never outlive the process that asked for it.

``kill -9`` of a pipeline leaves it no time to stop its stages, and ``kill -9`` of DVC leaves the stage it was
running: either would go on writing into folders that the next run uses. This small process stands between.
It leads its own session and process group, starts the command in it, and holds the reading end of a pipe
whose writing end only the asking process has: when that process ends in any way, the pipe closes and the
whole group is killed. SIGTERM asks the group to end first. When the command ends, whatever it left behind is
ended too. What made a session of its own to outlive the command is found as well, because on Linux this
process inherits it; it is asked first. This process leads the group and dies with it, so the command's exit
status travels through a second pipe.

Standard library only, run as a script: it starts in a few hundredths of a second.

    python -S -E supervisor.py OUTCOME_DESCRIPTOR COMMAND...     (standard input: the first pipe)
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE_S = 8.0
POLL_S = 0.1
LEAST_GRACE_S = 1.0
_BECOME_SUBREAPER = 36
"""Linux's ``prctl`` option: orphaned descendants become children of this process."""


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
    with contextlib.suppress(AttributeError):  # another system
        ctypes.CDLL(None).prctl(_BECOME_SUBREAPER, 1, 0, 0, 0)
    started = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False)
    while child.poll() is None and not stopping and not abandoned:
        readable, _, _ = select.select([sys.stdin], [], [], POLL_S)
        abandoned = bool(readable and not os.read(sys.stdin.fileno(), 1))
        _bury_orphans(child.pid)
    end = time.monotonic() + GRACE_S
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
    _end_descendants(max(end, time.monotonic() + LEAST_GRACE_S))
    os.killpg(0, signal.SIGKILL)


def _bury_orphans(child: int) -> None:
    """Take leave of processes that became ours and have ended, but not of the command."""
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == child:
                return
            os.waitpid(ended.si_pid, 0)


def _end_descendants(end: float) -> None:
    """Kill what runs in this group, and ask what has a session of its own to end; kill it after ``end``."""
    asked: set[int] = set()
    while found := _list_descendants():
        for pid, group in found.items():
            patient = group != os.getpgrp() and time.monotonic() < end
            if not patient or pid not in asked:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGTERM if patient else signal.SIGKILL)
            asked.add(pid)
        if time.monotonic() > end + LEAST_GRACE_S:  # they are another user's
            return
        time.sleep(POLL_S / 10)


def _list_descendants() -> dict[int, int]:
    """Return the process groups of all living descendants by process id; none where there is no ``/proc``."""
    parents: dict[int, tuple[int, int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent, group = (process / "stat").read_bytes().rpartition(b")")[2].split()[:3]
            if state != b"Z":
                parents[int(process.name)] = int(parent), int(group)
    found: dict[int, int] = {}
    kin = {os.getpid()}
    while more := {
        pid: group for pid, (parent, group) in parents.items() if parent in kin and pid not in found
    }:
        found |= more
        kin = set(more)
    return found


if __name__ == "__main__":
    supervise(int(sys.argv[1]), sys.argv[2:])
