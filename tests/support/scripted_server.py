"""A raw HTTP server for tests, which sends what a script says, byte for byte and as slowly as it says."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Script = Callable[[dict[str, Any]], Iterable[bytes]]


def http(status: int, content: bytes, *headers: str) -> bytes:
    """A whole answer."""
    head = [f"HTTP/1.1 {status} Told", f"Content-Length: {len(content)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + content


def dripping() -> Iterator[bytes]:
    """The head of an answer that never ends."""
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X: y\r\n"
        time.sleep(0.05)


def logprobs(*listed: tuple[str, float]) -> dict[str, Any]:
    """A completion with log-probabilities of its one token."""
    top = [{"token": token, "logprob": value} for token, value in listed]
    return {"choices": [{"message": {}, "logprobs": {"content": [{"top_logprobs": top}]}}]}


def answer(*listed: tuple[str, float]) -> bytes:
    """A whole answer with log-probabilities; A is the likelier letter unless others are listed."""
    return http(200, json.dumps(logprobs(*(listed or (("A", -0.1), ("B", -2.5))))).encode())


@contextmanager
def scripted(script: Script) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the server's address and the list of what it has been asked.

    Args:
        script: Gets a request's ``method``, ``path``, ``headers`` (one text) and ``body`` (JSON, or None),
            and yields what is sent, until the client is gone.
    """
    seen: list[dict[str, Any]] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            method, path, _ = self.rfile.readline().decode().split()
            headers = "".join(iter(lambda: self.rfile.readline().decode().strip("\r\n") + "\n", "\n"))
            length = [line.split(":")[1] for line in headers.lower().split("\n") if "content-length" in line]
            body = json.loads(self.rfile.read(int(length[0]))) if length else None
            request = {"method": method, "path": path, "headers": headers, "body": body}
            seen.append(request)
            try:
                for piece in script(request):
                    self.wfile.write(piece)
            except OSError:
                return

    listener = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_address[1]}", seen
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
