"""Pairs for people with real small meshes, and answers, made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image, ImageDraw

from support.rows import filled
from verdict3d.mesh.files import write_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.records.verdicts import Compared
from verdict3d.records.votes import Vote
from verdict3d.votes.pairs import AskedPair

ARMS = ("zephyr_arm", "quartz_arm")
AGAINST = "obsidian_base"


def asked_pair(number: int, arm: str = ARMS[0], regime: str = "severe", **values: Any) -> AskedPair:
    """A pair of an arm and the base, without files."""
    common: dict[str, Any] = {
        **{"place": "evaluate", "group": "", "arm": arm, "against": AGAINST, "regime": regime},
        **{"object": f"chair-{number:03d}", "category": "chair", "photo": None},
        "x": Compared(generation=f"{arm}-{number}", mesh_digest=f"{arm}-{regime}-{number}"),
        "y": Compared(generation=f"{AGAINST}-{number}", mesh_digest=f"{AGAINST}-{regime}-{number}"),
        "x_mesh": Path(f"{arm}-{number}.glb"),
        "y_mesh": Path(f"{AGAINST}-{number}.glb"),
    }
    return AskedPair(**common | values)


def write_pairs(folder: Path, count: int, known: int) -> tuple[list[AskedPair], list[AskedPair]]:
    """Write pairs of a round mesh (X) and one of few sides (Y), of which some are known."""
    paths = {}
    for side, sections in (("x", 20), ("y", 5)):
        made = trimesh.creation.cylinder(radius=0.3, height=1.0, sections=sections)
        colors = np.full((len(made.vertices), 3), (200, 90, 40), dtype=np.uint8)
        mesh = Mesh(made.vertices.astype(np.float32), made.faces.astype(np.int32), colors)
        paths[side] = folder / f"{(ARMS[0], AGAINST)[side == 'y']}.glb"
        write_mesh(mesh, paths[side])
    image = Image.new("RGBA", (96, 96))
    ImageDraw.Draw(image).ellipse((20, 10, 70, 80), fill=(180, 120, 60, 255))
    photo = folder / f"{ARMS[0]}-photo.png"
    image.save(photo)
    files = {"photo": photo, "x_mesh": paths["x"], "y_mesh": paths["y"]}
    pairs = [asked_pair(number, **files) for number in range(count)]
    answers = [asked_pair(900 + number, **files, place="known", known="x") for number in range(known)]
    return pairs, answers


def vote(person: str = "p", number: int = 0, choice: str = "x", **values: Any) -> Vote:
    """An answer about :func:`asked_pair`."""
    pair = asked_pair(number, values.pop("arm", ARMS[0]), values.pop("regime", "severe"))
    about = {
        name: getattr(pair, name)
        for name in ("place", "group", "arm", "against", "regime", "object", "category", "x", "y")
    }
    common = {"id": f"{person}-{number}", "person": person, "at": "2026-01-31T12:00:00Z", "seconds": 5.0}
    given = {"first": "x", "choice": choice, "known": None, "replaces": None}
    return filled(Vote, **about | common | given | values)
