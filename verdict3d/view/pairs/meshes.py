"""Meshes for the page: reduced copies with vertex colours, within a budget of bytes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import ItemFailure
from verdict3d.mesh.files import colour_vertices, read_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.writers.glb import encode_glb
from verdict3d.records.record import RecordPart
from verdict3d.render.framing import frame_mesh

BYTES_A_FACE = 24
"""Of a closed mesh with vertex colours as GLB: half a vertex of 24 bytes and three indices of 4."""
LEAST_FACES, MOST_FACES = 1500, 20_000
REMADE = ".remade"
"""Suffix of a path where no file is: its mesh is made again when a page asks for it."""
_STEPS = 12
_FINEST = 4096


def count_faces_within(budget_bytes: int, meshes: int) -> int:
    """Return the most faces a mesh that let so many meshes fit into a budget, as base64."""
    each = budget_bytes / max(1, meshes) * 3 / 4 / BYTES_A_FACE
    return max(LEAST_FACES, min(MOST_FACES, int(each)))


class MeshDocument(RecordPart):
    """What the page loads of a mesh.

    Attributes:
        faces: Faces of the file.
        shown: Faces of the copy.
        glb: The copy as GLB in base64, framed as for the judge.
    """

    faces: int
    shown: int
    glb: str


def name_remade(name: str, digest: str) -> Path:
    """Return what stands for the file of a mesh that is made again.

    Args:
        name: What it is made by.
        digest: Of the mesh that it has to be.
    """
    return Path(digest, f"{name}{REMADE}")


def make_mesh_document(path: Path, most_faces: int, read: Callable[[Path], Mesh] = read_mesh) -> MeshDocument:
    """Return what the page loads of a mesh.

    Args:
        path: Its file.
        most_faces: The copy has no more.
        read: Reads the file.

    Raises:
        ItemFailure: The file cannot be read.
    """
    mesh = read(path)
    small = reduce_mesh(
        frame_mesh(replace(mesh, colors=colour_vertices(mesh), uv=None, texture=None)), most_faces
    )
    return MeshDocument(
        faces=len(mesh.faces),
        shown=len(small.faces),
        glb=base64.b64encode(encode_glb(small)).decode("ascii"),
    )


def reduce_mesh(mesh: Mesh, most_faces: int) -> Mesh:
    """Return a mesh with at most so many faces: vertices that share a cell of a grid become one.

    The finest grid that fits is taken (Rossignac and Borrel 1993, cells' means instead of weighted vertices).

    Args:
        mesh: Without a texture.
        most_faces: A mesh with no more comes back as it is.

    Raises:
        ItemFailure: ``no_faces``: nothing is left.
    """
    if len(mesh.faces) <= most_faces:
        return mesh
    coarse, fine = 1, _FINEST
    best: Mesh | None = None
    for _ in range(_STEPS):
        cells = (coarse + fine) // 2
        made = _cluster(mesh, cells)
        if len(made.faces) <= most_faces:
            coarse = cells
            best = made if len(made.faces) else best
        else:
            fine = cells
        if fine - coarse <= 1:
            break
    if best is None:
        raise ItemFailure("no_faces", f"no copy of at most {most_faces} faces has any face")
    return best


def _cluster(mesh: Mesh, cells: int) -> Mesh:
    """Return the mesh with its vertices merged in a grid with so many cells along the longest side."""
    low = mesh.vertices.min(axis=0)
    side = float((mesh.vertices.max(axis=0) - low).max()) / cells or 1.0
    places = np.floor((mesh.vertices - low) / side).astype(np.int64)
    _, members = np.unique(places @ np.array([1, cells + 1, (cells + 1) ** 2]), return_inverse=True)
    count = np.bincount(members).astype(np.float64)
    faces = members[mesh.faces]
    kept = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    faces = faces[kept]
    if len(faces):
        _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
        faces = faces[np.sort(first)]
    colors = None
    if mesh.colors is not None:
        colors = np.rint(_average(mesh.colors, members, count)).astype(np.uint8)
    vertices = _average(mesh.vertices, members, count).astype(np.float32)
    used, renumbered = np.unique(faces, return_inverse=True)
    corners = renumbered.reshape(faces.shape).astype(np.int32)
    return Mesh(vertices[used], corners, None if colors is None else colors[used])


def _average(
    values: NDArray[np.generic], members: NDArray[np.int64], count: NDArray[np.float64]
) -> NDArray[np.float64]:
    columns = [np.bincount(members, weights=column) / count for column in values.T.astype(np.float64)]
    return np.stack(columns, axis=1)
