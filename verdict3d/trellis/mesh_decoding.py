"""Structured latents to meshes of the project, item by item accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from verdict3d.errors import ItemFailure
from verdict3d.mesh.mesh import Mesh, MeshOrFailure
from verdict3d.trellis.mesh_extraction import ExtractedMesh, extract_meshes
from verdict3d.trellis.sparse import SparseTensor

DECODED_AT_ONCE = 2**16
"""Voxels the mesh decoder takes at once; it makes 64 rows of each."""


def decode_meshes(decoder: Any, latents: SparseTensor) -> list[MeshOrFailure]:
    """Decode structured latents with a mesh decoder, large batches in parts.

    Returns:
        Per item a mesh (z up, inside [-0.5, 0.5]^3, vertex colours) or a failure ``non_finite`` or
        ``no_faces``.
    """
    items = latents.split()
    outcomes: list[MeshOrFailure] = [find_non_finite("the latents") for _ in items]
    whole = [item for item, (feats, _) in enumerate(items) if bool(feats.isfinite().all())]
    for part in _cut_parts(whole, [len(feats) for feats, _ in items]):
        batch = SparseTensor.stack([items[item][0] for item in part], [items[item][1] for item in part])
        for item, outcome in zip(part, _decode(decoder, batch), strict=True):
            outcomes[item] = outcome
    return outcomes


def _decode(decoder: Any, latents: SparseTensor) -> list[MeshOrFailure]:
    cubes = decoder(latents)
    broken = torch.zeros(latents.batch_size, dtype=torch.bool, device=latents.device)
    broken[cubes.coords[~cubes.feats.sum(dim=1).isfinite(), 0].long()] = True
    meshes = extract_meshes(cubes.coords, cubes.feats, 4 * decoder.config["resolution"], latents.batch_size)
    return [
        find_non_finite("the decoded surface") if bad else _as_mesh(mesh)
        for mesh, bad in zip(meshes, broken.tolist(), strict=True)
    ]


def find_non_finite(what: str) -> ItemFailure:
    """Return the failure of an item whose values are NaN or infinite."""
    return ItemFailure("non_finite", f"{what} has values that are not finite")


def _cut_parts(items: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
    """Split items, in order, into parts of at most ``DECODED_AT_ONCE`` voxels (at least one item each)."""
    parts: list[list[int]] = []
    room = 0
    for item in items:
        if not parts or lengths[item] > room:
            parts.append([])
            room = DECODED_AT_ONCE
        parts[-1].append(item)
        room -= lengths[item]
    return parts


def _as_mesh(mesh: ExtractedMesh) -> MeshOrFailure:
    if not mesh.success:
        return ItemFailure("no_faces", "the decoded mesh has no faces")
    vertices = mesh.vertices.float().cpu().numpy()
    faces = mesh.faces.to(torch.int32).cpu().numpy()
    colors = None
    if mesh.attributes.shape[1]:
        colors = (mesh.attributes[:, :3] * 255).round().to(torch.uint8).cpu().numpy()
    return Mesh(vertices, faces, colors)
