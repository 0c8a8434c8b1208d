"""One run at a time in a checkout, and recovery from a run that was killed."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from verdict3d.errors import Verdict3DError

WIND_DOWN_S = 30.0


@contextmanager
def run_lock(path: Path, say: Callable[[str], None] = print) -> Iterator[int]:
    """Hold the checkout's run lock; yield its descriptor for the processes of the run to keep it held.

    The operating system frees the lock when the last process that holds it ends, so a killed run leaves none.
    Stages of a killed run hold it for the moment until their supervisor has ended them: that is waited for.

    Raises:
        Verdict3DError: Another run holds it; the message says which.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, path, say)
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now().astimezone().isoformat(timespec="seconds"),
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, say: Callable[[str], None]) -> None:
    deadline = time.monotonic() + WIND_DOWN_S
    waiting = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = _read_holder(path)
        if holder is None or _is_alive(holder) or time.monotonic() > deadline:
            who = "unknown" if holder is None else f"process {holder['pid']} on {holder['host']}"
            since = "" if holder is None else f" since {holder['since']} ({holder['command']})"
            raise Verdict3DError(
                f"another run holds this checkout: {who}{since}. Wait for it, stop it, or use another copy."
            )
        if not waiting:
            say(f"waiting for the stages of a killed run (process {holder['pid']}) to end")
            waiting = True
        time.sleep(0.2)


def _read_holder(path: Path) -> dict[str, Any] | None:
    """Return who holds the lock; None while the holder has not written it yet."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return holder if isinstance(holder, dict) and {"pid", "host", "since", "command"} <= set(holder) else None


def _is_alive(holder: dict[str, Any]) -> bool:
    """Tell whether the process that took the lock still runs; on another machine it is taken to be."""
    if holder["host"] != socket.gethostname():
        return True
    return _read_command(int(holder["pid"])) is not None


def _read_command(pid: int) -> str | None:
    """Return the command line of a running process, None when there is none (a zombie counts as none)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "of another user"
    process = Path(f"/proc/{pid}")
    if not process.exists():
        return "unknown"
    try:
        state = (process / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
        command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
    return None if state == "Z" else command


def recover_dvc_locks(root: Path) -> bool:
    """Remove DVC's list of busy paths when no DVC process stands behind it; tell whether it was removed.

    DVC forgets entries whose process is gone, but waits forever when another process has got the same number,
    which is common in containers. Call this with the run lock held.
    """
    path = root / ".dvc/tmp/rwlock"
    try:
        busy = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except ValueError:
        busy = None  # cut off by a kill while it was written, which DVC takes for damage
    commands = [_read_command(pid) for pid in _find_pids(busy)]
    if busy is not None and not commands:
        return False
    if any(command is not None and "dvc" in command for command in commands):
        return False
    path.unlink(missing_ok=True)
    return True


def _find_pids(value: Any) -> list[int]:
    """Return every ``pid`` in DVC's nested record of readers and writers."""
    if isinstance(value, dict):
        own = [value["pid"]] if isinstance(value.get("pid"), int) else []
        return own + [pid for inner in value.values() for pid in _find_pids(inner)]
    if isinstance(value, list):
        return [pid for inner in value for pid in _find_pids(inner)]
    return []
