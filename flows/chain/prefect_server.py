"""Prefect's server as a run sees it: does the one that is configured answer, and one of our own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit

import httpx

from flows.chain.environment import LOOPBACK
from flows.processes.commands import supervised
from verdict3d.errors import Verdict3DError

ADDRESS = "PREFECT_API_URL"
START_S = 240.0
ANSWER_S = 5.0


def answers(url: str) -> bool:
    """Tell whether an HTTP server answers at ``url``, with whatever status."""
    here = urlsplit(url).hostname in LOOPBACK  # never through a proxy
    try:
        httpx.get(url, timeout=ANSWER_S, trust_env=not here)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
        return False
    return True


def wait_for_answer(url: str, process: Popen[bytes], what: str, log_file: Path) -> None:
    """Wait until the server ``process`` answers at ``url``.

    Raises:
        Verdict3DError: It ended, or did not answer in :data:`START_S`.
    """
    deadline = time.monotonic() + START_S
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Verdict3DError(f"{what} did not start; its output is in {log_file}")
        time.sleep(0.2)


def without_silent_server(environment: dict[str, str], say: Callable[[str], None]) -> dict[str, str]:
    """Return the environment, without the configured server if it does not answer: Prefect makes its own."""
    url = environment.get(ADDRESS)
    if not url or answers(f"{url.rstrip('/')}/health"):
        return environment
    say(f"the Prefect server at {url} does not answer; this run uses a temporary one")
    return {name: value for name, value in environment.items() if name != ADDRESS}


@contextmanager
def prefect_server(
    project: Path, environment: dict[str, str], port: int, log_file: Path
) -> Iterator[Popen[bytes]]:
    """Run a Prefect server on loopback until the block ends.

    Args:
        project: Working directory.
        environment: For the server; ``PREFECT_HOME`` or ``PREFECT_API_DATABASE_CONNECTION_URL`` say where it
            keeps its runs.
        port: Port on 127.0.0.1.
        log_file: Gets its output.

    Raises:
        Verdict3DError: The port is in use, or it does not start.
    """
    url = f"http://127.0.0.1:{port}/api"
    if answers(f"{url}/health"):
        raise Verdict3DError(
            f"port {port} is in use; choose another one, or set {ADDRESS}={url} to use its server"
        )
    for folder in (log_file.parent, Path(environment["PREFECT_HOME"])):
        folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    own = {name: value for name, value in environment.items() if name != ADDRESS}
    own.setdefault("PREFECT_SERVER_UI_API_URL", url)  # its pages would look for it on port 4200
    with supervised(command, cwd=project, environment=own, log_file=log_file) as process:
        wait_for_answer(f"{url}/health", process, "Prefect's server", log_file)
        yield process
