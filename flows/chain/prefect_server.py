"""Prefect's servers: does the one that is configured answer, and those that we start.

A server that we start listens on loopback, answers only who has its key, and is started again when it dies.
Its socket is opened here and handed down: what is asked meanwhile waits in the socket, and no other process
can take the port.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit

import httpx

from flows.chain.asking import ask_within
from tasks.tracking.store import mask_uri
from verdict3d.errors import Verdict3DError, storage_problem
from verdict3d.processes.commands import supervised
from verdict3d.processes.environment import LOOPBACK

ADDRESS = "PREFECT_API_URL"
KEY = "PREFECT_API_AUTH_STRING"
KEY_FILE = "prefect-key"
USER = "verdict3d:"
SECRET_BYTES = 32
START_S = 240.0
ANSWER_S = 5.0
POLL_S = 0.2
RESTARTS = 2
STEADY_S = 60.0
DATABASE_BYTES = 2 << 20
"""Room for Prefect's empty database."""


def answers(url: str) -> bool:
    """Tell whether an HTTP server answers at ``url``, with whatever status."""
    return ask_status(url) is not None


def is_reachable(environment: Mapping[str, str]) -> bool:
    """Tell whether the Prefect server of an environment answers; its clients would try for minutes."""
    return answers(f"{environment[ADDRESS].rstrip('/')}/health")


def ask_status(url: str, key: str = "") -> int | None:
    """Return the HTTP status with which ``url`` answers, None when it does not.

    Args:
        url: What is asked for.
        key: ``user:password`` for basic authentication; empty: none.
    """
    here = urlsplit(url).hostname in LOOPBACK  # never through a proxy
    headers = {"Authorization": f"Basic {base64.b64encode(key.encode()).decode()}"} if key else {}
    try:
        verified = urlsplit(url).scheme == "https"  # otherwise reading all certificates is for nothing
        return ask_within(ANSWER_S, "GET", url, headers=headers, trust_env=not here, verify=verified)[0]
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
        return None


def is_refused(url: str) -> bool:
    """Tell whether ``url`` is on this machine and nothing listens at its port."""
    parts = urlsplit(url)
    if parts.hostname not in LOOPBACK or not parts.port:
        return False
    try:
        with socket.create_connection((parts.hostname, parts.port), ANSWER_S):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def wait_for_answer(url: str, process: Popen[bytes], what: str, log_file: Path) -> None:
    """Wait until the server ``process`` answers at ``url``.

    Raises:
        Verdict3DError: It ended, or did not answer in :data:`START_S`.
    """
    _wait(url, lambda: process.poll() is not None, what, log_file)


def _wait(url: str, ended: Callable[[], bool], what: str, log_file: Path) -> None:
    deadline = time.monotonic() + START_S
    while not answers(url):
        if ended() or time.monotonic() > deadline:
            raise Verdict3DError(f"{what} did not start; its output is in {log_file}")
        time.sleep(POLL_S)


def find_server(environment: dict[str, str]) -> bool | None:
    """Tell whether the configured Prefect server answers without a key; None when it does not answer at all.

    Raises:
        Verdict3DError: It does not accept the key of ``environment``, or wants one.
    """
    url = environment[ADDRESS].rstrip("/")
    if not answers(f"{url}/health"):
        return None
    protected = f"{url}/admin/version"
    if environment.get("PREFECT_API_KEY"):
        return False  # of Prefect Cloud
    if ask_status(protected, environment.get(KEY, "")) == 401:
        problem = "does not accept the key" if environment.get(KEY) else "wants a key"
        raise Verdict3DError(
            f"the Prefect server at {mask_uri(url)} {problem} in {KEY}; `verdict3d serve` and "
            "`verdict3d services` say which file holds that of theirs"
        )
    return ask_status(protected) != 401


@dataclass(frozen=True)
class PrefectServer:
    """A server of our own.

    Attributes:
        url: Its address, with ``/api``.
        key: ``user:password`` for its clients.
        log_file: Its output.
        gone: It has died too often and is not started again.
    """

    url: str
    key: str
    log_file: Path
    gone: threading.Event = field(default_factory=threading.Event)

    @property
    def client(self) -> dict[str, str]:
        """The variables that lead Prefect's clients to it."""
        return {ADDRESS: self.url, KEY: self.key}


@contextmanager
def run_prefect_server(
    project: Path,
    environment: dict[str, str],
    log_file: Path,
    say: Callable[[str], None],
    *,
    port: int = 0,
    key_file: Path | None = None,
) -> Iterator[PrefectServer]:
    """Run a Prefect server on loopback until the block ends; what asks it at once waits until it has started.

    Args:
        project: Working directory.
        environment: For the server; ``PREFECT_HOME`` or ``PREFECT_API_DATABASE_CONNECTION_URL`` say where it
            keeps its runs.
        log_file: Gets its output.
        say: Hears that it died and is started again.
        port: Port on 127.0.0.1; 0: a free one.
        key_file: Holds its key from one start to the next, readable by its owner only. None: a server for one
            run, without pages and without a schedule, whose key lives as long as the run.

    Raises:
        Verdict3DError: The port is in use.
    """
    try:
        listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    except OSError as error:
        raise Verdict3DError(
            f"port {port} is in use; choose another one, or set {ADDRESS} and {KEY} to use its server"
        ) from error
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
    with listener:
        for folder in (log_file.parent, Path(environment["PREFECT_HOME"])):
            folder.mkdir(parents=True, exist_ok=True)
        key = keep_secret(key_file, USER) if key_file else USER + secrets.token_urlsafe(SECRET_BYTES)
        server, leaving = PrefectServer(url, key, log_file), threading.Event()
        own = _make_server_environment(server, environment, temporary=key_file is None)
        keeping = (project, own, listener, server, leaving, say)
        keeper = threading.Thread(target=_keep_running, args=keeping, name="prefect-server")
        keeper.start()
        try:
            yield server
        finally:
            leaving.set()
            keeper.join()


def _make_server_environment(
    server: PrefectServer, environment: dict[str, str], *, temporary: bool
) -> dict[str, str]:
    """Return the environment of a server of our own."""
    own = {name: value for name, value in environment.items() if name not in (ADDRESS, KEY)}
    here = server.url.removesuffix("/api")
    own["PREFECT_SERVER_API_AUTH_STRING"] = server.key
    own["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = f"{here},{here.replace('127.0.0.1', 'localhost')}"
    own.setdefault("PREFECT_SERVER_UI_API_URL", server.url)  # its pages would look for it on port 4200
    return own | (
        {"PREFECT__SERVER_EPHEMERAL": "1", "PREFECT_SERVER_UI_ENABLED": "false"} if temporary else {}
    )


def _keep_running(
    project: Path,
    environment: dict[str, str],
    listener: socket.socket,
    server: PrefectServer,
    leaving: threading.Event,
    say: Callable[[str], None],
) -> None:
    """Run a server on ``listener``, and again when it has died, until ``leaving`` or too many deaths."""
    command = [sys.executable, "-m", "flows.chain.prefect_app", str(listener.fileno())]
    restarts_left = RESTARTS
    while True:
        started = time.monotonic()
        with supervised(command, project, environment, server.log_file, listener.fileno()) as process:
            while process.poll() is None:
                if leaving.wait(POLL_S):
                    return
        if time.monotonic() - started > STEADY_S:
            restarts_left = RESTARTS
        if not restarts_left:
            break
        restarts_left -= 1
        say("Prefect's server has died; it is started again")
    server.gone.set()
    listener.close()
    why = _find_storage_problem(Path(environment["PREFECT_HOME"])) or f"its output is in {server.log_file}"
    say(f"Prefect's server dies whenever it is started: {why}")


@contextmanager
def provide_server(
    project: Path, environment: dict[str, str], log_file: Path, say: Callable[[str], None]
) -> Iterator[dict[str, str]]:
    """Yield the variables that lead a run to a server of its own; none where the configured one answers.

    Raises:
        Verdict3DError: The configured server does not accept the key, or wants one.
    """
    configured = environment.get(ADDRESS)
    if configured and find_server(environment) is not None:
        yield {}
        return
    if configured:
        say(f"the Prefect server at {mask_uri(configured)} does not answer; this run uses a temporary one")
    with run_prefect_server(project, environment, log_file, say) as server:
        yield server.client


def _find_storage_problem(folder: Path) -> str | None:
    """Return why no database can be kept in ``folder``, None if it can; a full disk takes no log either."""
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(bytes(DATABASE_BYTES))
    except OSError as error:
        return storage_problem(error)
    return None


def wait_for_server(server: PrefectServer) -> None:
    """Wait until a server of our own answers.

    Raises:
        Verdict3DError: It does not start.
    """
    _wait(f"{server.url}/health", server.gone.is_set, "Prefect's server", server.log_file)


def keep_secret(path: Path, prefix: str = "") -> str:
    """Return the secret in ``path``; a new one is made where there is none, readable by its owner only.

    Raises:
        Verdict3DError: It was damaged: what is left of it, perhaps nothing, could be guessed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        descriptor, whole = tempfile.mkstemp(dir=path.parent)  # readable by its owner only
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(prefix + secrets.token_urlsafe(SECRET_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(whole, path)
        Path(whole).unlink()
    path.chmod(0o600)
    secret = path.read_text(encoding="utf-8", errors="replace")
    if not secret.startswith(prefix) or len(secret) < len(prefix) + SECRET_BYTES or not secret.isprintable():
        raise Verdict3DError(
            f"{path} is damaged: no secret is in it; take it from a copy, or remove it for a new one"
        )
    return secret
