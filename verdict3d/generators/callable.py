"""Kind ``callable``: a Python function in a process of its own, which is imported once and can be ended.

A function that hangs, or takes its process with it, costs its own photo; the next one gets a new process.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from verdict3d.config_generators import CallableParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.generators.attempts import make_each
from verdict3d.generators.generator import Request
from verdict3d.mesh.mesh import MeshOrFailure
from verdict3d.processes.commands import supervised
from verdict3d.records.generators import GeneratorRecord

SHOWN_CHARACTERS = 500


class Host:
    """The process of the function, started when it is first asked.

    Args:
        settings: The function, and its time limit.
        root: Where it runs; modules are looked for there first.
    """

    def __init__(self, settings: CallableParams, root: Path) -> None:
        self._settings = settings
        self._root = root
        self._process = ExitStack()
        self._channel: socket.socket | None = None

    def ask(self, photo: Path, seed: int, output: Path) -> None:
        """Make one mesh.

        Raises:
            ItemFailure: ``timed_out``, ``callable_failed`` or ``callable_ended``.
            Verdict3DError: The function cannot be imported.
        """
        if self._channel is None:
            self._start()
        error = self._exchange({"photo": str(photo), "seed": seed, "output": str(output)})
        if error is not None:
            words = error[-SHOWN_CHARACTERS:].replace(str(photo.parents[1]), "...")
            raise ItemFailure("callable_failed", f"{self._settings.function}: {words}")

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "verdict3d.generators.host"]
        command += [str(theirs.fileno()), str(self._root), self._settings.function]
        with theirs:
            self._process.enter_context(
                supervised(command, self._root, dict(os.environ), descriptor=theirs.fileno())
            )
        self._channel = self._process.enter_context(ours)
        try:
            error = self._exchange(None)
        except ItemFailure as failure:
            error = str(failure)
        if error is not None:
            self.end()
            raise Verdict3DError(
                f"the generator {self._settings.name!r} cannot import {self._settings.function}: {error}"
            )

    def _exchange(self, asked: dict[str, object] | None) -> str | None:
        """Send a line, unless it is None, and return the error that is answered."""
        assert self._channel is not None
        self._channel.settimeout(self._settings.timeout_s)
        received = b""
        try:
            if asked is not None:
                self._channel.sendall(json.dumps(asked).encode() + b"\n")
            while not received.endswith(b"\n"):
                chunk = self._channel.recv(1 << 16)
                if not chunk:
                    raise ConnectionError
                received += chunk
        except TimeoutError as error:
            self.end()
            limit = f"no mesh within {self._settings.timeout_s:g} s"
            raise ItemFailure("timed_out", limit) from error
        except OSError as error:
            self.end()
            raise ItemFailure("callable_ended", f"{self._settings.function} ended its process") from error
        answer: str | None = json.loads(received)["error"]
        return answer

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.end()

    def end(self) -> None:
        """End the process with all it started."""
        self._channel = None
        self._process.close()


class CallableGenerator:
    """A function as a generator.

    Args:
        settings: The function.
        record: What it is.
        root: Where it runs.
    """

    def __init__(self, settings: CallableParams, record: GeneratorRecord, root: Path) -> None:
        self.settings = settings
        self.record = record
        self._hosts: queue.SimpleQueue[Host] = queue.SimpleQueue()
        for _ in range(settings.at_once):
            self._hosts.put(Host(settings, root))

    def generate(self, requests: Sequence[Request]) -> list[MeshOrFailure]:
        """Call the function for each request."""
        return make_each(requests, self.settings, self._run)

    def _run(self, photo: Path, seed: int, output: Path) -> None:
        with self._host() as host:
            host.ask(photo, seed, output)

    @contextmanager
    def _host(self) -> Iterator[Host]:
        """Yield a process that nobody else asks."""
        host = self._hosts.get()
        try:
            yield host
        finally:
            self._hosts.put(host)


def load(settings: CallableParams, record: GeneratorRecord, root: Path) -> CallableGenerator:
    """Return the function as a generator."""
    return CallableGenerator(settings, record, root)
