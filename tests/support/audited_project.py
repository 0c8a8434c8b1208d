"""A project ready for an audit, without a generator: the base's generations are the assets' own meshes.

The judges are the shipped ones, which have learned from such furniture. A generation from a degraded picture
is a damaged copy; the two seeds of the base are two roughened ones.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from PIL import Image

from support.places import ROOT
from support.rows import filled
from verdict3d.config import Params, load_params
from verdict3d.furniture.catalogue import CATEGORIES, make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.accuracy import compare_meshes, sample_true_surface
from verdict3d.mesh.damage import damage
from verdict3d.mesh.files import write_mesh
from verdict3d.mesh.mesh import Mesh, mesh_digest
from verdict3d.randomness import numpy_generator
from verdict3d.records.assets import Asset
from verdict3d.records.generations import Generation
from verdict3d.records.record import write_rows
from verdict3d.render.montage_files import write_montages
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera, Rig

TOP = ROOT


def write_audited_project(root: Path, objects: int = 8, views: int = 1) -> Params:
    """Write parameters, assets and generations below ``root`` and return the parameters."""
    values = yaml.safe_load((TOP / "params.yaml").read_text())
    for role in ("training", "evaluation"):
        values["judges"][role].update(
            device="cpu", views=views, model=str(TOP / values["judges"][role]["model"])
        )
    values["audit"].update(rows_per_defect=1, compared=2, copies=3, coloured=4, allow_uncertified=False)
    values["evaluate"]["bootstrap"] = 200
    values["generate"]["heldout_regimes"] = ["clean", "severe"]
    root.mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    renderer, assets, generations = Renderer(Rig(view_px=values["judges"]["view_px"])), [], []
    for number in range(objects):
        category = CATEGORIES[number % len(CATEGORIES)]
        name, rng = f"{category}-{number:05d}", numpy_generator(5, "audited", number)
        mesh = mesh_from_parts(make_furniture(category, rng))
        condition = f"data/assets/conditions/{name}.png"
        (root / condition).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(renderer.condition(mesh, Camera(35.0, 20.0), 256)).save(root / condition)
        path = f"data/assets/meshes/{name}.glb"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        write_mesh(mesh, root / path)
        about = {"id": name, "category": category, "split": "heldout", "mesh": path}
        assets.append(filled(Asset, **about, condition=condition))
        made = {
            ("heldout", "clean"): damage(mesh, "rough_surface", 1, rng),
            ("heldout_control", "clean"): damage(mesh, "rough_surface", 1, rng),
            ("heldout", "severe"): damage(mesh, "missing_parts", 4, rng),
        }
        generations += [
            _generation(root, renderer, assets[-1], role, regime, shape, mesh)
            for (role, regime), shape in made.items()
        ]
    write_rows(root / "data/assets/assets.jsonl", assets)
    write_rows(root / "data/generate/generations.jsonl", generations)
    return load_params(root / "params.yaml")


def _generation(
    root: Path, renderer: Renderer, asset: Asset, role: str, regime: str, mesh: Mesh, truth: Mesh
) -> Generation:
    name = f"{asset.id}-{role}-{regime}"
    paths = {"mesh": f"data/generate/meshes/{name}.glb", "normal": f"data/generate/montages/{name}.png"}
    for path in paths.values():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
    write_mesh(mesh, root / paths["mesh"])
    write_montages(root / paths["normal"], renderer.montages(mesh))
    return filled(
        Generation,
        id=name,
        asset=asset.id,
        category=asset.category,
        split="heldout",
        regime=regime,
        role=role,
        mesh=paths["mesh"],
        mesh_digest=mesh_digest(mesh),
        montage=paths["normal"],
        montages={"normal": paths["normal"]},
        truth=compare_meshes(mesh, sample_true_surface(truth, 0, 2000), 0, 2000),
    )
