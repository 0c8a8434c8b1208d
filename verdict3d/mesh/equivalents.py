"""The same object in other clothes: what a judge must not tell apart.

Every function takes a mesh and a generator and returns a mesh of the same surface, with the same colours, as
another file or another program would have it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from verdict3d.mesh.files import read_mesh, write_mesh
from verdict3d.mesh.mesh import Mesh


def reorder(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """Put vertices and faces in another order, write a file and read it again."""
    order, faces = rng.permutation(len(mesh.vertices)), rng.permutation(len(mesh.faces))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    shuffled = Mesh(
        mesh.vertices[order],
        place[mesh.faces[faces]].astype(np.int32),
        None if mesh.colors is None else mesh.colors[order],
        None if mesh.uv is None else mesh.uv[order],
        mesh.texture,
    )
    with tempfile.TemporaryDirectory() as folder:
        write_mesh(shuffled, Path(folder) / "copy.glb")
        return read_mesh(Path(folder) / "copy.glb")


def subdivide(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """Split every triangle into four at the middles of its edges."""
    del rng
    edges = np.sort(np.concatenate([mesh.faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])]), axis=1)
    ends, middles = np.unique(edges, axis=0, return_inverse=True)
    ab, bc, ca = len(mesh.vertices) + middles.reshape(3, -1)
    a, b, c = mesh.faces.T
    corners = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))

    def with_middles(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.concatenate([values, values[ends].mean(axis=1)]).astype(np.float32)

    colors = None if mesh.colors is None else with_middles(mesh.colors.astype(np.float32))
    return Mesh(
        with_middles(mesh.vertices),
        np.concatenate([np.stack(triangle, axis=1) for triangle in corners]).astype(np.int32),
        None if colors is None else np.round(colors).astype(np.uint8),
        None if mesh.uv is None else with_middles(mesh.uv),
        mesh.texture,
    )


def move(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """Scale by 0.2 to 5 and move by up to 10, as in other units and elsewhere in a scene."""
    scale, shift = np.exp(rng.uniform(-1.6, 1.6)), rng.uniform(-10.0, 10.0, size=3)
    return replace(mesh, vertices=(mesh.vertices * scale + shift).astype(np.float32))


def turn(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """Turn the object about the up axis, so that its front is its back."""
    del rng
    return replace(mesh, vertices=mesh.vertices * np.array([-1.0, -1.0, 1.0], dtype=np.float32))


def round_positions(mesh: Mesh, bits: int = 14) -> Mesh:
    """Return a mesh whose positions are whole numbers along its longest side, of ``bits`` bits, at least 1.

    Programs that make files smaller write such positions (``KHR_mesh_quantization``), with 14 bits as a rule:
    no corner is off by more than 1/32766 of that side in each direction.
    """
    low = mesh.vertices.min(axis=0)
    step = np.ptp(mesh.vertices, axis=0).max() / (2**bits - 1)
    places = np.rint((mesh.vertices - low) / step) * step + low
    return replace(mesh, vertices=places.astype(np.float32))


def quantise(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """Round positions, as in a file that was made smaller."""
    del rng
    return round_positions(mesh)


EQUIVALENTS: dict[str, Callable[[Mesh, np.random.Generator], Mesh]] = {
    "reordered": reorder,
    "subdivided": subdivide,
    "moved": move,
    "turned": turn,
    "quantised": quantise,
}
