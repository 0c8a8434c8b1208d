"""A small index of pairs with real meshes and pictures, and servers for its pages."""

from __future__ import annotations

import functools
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import trimesh
import uvicorn
from fastapi import FastAPI
from PIL import Image, ImageDraw

from support.pair_entries import entry, many, shape, word
from verdict3d.mesh.files import write_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.render.montage_files import write_montages
from verdict3d.view.pairs.entry import Entry
from verdict3d.view.pairs.index import PairIndex

LOUDEST = "lamp-loudest"
"""Object of the pair whose wrong verdict is loudest."""
QUESTION = "Which of {first} and {second} is better?"


def write_pages(folder: Path, others: int = 120) -> PairIndex:
    """Write three pairs with meshes and pictures, of which one is wrong and loudest, and others without."""
    entries = [
        _shown(folder, LOUDEST, "lamp", word("win", 8.5), 0.3, 0.6),
        _shown(folder, "chair-right", "chair", word("win", 2.0), 0.7, 0.5),
        _shown(folder, "desk-wrong", "desk", word("loss", -1.5), 0.7, 0.5),
    ]
    facts = {
        "state": "1",
        "title": "made up",
        "questions": {"q": QUESTION},
        "views": ["yaw 45, elevation 20"],
    }
    calm = [one.model_copy(update={"word": word(one.word.outcome, 0.1)}) for one in many(others)]
    return PairIndex.write(folder / "pairs.sqlite", [*entries, *calm], facts)


def _shown(folder: Path, name: str, category: str, said: object, x_score: float, y_score: float) -> Entry:
    sides = {}
    for side, score, sections in (("x", x_score, 24), ("y", y_score, 6)):
        path = folder / f"{name}-{side}"
        made = trimesh.creation.cylinder(radius=0.3, height=1.0, sections=sections)
        colors = np.full((len(made.vertices), 3), (200, 90, 40), dtype=np.uint8)
        mesh = Mesh(made.vertices.astype(np.float32), made.faces.astype(np.int32), colors)
        write_mesh(mesh, path.with_suffix(".glb"))
        shades = np.full((2, 64, 64, 3), 255, dtype=np.uint8)
        shades[0, 16:48, 16:48], shades[1, 8:24, 8:24] = (90, 90, 250), (250, 90, 90)
        write_montages(path.with_suffix(".png"), shades)
        shown = {"mesh": f"{path}.glb", "montages": {"normal": f"{path}.png"}}
        sides[side] = shape({"x": "repair", "y": "base"}[side], f"{name}-{side}", score, **shown)
    for kind, alpha in (("photo", 255), ("degraded", 120)):
        image = Image.new("RGBA", (96, 96))
        ImageDraw.Draw(image).rectangle((20, 10, 70, 80), fill=(180, 120, 60, alpha))
        image.save(folder / f"{name}-{kind}.png")
    pictures = {"reference": f"{folder / name}-photo.png", "condition": f"{folder / name}-degraded.png"}
    return entry(name, object=name, category=category, word=said, **sides, **pictures)


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an application on loopback and yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


@contextmanager
def serving_files(folder: Path) -> Iterator[str]:
    """Serve a folder as any web server does, and yield its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *values: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
