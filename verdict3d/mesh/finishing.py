"""Optional finishing of meshes for use elsewhere: floaters removed, holes filled, fewer faces.

Off by default, and never applied to meshes that are judged or measured: it would hide what a generator does.
trimesh (MIT) fills holes and finds parts, fast-simplification (MIT, an optional extra) reduces faces (
quadric error metrics, Garland and Heckbert 1997).
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from verdict3d.config_inputs import FinishParams
from verdict3d.errors import missing_extra
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.sampling import compute_areas_and_normals
from verdict3d.mesh.soundness import find_components, weld

_LIBRARIES = ("trimesh", "fast-simplification")


def check_finish(params: FinishParams) -> None:
    """Check that the finishing that ``params`` asks for is possible.

    Raises:
        Verdict3DError: ``faces`` is set and fast-simplification is not installed.
    """
    if params.faces is not None:
        try:
            import fast_simplification  # noqa: F401
        except ImportError as error:
            raise missing_extra(
                "finish", f"photos.finish.faces needs fast-simplification ({error})"
            ) from error


def finish_identity(params: FinishParams) -> list[Any]:
    """Return what finished meshes depend on: parameters and, if any is set, the libraries' versions."""
    wished = params.model_dump(mode="json")
    return [wished, [_find_version(name) for name in _LIBRARIES] if params != FinishParams() else []]


def finish_mesh(mesh: Mesh, params: FinishParams) -> Mesh:
    """Remove floaters, fill holes and reduce faces, in this order, each only if ``params`` asks for it.

    Args:
        mesh: With at least one face and no texture; colours follow, new vertices take the nearest one's.
        params: When all are off, the mesh itself comes back.

    Raises:
        Verdict3DError: As :func:`check_finish`.
    """
    if params == FinishParams():
        return mesh
    import trimesh

    check_finish(params)
    made = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    if params.floater_share is not None:
        made.update_faces(_mark_large_parts(mesh, params.floater_share))
        made.remove_unreferenced_vertices()
    if params.fill_holes:
        trimesh.repair.fill_holes(made, use_fan=True)
    if params.faces is not None and len(made.faces) > params.faces:
        made = made.simplify_quadric_decimation(face_count=params.faces)
    vertices = np.asarray(made.vertices, dtype=np.float32)
    colors = None if mesh.colors is None else mesh.colors[KDTree(mesh.vertices).query(vertices)[1]]
    return Mesh(vertices, np.asarray(made.faces, dtype=np.int32), colors)


def _mark_large_parts(mesh: Mesh, share: float) -> NDArray[np.bool_]:
    """Mark the faces (F,) of connected parts whose area is at least ``share`` of the largest part's."""
    _, part = find_components(weld(mesh.vertices)[mesh.faces])
    areas = np.bincount(part, weights=compute_areas_and_normals(mesh)[0])
    return areas[part] >= share * areas.max()


def _find_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
