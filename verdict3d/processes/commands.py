"""Starts commands under the supervisor, and stops every one of them when the run is interrupted."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

SUPERVISOR = Path(__file__).with_name("supervisor.py")
STOP_S = 10.0
PARENT_POLL_S = 1.0
POLL_MS = 200
READ_AT_ONCE, LONGEST_LINE = 1 << 16, 1 << 16
"""Bytes; a longer line is passed on though it has not ended."""

_live: set[subprocess.Popen[Any]] = set()
_live_lock = threading.Lock()


@dataclass(frozen=True)
class Ended:
    """How a supervised command ended.

    Attributes:
        status: Exit status; negative for a signal; None when it was stopped from here.
        seconds: Wall time.
        max_rss_mib: Memory of its largest process.
        timed_out: It ran past its limit.
    """

    status: int | None
    seconds: float
    max_rss_mib: float
    timed_out: bool


def run_supervised(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: dict[str, str],
    on_line: Callable[[str, bool], None] | None = None,
    timeout_s: float | None = None,
    lock_descriptor: int | None = None,
    to_stderr: bool = False,
) -> Ended:
    """Run ``command`` and wait; it dies when this process does, whatever way this process ends.

    Args:
        command: Program and arguments.
        cwd: Working directory.
        environment: The whole environment.
        on_line: Called with each line of output (standard error included) and whether the line redraws itself
            (a progress bar). None: the output goes where this process's goes.
        timeout_s: The command is killed after this time.
        lock_descriptor: Descriptor of a held lock that the command keeps held.
        to_stderr: Without ``on_line``: its output goes to this process's standard error.
    """
    output = subprocess.PIPE if on_line else sys.stderr.fileno() if to_stderr else None
    process, outcome = _start(command, cwd, environment, output, lock_descriptor)
    with outcome:
        expired = _follow(process, on_line, timeout_s)
        words = outcome.read()
    if not words:
        return Ended(None, 0.0, 0.0, expired)
    return Ended(**json.loads(words), timed_out=False)


@contextmanager
def supervised(
    command: Sequence[str],
    cwd: Path,
    environment: dict[str, str],
    log_file: Path | None = None,
    descriptor: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` beside the block; when the block is left it is asked to end, and killed if it does not.

    Args:
        command: Program and arguments. It dies when this process does, whatever way this process ends.
        cwd: Working directory.
        environment: The whole environment.
        log_file: Gets its output; None: the output goes where this process's goes.
        descriptor: Stays open for the command: a socket on which it listens.
    """
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(log_file.open("ab")) if log_file else None
        process, outcome = _start(command, cwd, environment, log, descriptor)
        stack.enter_context(outcome)
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            _abandon(process)
            _kill_abandoned(process)


def _start(
    command: Sequence[str],
    cwd: Path,
    environment: dict[str, str],
    output: int | IO[bytes] | None,
    descriptor: int | None,
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start a supervisor; return it, and the stream on which it tells how the command ended."""
    outcome_reader, outcome_writer = os.pipe()
    kept = [outcome_writer] if descriptor is None else [outcome_writer, descriptor]
    try:
        process = subprocess.Popen(
            [sys.executable, "-S", "-E", str(SUPERVISOR), str(outcome_writer), *command],
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            start_new_session=True,
            pass_fds=kept,
        )
    finally:
        os.close(outcome_writer)
    return process, os.fdopen(outcome_reader, "rb")


def _follow(
    process: subprocess.Popen[bytes], on_line: Callable[[str, bool], None] | None, timeout_s: float | None
) -> bool:
    """Pass on the lines of a supervisor until it has ended; tell whether it had to be killed for time."""
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _abandon(process)
        _kill_abandoned(process)

    timer = threading.Timer(timeout_s or 0, expire)
    timer.daemon = True
    with _live_lock:
        _live.add(process)
    if timeout_s:
        timer.start()
    try:
        if on_line and process.stdout:
            for line, redraws in _read_lines(process):
                on_line(line, redraws)
        process.wait()
    except KeyboardInterrupt:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(STOP_S)
        raise
    finally:
        timer.cancel()
        _abandon(process)
        _kill_abandoned(process)
        with _live_lock:
            _live.discard(process)
        if process.stdout:
            process.stdout.close()
    return expired.is_set()


def _abandon(process: subprocess.Popen[Any]) -> None:
    """Let a supervisor kill all that it started, as if this process were gone."""
    if process.stdin:
        process.stdin.close()


def _kill_abandoned(process: subprocess.Popen[Any]) -> None:
    """Wait until a supervisor has ended all that it started; one that does not is killed with its group."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    if process.returncode is None or not _is_running(process.pid):  # else its number is another's by now
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@contextmanager
def stopping_all_on_error() -> Iterator[None]:
    """Kill every supervised command when the block is left by an exception, interrupts included."""
    try:
        yield
    except BaseException:
        with _live_lock:
            running = list(_live)
        for process in running:
            _abandon(process)
        for process in running:
            _kill_abandoned(process)
        raise


@contextmanager
def ending_with_parent() -> Iterator[None]:
    """Send this process SIGTERM when the one that started it is gone: a run whose worker was killed ends."""
    parent, done = os.getppid(), threading.Event()

    def watch() -> None:
        while not done.wait(PARENT_POLL_S):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, daemon=True, name="parent").start()
    try:
        yield
    finally:
        done.set()


def _read_lines(process: subprocess.Popen[bytes]) -> Iterator[tuple[str, bool]]:
    """Yield lines as they come until a supervisor has ended, and whether each redraws itself.

    What escaped the supervisor may hold the pipe open for ever, so its end alone is not waited for.
    """
    assert process.stdout is not None
    ready, pending, ended = select.poll(), b"", False
    ready.register(process.stdout, select.POLLIN)
    while not ended:
        gone = process.poll() is not None  # before looking: what it wrote is in the pipe
        received = b""
        if ready.poll(0 if gone else POLL_MS):
            received = os.read(process.stdout.fileno(), READ_AT_ONCE)
            ended = not received
        ended = ended or gone
        lines = (pending + received).splitlines(keepends=True)
        unfinished = not ended and bool(lines) and not lines[-1].endswith(b"\n")
        pending = lines.pop() if unfinished and len(lines[-1]) < LONGEST_LINE else b""
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r\n")
            if text.strip():
                yield text, line.endswith(b"\r")
