"""What is read of folders of meshes, beside trimesh.

    python -m benchmarks.meshes_read FOLDER [FOLDER ...] [--again]

A file differs when its area, or an extent of its box, is not within 1% of what trimesh reads (extents by
size, so the up axis does not matter). Where trimesh fails, there is nothing to compare with. With ``--again``
trimesh also writes what it reads as OBJ, PLY and STL, with y up in each, and it is counted how many of these
stand as the files themselves do.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh

from verdict3d.config_generators import MeshLimits
from verdict3d.errors import ItemFailure
from verdict3d.library import mesh_paths
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.sampling import compute_areas_and_normals

TOLERANCE = 0.01


@dataclass(frozen=True)
class FileRead:
    path: Path
    refused: str | None = None
    kinds: tuple[str, ...] = ()
    seconds: float = 0.0
    beside: str = "same"  # or: differs, trimesh fails
    words: str = ""


def measure(area: float, extents: np.ndarray) -> np.ndarray:
    return np.append(np.sort(extents), np.sqrt(area))


def examine(path: Path) -> FileRead:
    start = time.perf_counter()
    try:
        mesh = read_mesh(path, MeshLimits())
    except ItemFailure as failure:
        return FileRead(path, refused=failure.reason, words=str(failure))
    seconds = time.perf_counter() - start
    kinds = tuple(sorted({note.kind for note in mesh.notes}))
    try:
        scene = trimesh.load_scene(path, process=False)
        other = scene.to_mesh()
        theirs = measure(float(other.area), other.extents)
    except Exception as error:
        return FileRead(path, None, kinds, seconds, "trimesh fails", f"{type(error).__name__}: {error}")
    ours = measure(
        float(compute_areas_and_normals(mesh)[0].sum()), np.ptp(mesh.vertices.astype(np.float64), axis=0)
    )
    apart = np.abs(ours - theirs) > TOLERANCE * np.maximum(np.abs(theirs), TOLERANCE * theirs.max())
    words = (
        f"ours {np.round(ours, 4).tolist()}, trimesh {np.round(theirs, 4).tolist()}" if apart.any() else ""
    )
    return FileRead(path, None, kinds, seconds, "differs" if apart.any() else "same", words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--again", action="store_true", help="also what trimesh writes as OBJ, PLY and STL")
    options = parser.parse_args()
    logging.getLogger("trimesh").setLevel(logging.CRITICAL)
    columns = [
        "files",
        "read",
        "of these with notes",
        "refused",
        "differ from trimesh",
        "trimesh fails",
        "slowest, s",
    ]
    print("| " + " | ".join(["folder", *columns]) + " |")
    print("|" + "---|" * (len(columns) + 1))
    named = [line for folder in options.folders for line in describe(folder, folder.name)]
    if options.again:
        for folder in options.folders:
            named += describe_again(folder)
    print("\n" + "\n".join(named))


def describe(folder: Path, title: str) -> list[str]:
    """Print the row of a folder, and return a line for each file that is refused or differs."""
    outcomes = [examine(path) for path in mesh_paths(folder)]
    read = [one for one in outcomes if one.refused is None]
    refused = Counter(one.refused for one in outcomes if one.refused is not None)
    kinds = Counter(kind for one in read for kind in one.kinds)
    beside = Counter(one.beside for one in read)
    cells = [
        title,
        len(outcomes),
        len(read),
        count_notes(sum(bool(one.kinds) for one in read), kinds),
        count_notes(refused.total(), refused),
        beside["differs"],
        beside["trimesh fails"],
        f"{max((one.seconds for one in read), default=0.0):.2f}",
    ]
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    return [
        f"{one.path.relative_to(folder)}: {one.refused or one.beside}: {one.words}"
        for one in outcomes
        if one.refused or one.beside != "same"
    ]


def describe_again(folder: Path) -> list[str]:
    lines = []
    for suffix in (".obj", ".ply", ".stl"):
        with tempfile.TemporaryDirectory() as place:
            upright = written = 0
            for number, path in enumerate(mesh_paths(folder)):
                target = Path(place, f"{number}{suffix}")
                try:
                    mesh = read_mesh(path)
                    trimesh.load_scene(path, process=False).to_mesh().export(target)
                    again = read_mesh(target)
                except Exception:  # the first table names what cannot be read
                    target.unlink(missing_ok=True)
                    continue
                sides = (np.ptp(one.vertices, axis=0) for one in (mesh, again))
                written, upright = written + 1, upright + bool(np.allclose(*sides, rtol=TOLERANCE, atol=1e-6))
            lines += describe(Path(place), f"{folder.name} as {suffix}")
            lines.append(f"{folder.name} as {suffix}: {upright} of {written} stand as the files themselves")
    return lines


def count_notes(total: int, kinds: Counter[str]) -> str:
    names = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return f"{total} ({names})" if names else str(total)


if __name__ == "__main__":
    main()
