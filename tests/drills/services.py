"""Drill: MLflow is dead, slow, lying, or dies between any two requests, while a run is sent to it.

A gate stands before a real server and misbehaves in one way at a time; other addresses are no store at all.
Each time a record is put into the outbox and sent as ``verdict3d run`` sends it; then the address is that of
the gate, which lets everything through, and it is sent again, as
``verdict3d sync`` does. It must have been kept, be recorded once, leave nothing unfinished, and nothing that
was said may hold a traceback or the password in the address.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from drills.recording import count_kept, key_of, put_record
from drills.stores import drill_environment, mlflow_store, open_folder
from flows.chain.tracking_step import send_everything, send_kept
from tasks.tracking.outbox import Outbox
from verdict3d.errors import Verdict3DError

PASSWORD = "secretpw"
FIRST = 1_000_000
"""Number of the first record, beyond those of the drill of recording, which may use the same server."""


class Gate:
    """What stands between a client and a server.

    Attributes:
        mode: What it does: see :meth:`misbehave`.
        after: Number of requests that it lets through before.
        seconds: How long it waits, where it does.
    """

    def __init__(self, server: str) -> None:
        self.server = urlsplit(server)
        self.mode, self.after, self.seconds = "open", 0, 0.0
        self.asked = 0

    def set(self, mode: str, after: int = 0, seconds: float = 0.0) -> None:
        """Misbehave in another way from now on."""
        self.mode, self.after, self.seconds, self.asked = mode, after, seconds, 0


def handler_of(gate: Gate) -> type[BaseHTTPRequestHandler]:
    """Return what answers the requests that reach a gate."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            gate.asked += 1
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if gate.mode != "open" and gate.asked > gate.after:
                if gate.mode == "drops":
                    self.close_connection = True
                    return
                if gate.mode in ("500", "400", "404", "html", "empty"):
                    status = 200 if gate.mode in ("html", "empty") else int(gate.mode)
                    self.reply(status, b"<html>hello</html>" if gate.mode != "empty" else b"")
                    return
                if gate.mode == "late" and not self.path.endswith("/runs/create"):
                    self.forward(body)
                    return
                if gate.mode == "late":
                    threading.Thread(target=self.ask, args=(body,)).start()  # done, but not said in time
                time.sleep(gate.seconds)
                if gate.mode == "late":
                    return
            self.forward(body)

        def ask(self, body: bytes) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(gate.server.hostname or "", gate.server.port, timeout=60)
            headers = {"Content-Type": self.headers.get("Content-Type") or "application/json"}
            connection.request(self.command, self.path, body, headers)
            found = connection.getresponse()
            content = found.read()
            connection.close()
            return found.status, content

        def forward(self, body: bytes) -> None:
            self.reply(*self.ask(body))

        def reply(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """Print nothing."""

    for method in ("GET", "POST", "PATCH", "PUT", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    return Handler


@contextmanager
def gate_before(server: str) -> Iterator[tuple[Gate, str]]:
    """Yield a gate before a server, and its address with a password in it."""
    gate = Gate(server)
    listener = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(gate))
    listener.daemon_threads = True
    listener.handle_error = lambda *arguments: None  # type: ignore[method-assign]
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    yield gate, f"http://user:{PASSWORD}@127.0.0.1:{listener.server_port}"
    listener.shutdown()
    listener.server_close()


NO_STORES = {
    "nothing listens": "http://user:{password}@127.0.0.1:9",
    "a server without a word": "http://user:{password}@127.0.0.1:{silent}",
    "PostgreSQL that is down": "postgresql://user:{password}@127.0.0.1:9/runs",
    "PostgreSQL without a word": "postgresql://user:{password}@127.0.0.1:{silent}/runs",
    "SQLite's file is junk": "sqlite:///{folder}/junk.db",
    "SQLite's folder cannot be made": "sqlite:////dev/null/runs.db",
    "an address of another kind": "ftp://user:{password}@127.0.0.1/runs",
}
"""Addresses at which there is no store, by name."""


@contextmanager
def no_stores(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the addresses of :data:`NO_STORES`, while something listens that never says a word."""
    (folder / "junk.db").write_bytes(b"junk " * 1000)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        filled = {"password": PASSWORD, "silent": silent.getsockname()[1], "folder": folder}
        yield {name: address.format(**filled) for name, address in NO_STORES.items()}


def faults(short: bool) -> list[tuple[str, int, float]]:
    """Return the ways to misbehave: mode, requests before, seconds of waiting."""
    if short:
        names = ("PostgreSQL that is down", "SQLite's file is junk")
        gate = [("drops", 9, 0.0), ("html", 0, 0.0), ("400", 8, 0.0), ("slow", 0, 4.0)]
        return [*((name, 0, 0.0) for name in names), *gate]
    answers = [("500", 0, 0.0), ("html", 0, 0.0), ("empty", 0, 0.0), ("404", 0, 0.0), ("400", 8, 0.0)]
    deaths = [("drops", number, 0.0) for number in range(24)]
    slow = [("slow", 0, 28.0), ("late", 0, 35.0)]
    return [*((name, 0, 0.0) for name in NO_STORES), *answers, *slow, *deaths]


def main() -> int:
    """Run the drill, print a table, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer faults, none of them slow")
    parser.add_argument("--limit-s", type=float, default=40.0, help="what a run gives MLflow in all")
    chosen = parser.parse_args()
    wrong = 0
    print("| fault | seconds | said | kept or recorded | afterwards |\n|---|---|---|---|---|")
    for row, problems in drill(chosen.short, chosen.limit_s):
        wrong += len(problems)
        print(f"| {' | '.join([*row, ', '.join(problems) or 'once'])} |", flush=True)
    return 1 if wrong else 0


def drill(short: bool, limit_s: float) -> Iterator[tuple[list[str], list[str]]]:
    """Yield a row for each fault, and what went wrong with it."""
    with open_folder() as folder, mlflow_store("server", folder) as server:
        yield from misbehave(server, folder, short, limit_s)


def find_environment() -> dict[str, str]:
    """Return the environment of a sender, with the address of this moment."""
    return drill_environment() | {"MLFLOW_TRACKING_URI": os.environ["MLFLOW_TRACKING_URI"]}


def misbehave(
    server: str, folder: Path, short: bool, limit_s: float
) -> Iterator[tuple[list[str], list[str]]]:
    """Yield a row for each fault before the server at an address, and what went wrong with it.

    Args:
        server: Address of MLflow.
        folder: Of the outbox.
        short: Fewer faults, none of them slow.
        limit_s: What a run gives MLflow in all.
    """
    with gate_before(server) as (gate, uri), no_stores(folder) as elsewhere:
        for number, (mode, after, seconds) in zip(itertools.count(FIRST), faults(short)):
            outbox = Outbox(folder)
            put_record(outbox, number)
            gate.set(mode, after, seconds)
            os.environ["MLFLOW_TRACKING_URI"] = elsewhere.get(mode, uri)
            said: list[str] = []
            started = time.monotonic()
            arrived = send_kept(folder, find_environment(), said.append, limit_s=limit_s)
            took = time.monotonic() - started
            kept = len(outbox.list_waiting()) + len(outbox.list_refused())
            gate.set("open")
            os.environ["MLFLOW_TRACKING_URI"] = uri
            problems = [] if kept + arrived == 1 else ["lost or kept twice"]
            try:
                send_everything(folder, find_environment(), said.append)
            except Verdict3DError as error:
                problems.append(str(error))
            found = count_kept(server, [key_of(sent) for sent in range(FIRST, number + 1)])
            problems += [what for what in ("recorded twice", "lost", "unfinished runs") if found[what]]
            text = "\n".join(said)
            problems += [word for word in ("Traceback", PASSWORD) if word in text]
            where = f"{mode} after {after} requests" if mode not in elsewhere else mode
            where += f", {seconds:.0f} s an answer" if seconds else ""
            first = said[0].partition("cannot be used: ")[2] or said[0] if said else ""
            first = first.partition("\n")[0][:80]
            yield [where, f"{took:.1f}", first.replace("|", "/"), "recorded" if arrived else "kept"], problems


if __name__ == "__main__":
    sys.exit(main())
