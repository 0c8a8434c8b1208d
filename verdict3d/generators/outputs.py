"""Mesh files of an outside generator: untrusted, read with budgets, turned into the object frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from verdict3d.config_generators import OutsideParams
from verdict3d.errors import ItemFailure
from verdict3d.mesh.axes import turn_front
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import SUFFIXES, Mesh, MeshOrFailure, normalize


def read_output(path: Path, settings: OutsideParams) -> MeshOrFailure:
    """Return the mesh in a file that a generator left, its longest side 1, or why there is none."""
    try:
        if not path.is_file() or path.stat().st_size == 0:
            raise ItemFailure("missing_mesh", f"{settings.name} left no mesh in {path.name}")
        mesh = normalize(read_mesh(path, settings.limits, settings.frame.up))
        return prepare(mesh, settings)
    except ItemFailure as failure:
        return failure
    except MemoryError:
        return ItemFailure("out_of_memory", f"{path.name} needs more memory than there is; lower limits")


def prepare(mesh: Mesh, settings: OutsideParams) -> Mesh:
    """Return a mesh turned so that its front is ours, without colours where it is to have none."""
    mesh = replace(mesh, vertices=turn_front(mesh.vertices, settings.frame.up, settings.frame.front))
    if settings.surface == "none":
        mesh = replace(mesh, colors=None, uv=None, texture=None)
    return mesh


def find_output(folder: Path, stem: str) -> Path | None:
    """Return the mesh file of a stem in a folder, the first by suffix; None where there is none."""
    return next((path for suffix in SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)
