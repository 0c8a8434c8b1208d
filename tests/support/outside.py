"""Outside generators for tests: small programs, and what is said of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from verdict3d.config_generators import AnyOutside

SAID = {
    "name": "boxes",
    "version": "1",
    "determinism": "bitwise",
    "frame": {"up": "z", "front": "-y"},
    "surface": "none",
    "licence": "CC0",
}
BOX = """\
# a box whose width depends on the seed, as PLY; some photos and seeds go wrong on purpose
import os, sys, time
from pathlib import Path

photo, seed, output = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
assert photo.read_bytes().startswith(b"\\x89PNG")
if photo.stem.startswith("hangs"):
    Path("hanging").write_text("1")
    time.sleep(600)
if photo.stem.startswith("fails"):
    sys.exit("no box for this photo")
if photo.stem.startswith("once") and not Path("tried").exists():
    Path("tried").touch()
    sys.exit("not yet")
if len(sys.argv) > 4 and photo.stem == sys.argv[4]:
    sys.exit("no box for this photo")
shift = os.environ.get("BOX_SHIFT", "0")
shift = os.urandom(1)[0] if shift == "random" else int(shift)
width = 0.2 + (seed + shift) % 7 / 10
corners = [(x * width, y * 0.5, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
head = ["ply", "format ascii 1.0", "element vertex 8", *(f"property float {a}" for a in "xyz"),
        "element face 6", "property list uchar int vertex_indices", "end_header"]
if photo.stem.startswith("breaks"):
    output.write_text("ply\\nformat ascii 1.0\\nelement vertex")
elif not photo.stem.startswith("silent"):
    rows = [" ".join(map(str, row)) for row in corners] + [f"4 {a} {b} {c} {d}" for a, b, c, d in faces]
    output.write_text("\\n".join([*head, *rows, ""]))
"""


def outside(**settings: Any) -> AnyOutside:
    """Parameters of an outside generator; what is not given is as in :data:`SAID`."""
    made: AnyOutside = TypeAdapter(AnyOutside).validate_python({**SAID, **settings})
    return made


def box_settings(root: Path, **settings: Any) -> dict[str, Any]:
    """Write the program that makes boxes below ``root``; return the values of a generator that runs it."""
    script = root / "data/generators/box.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(BOX)
    run = [sys.executable, "data/generators/box.py", "{photo}", "{seed}", "{output}"]
    return {**SAID, "kind": "command", "run": run, "suffix": ".ply", **settings}
