"""A generator that needs no network, to try the chain with: the object's own mesh, warped.

    python examples/warped_copy.py PHOTO SEED OUTPUT --amplitude 0.06

The photo's name is that of an object of the project; its mesh in ``data/assets/meshes`` is bent by smooth
waves, whose directions, phases and strength the seed draws. Same photo, seed and amplitude, same bytes. Reads
and writes GLB as this project writes it, with NumPy alone: it is started once for each photo.
"""

from __future__ import annotations

import argparse
import json
import struct
from pathlib import Path

import numpy as np

MESHES = Path("data/assets/meshes")
WAVES = 6
HEAD, CHUNK = struct.Struct("<4sII"), struct.Struct("<I4s")


def warp(points: np.ndarray, seed: int, amplitude: float) -> np.ndarray:
    """Return points (V, 3) in the unit box moved by smooth waves; points that coincide stay together."""
    rng = np.random.default_rng(seed)
    strength = amplitude * rng.uniform(0.3, 1.7) / np.sqrt(WAVES)
    moved = points.astype(np.float64)
    for _ in range(WAVES):
        direction, shift = rng.normal(size=3), rng.normal(size=3)
        phase = points @ direction * rng.uniform(4, 9) + rng.uniform(0, 2 * np.pi)
        moved += strength * shift * np.sin(phase)[:, None]
    return moved.astype(np.float32)


def warp_glb(content: bytes, seed: int, amplitude: float) -> bytes:
    """Return a GLB with the positions of all its primitives warped."""
    size, _ = CHUNK.unpack_from(content, HEAD.size)
    start = HEAD.size + CHUNK.size
    document = json.loads(content[start : start + size])
    body = bytearray(content)
    binary = start + size + CHUNK.size
    for mesh in document["meshes"]:
        for primitive in mesh["primitives"]:
            accessor = document["accessors"][primitive["attributes"]["POSITION"]]
            view = document["bufferViews"][accessor["bufferView"]]
            place = binary + view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
            count = accessor["count"] * 12
            points = np.frombuffer(body[place : place + count], dtype="<f4").reshape(-1, 3)
            body[place : place + count] = warp(points, seed, amplitude).astype("<f4").tobytes()
    return bytes(body)


def main() -> None:
    """Warp the mesh of one photo."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("output", type=Path)
    parser.add_argument("--amplitude", type=float, default=0.06, help="in sides of the unit box")
    asked = parser.parse_args()
    name = asked.photo.stem
    source = next((path for path in MESHES.glob("*.glb") if name == path.stem), None)
    if source is None:
        raise SystemExit(f"no {name}.glb in {MESHES}")
    asked.output.write_bytes(warp_glb(source.read_bytes(), asked.seed, asked.amplitude))


if __name__ == "__main__":
    main()
