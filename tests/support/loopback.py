"""Servers on loopback for tests: a free port, waiting for an answer, a webhook that keeps what it hears."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

START_S = 180.0
POLL_S = 0.2


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    condition: Callable[[], Any], what: str, limit_s: float = START_S, poll_s: float = POLL_S
) -> Any:
    """Return the first true value of ``condition``; fail when the limit passes."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {limit_s:.0f} s for {what}"
        time.sleep(poll_s)
    return found


def processes_of(project: Path) -> dict[int, str]:
    """Return the commands of running processes whose working directory is ``project``, by process id."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == project:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if command:
                    found[int(process.name)] = command
        except OSError:
            continue
    return found


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@contextmanager
def server(command: list[str], url: str, log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in its own process group until the block ends; ``url`` answers when it is ready."""
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True, **options)
        try:
            wait_until(lambda: process.poll() is not None or answers(url), f"{command[:4]}")
            assert process.poll() is None, log.read_text()
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def webhook(status: int = 200, location: str = "") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the address of a webhook (which may redirect) and the list of messages that it has heard."""
    heard: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Print nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}/hook", heard
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
