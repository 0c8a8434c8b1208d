"""Photos and two folders of meshes to try things on: furniture, and the same with parts cut away.

    python examples/two_folders.py FOLDER

writes FOLDER/photos, FOLDER/june (the objects) and FOLDER/july (each damaged more than the one before it).
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from verdict3d import write_mesh
from verdict3d.furniture.catalogue import make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.damage import damage
from verdict3d.mesh.mesh import normalize
from verdict3d.randomness import numpy_generator
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera

KINDS = ("chair", "table", "lamp", "sofa", "shelf", "bed")


def write_folders(folder: Path, kinds: tuple[str, ...] = KINDS) -> None:
    """Write the photos and both folders.

    Args:
        folder: Made when missing.
        kinds: Kinds of furniture, one object of each.
    """
    for name in ("photos", "june", "july"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    renderer = Renderer()
    for number, kind in enumerate(kinds):
        mesh = normalize(mesh_from_parts(make_furniture(kind, numpy_generator(7, "example", kind))))
        photo = renderer.condition(mesh, Camera(30, 20), 256)
        Image.fromarray(photo).save(folder / "photos" / f"{kind}.png")
        worse = damage(mesh, "cut_away", 1 + number % 5, numpy_generator(7, "example_damage", kind))
        write_mesh(mesh, folder / "june" / f"{kind}.glb")
        write_mesh(worse, folder / "july" / f"{kind}.glb")


if __name__ == "__main__":
    write_folders(Path(sys.argv[1]))
