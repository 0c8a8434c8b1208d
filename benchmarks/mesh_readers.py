"""Mesh files of a folder, read by this project and by trimesh: what is refused, noted, and seen otherwise.

    python -m benchmarks.mesh_readers FOLDER [-v]

trimesh reads each file with whatever lies beside it. A file differs where the area, or a side of the bounding
box in the file's own frame, is more than 1% off. Skins, morphs, instances, transparency and hidden nodes are
known to differ: trimesh does not look at them.
"""

from __future__ import annotations

import argparse
import logging
import sys
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


def read_with_trimesh(path: Path) -> tuple[float, np.ndarray]:
    """Return area and sorted sides of the box, as trimesh reads a file."""
    shape = trimesh.load_scene(path).to_geometry()
    return float(shape.area), np.sort(shape.extents)


def measure_difference(mesh: Mesh, area: float, sides: np.ndarray) -> float:
    """Return by what share area or sides differ at most."""
    ours = float(compute_areas_and_normals(mesh)[0].sum())
    used = mesh.vertices[np.unique(mesh.faces)]
    apart = np.abs(np.sort(np.ptp(used, axis=0)) - sides).max() / max(sides.max(), 1e-30)
    return max(abs(ours - area) / max(area, 1e-30), float(apart))


def main() -> int:
    """Read a folder and print one row of a table, and with ``-v`` a line for each file that is not plain."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="name files with notes, reasons, differences"
    )
    options = parser.parse_args()
    logging.getLogger("trimesh").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    found: Counter[str] = Counter()
    seconds = {"ours": 0.0, "trimesh": 0.0}
    for path in mesh_paths(options.folder):
        said = ""
        mesh = None
        start = time.process_time()
        try:
            mesh = read_mesh(path, up_axis=GLTF_UP if path.suffix.lower() in GLTF_SUFFIXES else "z")
            found["noted" if mesh.notes else "plain"] += 1
            said = "; ".join(note.text for note in mesh.notes)
        except ItemFailure as failure:
            found["refused"] += 1
            said = f"refused: {failure}"
        middle = time.process_time()
        try:
            other = read_with_trimesh(path)
        except Exception as error:
            found["trimesh refuses"] += 1
            said += f"; trimesh: {type(error).__name__}"
        else:
            if mesh is not None and (apart := measure_difference(mesh, *other)) > APART:
                found["differ"] += 1
                said += f"; {apart:.1%} from trimesh"
        seconds["ours"] += middle - start
        seconds["trimesh"] += time.process_time() - middle
        if said and options.verbose:
            print(f"{path.relative_to(options.folder)}: {said}")
    columns = ("plain", "noted", "refused", "differ", "trimesh refuses")
    print(
        "| read | read with notes | refused | differ from trimesh | trimesh refuses | seconds | trimesh's |"
    )
    print("|---|---|---|---|---|---|---|")
    counts = " | ".join(str(found[name]) for name in columns)
    print(f"| {counts} | {seconds['ours']:.2f} | {seconds['trimesh']:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
