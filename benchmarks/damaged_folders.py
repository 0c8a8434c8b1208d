"""Folders of known order for `verdict3d compare`: `python -m benchmarks.damaged_folders MESHES OUT`.

Of a folder of meshes: `photos` (a view of each, transparent around it), `grade-0` (the meshes as they are
read) and `grade-1`, `grade-3`, `grade-5` (copies with damage of that grade, all kinds in turn, grown from the
same random numbers). Meshes that cannot be read are left out and named.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from verdict3d.errors import ItemFailure
from verdict3d.mesh.damage import KINDS, damage
from verdict3d.mesh.files import read_mesh, write_mesh
from verdict3d.mesh.mesh import SUFFIXES, normalize
from verdict3d.pretrain.rows import draw_camera
from verdict3d.randomness import numpy_generator
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Rig

PHOTO_PX = 512


def write_folders(source: Path, target: Path, objects: int, grades: list[int]) -> None:
    """Write photos and a folder for each grade, 0 for the meshes themselves."""
    renderer = Renderer(Rig())
    for name in ("photos", *(f"grade-{grade}" for grade in grades)):
        (target / name).mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
    for number, path in enumerate(tqdm(files[:objects], unit="object", mininterval=1.0)):
        try:
            mesh = normalize(read_mesh(path))
            photo = renderer.condition(mesh, draw_camera(numpy_generator(0, "photo", path.stem)), PHOTO_PX)
        except ItemFailure as failure:
            print(f"{path.name}: {failure}")
            continue
        Image.fromarray(photo).save(target / "photos" / f"{path.stem}.png")
        for grade in grades:
            kind = tuple(KINDS)[number % len(KINDS)]
            rng = numpy_generator(0, "grade", path.stem)
            shown = damage(mesh, kind, grade, rng) if grade else mesh
            write_mesh(shown, target / f"grade-{grade}" / f"{path.stem}.glb")


def main() -> None:
    """Write the folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="Folder of meshes.")
    parser.add_argument("target", type=Path, help="Folder to write to.")
    parser.add_argument("--objects", type=int, default=48, help="Meshes at most.")
    parser.add_argument("--grades", type=int, nargs="+", default=[0, 1, 3, 5], help="Grades of damage.")
    given = parser.parse_args()
    write_folders(given.source, given.target, given.objects, given.grades)


if __name__ == "__main__":
    main()
