"""Mesh files of a folder, read by this project, trimesh and Assimp: what is refused, noted, seen otherwise.

    python -m benchmarks.mesh_readers FOLDER [FOLDER ...] [-v] [--again]

The others read each file with whatever lies beside it. A file differs where the area, or a side of the
bounding box in the file's own frame, is more than 1% off. Skins, instances, transparency, hidden nodes and
levels of detail are known to differ: the others do not look at them. With ``--again`` trimesh also writes
what it reads as OBJ, PLY and STL, with y up in each, and it is counted how many stand as the files do.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import trimesh

from verdict3d.errors import ItemFailure
from verdict3d.library import mesh_paths
from verdict3d.mesh.axes import GLTF_UP
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import GLTF_SUFFIXES, Mesh
from verdict3d.mesh.sampling import compute_areas_and_normals

APART = 0.01
LONGEST_S = 60
ASSIMP = """
import json, sys, time
import assimp_py
import numpy as np
start = time.process_time()
flat = assimp_py.Process_Triangulate | assimp_py.Process_PreTransformVertices | assimp_py.Process_SortByPType
corners = [
    np.asarray(shape.vertices, np.float64).reshape(-1, 3)[np.asarray(shape.indices).reshape(-1, 3)]
    for shape in assimp_py.import_file(sys.argv[1], flat).meshes
    if len(shape.indices) % 3 == 0
]
found = np.concatenate(corners)
area = np.linalg.norm(np.cross(found[:, 1] - found[:, 0], found[:, 2] - found[:, 0]), axis=1).sum() / 2
sides = np.sort(np.ptp(found.reshape(-1, 3), axis=0)).tolist()
print(json.dumps([area, sides, time.process_time() - start]))
"""
"""In a process of its own: it is C++, and these files are anything."""

Read = tuple[float, np.ndarray, float]
"""Area, sorted sides of the box, seconds of a processor."""


def read_with_trimesh(path: Path) -> Read:
    """Return what trimesh sees in a file."""
    start = time.process_time()
    shape = trimesh.load_scene(path).to_geometry()
    return float(shape.area), np.sort(shape.extents), time.process_time() - start


def read_with_assimp(path: Path) -> Read:
    """Return what Assimp sees in a file."""
    done = subprocess.run(
        [sys.executable, "-c", ASSIMP, str(path)], capture_output=True, check=True, timeout=LONGEST_S
    )
    area, sides, seconds = json.loads(done.stdout)
    return area, np.array(sides), seconds


OTHERS = {"trimesh": read_with_trimesh, "Assimp": read_with_assimp}
COLUMNS = (
    "read",
    "read with notes",
    "refused",
    *(f"differ from {name}" for name in OTHERS),
    *(f"{name} refuses" for name in OTHERS),
)


def measure_difference(mesh: Mesh, area: float, sides: np.ndarray) -> float:
    """Return by what share area or sides differ at most."""
    ours = float(compute_areas_and_normals(mesh)[0].sum())
    used = mesh.vertices[np.unique(mesh.faces)]
    apart = np.abs(np.sort(np.ptp(used, axis=0)) - sides).max() / max(sides.max(), 1e-30)
    return max(abs(ours - area) / max(area, 1e-30), float(apart))


def compare_readers(folder: Path, title: str, verbose: bool) -> None:
    """Read a folder and print its row of the table, and a line for each file that is not plain."""
    found: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for path in mesh_paths(folder):
        said = []
        mesh = None
        start = time.process_time()
        try:
            mesh = read_mesh(path, up_axis=GLTF_UP if path.suffix.lower() in GLTF_SUFFIXES else "z")
            found["read with notes" if mesh.notes else "read"] += 1
            said += [note.text for note in mesh.notes]
        except ItemFailure as failure:
            found["refused"] += 1
            said.append(f"refused: {failure}")
        seconds["ours"] += time.process_time() - start
        for name, read in OTHERS.items():
            try:
                area, sides, took = read(path)
            except Exception as error:
                found[f"{name} refuses"] += 1
                said.append(f"{name}: {type(error).__name__}")
                continue
            seconds[name] += took
            if mesh is not None and (apart := measure_difference(mesh, area, sides)) > APART:
                found[f"differ from {name}"] += 1
                said.append(f"{apart:.1%} from {name}")
        if said and verbose:
            print(f"{path.relative_to(folder)}: {'; '.join(said)}")
    cells = [title, *(str(found[name]) for name in COLUMNS)]
    print(f"| {' | '.join([*cells, *(f'{seconds[name]:.2f}' for name in ('ours', *OTHERS))])} |", flush=True)


def compare_again(folder: Path, verbose: bool) -> None:
    """Do the same with what trimesh writes of a folder, and print how many of it stand as the files do."""
    for suffix in (".obj", ".ply", ".stl"):
        with tempfile.TemporaryDirectory() as place:
            upright = written = 0
            for number, path in enumerate(mesh_paths(folder)):
                target = Path(place, f"{number}{suffix}")
                try:
                    mesh = read_mesh(path)
                    trimesh.load_scene(path, process=False).to_mesh().export(target)
                    again = read_mesh(target)
                except Exception:  # the folder's own row counts what cannot be read
                    target.unlink(missing_ok=True)
                    continue
                sides = (np.ptp(one.vertices, axis=0) for one in (mesh, again))
                written, upright = written + 1, upright + bool(np.allclose(*sides, rtol=APART, atol=1e-6))
            title = f"{folder.name} as {suffix} ({upright} of {written} stand as the files do)"
            compare_readers(Path(place), title, verbose)


def main() -> int:
    """Print the table, and with ``-v`` a line for each file that is not plain."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="name files with notes, reasons, differences"
    )
    parser.add_argument("--again", action="store_true", help="also what trimesh writes as OBJ, PLY and STL")
    options = parser.parse_args()
    logging.getLogger("trimesh").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    print(f"| {' | '.join(['folder', *COLUMNS, 'seconds: ours', *OTHERS])} |")
    print("|" + "---|" * (len(COLUMNS) + 2 + len(OTHERS)))
    for folder in options.folders:
        compare_readers(folder, folder.name, options.verbose)
        if options.again:
            compare_again(folder, options.verbose)
    return 0


if __name__ == "__main__":
    sys.exit(main())
