"""The batch contract of generators over HTTP, around a command: the shortest server that keeps all of it.

    python examples/batch_server.py 8123 -- python examples/warped_copy.py {photo} {seed} {output}

Each photo of a batch is given to the command, one after another, under its own name; a photo without a mesh
is in ``_failed.json`` with the reason. docs/generators.md has the contract. Listens on loopback only.
"""

from __future__ import annotations

import base64
import io
import json
import queue
import subprocess
import sys
import tempfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

DIGEST = 13
"""Signs at the end of a stem that the client adds to the photo's name: a dash and a digest."""


class Batches:
    """What was asked for, by the set of stems, and what came of it."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.wanted: dict[str, dict[str, dict[str, Any]]] = {}
        self.meshes: dict[str, bytes] = {}
        self.failed: dict[str, str] = {}
        self.waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.lock = threading.Lock()
        threading.Thread(target=self.work, daemon=True).start()

    def start(self, photos: list[dict[str, Any]]) -> str:
        """Queue a batch; the same set of stems is the same batch."""
        batch = "+".join(sorted(photo["stem"] for photo in photos))
        with self.lock:
            if batch not in self.wanted:
                self.wanted[batch] = {photo["stem"]: photo for photo in photos}
                for photo in photos:
                    self.waiting.put(photo)
        return batch

    def work(self) -> None:
        """Make one mesh after another, for ever."""
        while True:
            photo = self.waiting.get()
            try:
                self.meshes[photo["stem"]] = self.make(photo)
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                self.failed[photo["stem"]] = f"{type(error).__name__}: {error}"[-300:]

    def make(self, photo: dict[str, Any]) -> bytes:
        """Run the command for one photo."""
        with tempfile.TemporaryDirectory() as folder:
            picture, output = Path(folder, f"{photo['stem'][:-DIGEST]}.png"), Path(folder, "mesh.glb")
            picture.write_bytes(base64.b64decode(photo["image"]))
            words = [word.format(photo=picture, seed=photo["seed"], output=output) for word in self.command]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode != 0 or not output.exists():
                raise ValueError(done.stderr.strip()[-200:] or f"status {done.returncode}")
            return output.read_bytes()

    def settled(self, batch: str) -> int:
        """Return how many photos of a batch have a mesh or a reason."""
        return sum(stem in self.meshes or stem in self.failed for stem in self.wanted[batch])

    def results(self, batch: str) -> bytes:
        """Return the ZIP of what is there so far."""
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as made:
            for stem in self.wanted[batch]:
                if stem in self.meshes:
                    made.writestr(f"{stem}.glb", self.meshes[stem])
            reasons = {stem: self.failed[stem] for stem in self.wanted[batch] if stem in self.failed}
            made.writestr("_failed.json", json.dumps(reasons))
        return stream.getvalue()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    batches: Batches

    def do_GET(self) -> None:
        """``/status``, of the server or of a batch, and ``/results``."""
        parts = urlsplit(self.path)
        batch = parse_qs(parts.query).get("batch", [""])[0]
        if parts.path == "/status" and not batch:
            return self.answer(200, {"state": "ready"})
        if batch not in self.batches.wanted:
            return self.answer(404, {"error": "no such batch"})
        if parts.path == "/results":
            return self.send(200, self.batches.results(batch), "application/zip")
        done, of = self.batches.settled(batch), len(self.batches.wanted[batch])
        return self.answer(200, {"state": "done" if done == of else "working", "done": done, "of": of})

    def do_POST(self) -> None:
        """``/generate``."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(202, {"batch": self.batches.start(body["photos"])})

    def answer(self, status: int, values: Any) -> None:
        """Send JSON."""
        self.send(status, json.dumps(values).encode(), "application/json")

    def send(self, status: int, content: bytes, kind: str) -> None:
        """Send a whole reply."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


if __name__ == "__main__":
    port, dashes, *command = sys.argv[1:]
    if dashes != "--" or not command:
        sys.exit(f"usage: {sys.argv[0]} PORT -- COMMAND WITH {{photo}} {{seed}} {{output}}")
    Handler.batches = Batches(command)
    print(f"http://127.0.0.1:{port}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
