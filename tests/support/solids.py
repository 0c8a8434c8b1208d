"""Known solids for the tests of the renderer."""

from __future__ import annotations

import numpy as np
import trimesh

from verdict3d.mesh.mesh import Mesh


def as_mesh(solid: trimesh.Trimesh, colors: np.ndarray | None = None) -> Mesh:
    return Mesh(solid.vertices.astype(np.float32), solid.faces.astype(np.int32), colors)


def sphere(subdivisions: int = 4, radius: float = 0.5) -> Mesh:
    return as_mesh(trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius))


def box(extents: tuple[float, float, float] = (1.0, 1.0, 1.0), center: tuple[float, ...] = (0, 0, 0)) -> Mesh:
    solid = trimesh.creation.box(extents=extents)
    solid.apply_translation(center)
    return as_mesh(solid)


def join(*meshes: Mesh) -> Mesh:
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate(
            [mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)], dtype=np.int32
        ),
    )
