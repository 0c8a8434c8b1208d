"""Wrong colours: what a judge of surfaces must tell from the right ones."""

from __future__ import annotations

from dataclasses import replace

from verdict3d.errors import ItemFailure
from verdict3d.mesh.mesh import Mesh


def recolour(mesh: Mesh) -> Mesh:
    """Return the mesh in wrong colours: channels rotated (green, blue, red) and inverted, uint8.

    Raises:
        ItemFailure: ``no_colors``: it has neither vertex colours nor a texture.
    """
    if mesh.texture is not None:
        return replace(mesh, texture=255 - mesh.texture[..., [1, 2, 0]])
    if mesh.colors is not None:
        return replace(mesh, colors=255 - mesh.colors[:, [1, 2, 0]])
    raise ItemFailure("no_colors", "the mesh has neither vertex colours nor a texture")
