"""What becomes of one generated mesh in a helper process: pictures, measures beside the truth, a file.

Each function is one task; a helper keeps its OpenGL context from task to task. Nothing here needs the
networks, so that a batch is drawn, measured and written while the next one is in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tasks.making.shared_meshes import SharedMesh
from verdict3d.errors import ItemFailure
from verdict3d.mesh.accuracy import Surface, compare_meshes, sample_true_surface
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import mesh_digest, normalize
from verdict3d.mesh.writers.glb import encode_glb
from verdict3d.records.generations import Truth
from verdict3d.render.montage_files import write_montages
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Rig

TRUTH_POINTS = 4000
"""Surface points for the measures: F-score to about 0.01, at a fraction of the time of generating."""


@cache
def open_renderer(view_px: int) -> Renderer:
    """Return this process's renderer of montages with views of ``view_px`` pixels."""
    return Renderer(Rig(view_px=view_px))


def sample_truth(path: Path, seed: int) -> Surface | ItemFailure:
    """Return the surface of the true mesh in a file, or why there is none."""
    try:
        return sample_true_surface(read_mesh(path), seed, TRUTH_POINTS)
    except ItemFailure as failure:
        return failure


def draw(
    mesh: SharedMesh, views: Mapping[str, int], files: Mapping[str, Path], px: int
) -> ItemFailure | None:
    """Write the montages of a mesh, or say why not.

    Args:
        mesh: The mesh.
        views: What is drawn: modes, with the number of view sets.
        files: The file of each mode.
        px: Side of one of a montage's four views, in pixels.
    """
    whole = mesh.open()
    try:
        drawn = {mode: open_renderer(px).montages(whole, mode, sets) for mode, sets in views.items()}
    except ItemFailure as failure:
        return failure
    for mode, pictures in drawn.items():
        write_montages(files[mode], pictures)
    return None


def measure(mesh: SharedMesh, truth: Surface | ItemFailure, seed: int) -> Truth | ItemFailure:
    """Return a mesh's measures beside the true surface, or why there are none."""
    try:
        if isinstance(truth, ItemFailure):
            return truth
        return compare_meshes(normalize(mesh.open()), truth, seed, TRUTH_POINTS)
    except ItemFailure as failure:
        return failure


def write(mesh: SharedMesh, path: Path) -> str:
    """Write a mesh as GLB and return the digest of its arrays."""
    whole = mesh.open()
    path.write_bytes(encode_glb(whole))
    return mesh_digest(whole)
