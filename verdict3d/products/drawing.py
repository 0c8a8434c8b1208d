"""A mesh file drawn into a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.mesh.axes import Up
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import Mesh, normalize
from verdict3d.records.files import replacing
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera

RIG_COLUMNS = 8


def render_file(
    mesh_path: Path,
    output: Path,
    *,
    view: str,
    mode: str,
    size_px: int,
    yaw_deg: float,
    elevation_deg: float,
    up: Up = "auto",
) -> list[str]:
    """Draw a mesh file into a PNG.

    Args:
        mesh_path: GLB, glTF, OBJ, PLY or STL file.
        output: PNG file to write.
        view: ``condition`` (one view, transparent), ``montage`` (the judge's 2x2) or ``rig`` (all 24 views).
        mode: ``normal``, ``clay``, ``rgb`` or ``splat``.
        size_px: Side of one view.
        yaw_deg: Yaw of the condition view.
        elevation_deg: Elevation of the condition view.
        up: Axis of the file that points up.

    Returns:
        What was changed or guessed while reading the mesh.

    Raises:
        Verdict3DError: The mesh cannot be read or drawn, or ``output`` is no PNG.
    """
    if output.suffix.lower() != ".png":
        raise Verdict3DError(f"{output}: pictures are written as .png")
    mesh = read_one(mesh_path, up)
    renderer = Renderer()
    picture: NDArray[np.uint8]
    if view == "condition":
        picture = renderer.render(normalize(mesh), Camera(yaw_deg, elevation_deg), mode, size_px)
    elif view == "montage":
        picture = renderer.montage(mesh, mode, size_px)
    else:
        tiles = renderer.rig_views(mesh, mode, size_px).reshape(-1, RIG_COLUMNS, size_px, size_px, 3)
        picture = tiles.swapaxes(1, 2).reshape(-1, RIG_COLUMNS * size_px, 3)
    with replacing(output) as temporary:
        Image.fromarray(picture).save(temporary)
    return list_notes(mesh_path, mesh)


def list_notes(path: Path, mesh: Mesh) -> list[str]:
    """Return what was changed or guessed while a mesh was read."""
    return [f"{path}: {note.kind}: {note.text}" for note in mesh.notes]


def read_one(path: Path, up: Up) -> Mesh:
    """Read a mesh file.

    Raises:
        Verdict3DError: It cannot be read.
    """
    try:
        return read_mesh(path, up_axis=up)
    except ItemFailure as failure:
        raise Verdict3DError(f"{path}: {failure.reason}: {failure}") from failure
