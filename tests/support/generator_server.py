"""The reference server of the batch contract of generators: boxes for photos, with faults on request.

    python generator_server.py PORT            serves until it is ended

``POST /fault`` with JSON ``{"loading": n, "busy": n, "forget": true, "slow_s": s, "fail": [prefixes],
"omit": [prefixes], "half": true, "id": text, "zip": "bomb" | "escape" | "garbage" | "many" | null}`` sets
what goes wrong from then on; with ``half`` reasons hold half a character, and ``id`` is a batch's name.
``GET /seen`` lists the sets of stems that were posted.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.writers.glb import encode_glb

FACES = [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1)]
FACES += [(2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3)]


def box(seed: int) -> bytes:
    """A box whose width depends on the seed, as GLB."""
    width = 0.2 + seed % 7 / 10
    corners = [(x * width, y * 0.5, z * 1.0) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    return encode_glb(Mesh(np.array(corners, dtype=np.float32), np.array(FACES, dtype=np.int32)))


class Batches:
    """What has been asked for, by the set of stems, and what goes wrong."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seen: list[list[str]] = []
        self.photos: dict[str, dict[str, dict[str, Any]]] = {}
        self.started: dict[str, float] = {}
        self.fault: dict[str, Any] = {}

    def start(self, photos: list[dict[str, Any]]) -> str:
        stems = sorted(photo["stem"] for photo in photos)
        batch = "+".join(stems)
        with self.lock:
            self.seen.append(stems)
            if batch not in self.photos:
                self.photos[batch] = {photo["stem"]: photo for photo in photos}
                self.started[batch] = time.monotonic()
        return batch

    def is_done(self, batch: str) -> bool:
        return time.monotonic() - self.started[batch] >= self.fault.get("slow_s", 0.0)

    def results(self, batch: str) -> bytes:
        stream, failed = io.BytesIO(), {}
        kind = self.fault.get("zip")
        if kind == "garbage":
            return b"PK no zip at all"
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
            for place, (stem, photo) in enumerate(self.photos[batch].items()):
                assert base64.b64decode(photo["image"]).startswith(b"\x89PNG")
                if stem.startswith(tuple(self.fault.get("fail", ("-",)))):
                    failed[stem] = "no box \ud800" if self.fault.get("half") else "no box for this photo"
                elif stem.startswith(tuple(self.fault.get("omit", ("-",)))) or (
                    not self.is_done(batch) and place > 0
                ):
                    continue
                elif kind == "bomb":
                    made.writestr(f"{stem}.glb", bytes(8 << 20))
                elif kind == "escape":
                    made.writestr(f"../{stem}.glb", box(photo["seed"]))
                    made.writestr(f"/tmp/{stem}.glb", box(photo["seed"]))
                else:
                    made.writestr(f"{stem}.glb", box(photo["seed"]))
            if kind == "many":
                for number in range(20000):
                    made.writestr(f"{number}.txt", b"")
            made.writestr("_failed.json", json.dumps(failed))
        return stream.getvalue()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    batches: Batches

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        batch = parse_qs(parts.query).get("batch", [""])[0]
        fault = self.batches.fault
        if parts.path == "/seen":
            return self.answer(200, self.batches.seen)
        if fault.get("busy", 0) > 0:
            fault["busy"] -= 1
            return self.answer(503, {"error": "busy"})
        if parts.path == "/status" and not batch:
            fault["loading"] = fault.get("loading", 0) - 1
            return self.answer(200, {"state": "loading" if fault["loading"] >= 0 else "ready"})
        if fault.pop("forget", False):
            self.batches.photos.clear()
        if batch not in self.batches.photos:
            return self.answer(404, {"error": "no such batch"})
        if parts.path == "/status":
            state = "done" if self.batches.is_done(batch) else "working"
            return self.answer(200, {"state": state, "done": 0, "of": len(self.batches.photos[batch])})
        return self.send(200, self.batches.results(batch), "application/zip")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/fault":
            self.batches.fault = body
            return self.answer(200, {})
        batch = self.batches.start(body["photos"])
        name = self.batches.fault.get("id", batch)
        return self.answer(202, {"batch": "\ud800" if name == "half" else name})

    def answer(self, status: int, values: Any) -> None:
        self.send(status, json.dumps(values).encode(), "application/json")

    def send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


def make_server(port: int) -> ThreadingHTTPServer:
    """Return a server on loopback that has been asked for nothing yet."""
    handler = type("OwnHandler", (Handler,), {"batches": Batches()})
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


if __name__ == "__main__":
    make_server(int(sys.argv[1])).serve_forever()
