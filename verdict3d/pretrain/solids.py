"""Exact targets on regular grids: signed distance and colour near an object's surface, and what follows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from verdict3d.furniture.parts import Part, measure_reach
from verdict3d.pretrain.architectures import LATENT_CHANNELS, MESH_RESOLUTION, STRUCTURE_RESOLUTION
from verdict3d.pretrain.sdf import measure_parts, pack_parts

REACH = 1.0 / STRUCTURE_RESOLUTION
"""Distances are exact up to this far outside and clamped beyond, in object units."""
TOUCH = 0.002
"""Distance at which a grid vertex counts as inside when voxels are marked, in object units."""


def compute_distance_grid(
    parts: Sequence[Part], cells: int = MESH_RESOLUTION
) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance and colour of the nearest part at the vertices of a grid over the unit box.

    Each part is evaluated only in the box it can matter in.

    Returns:
        (n, n, n) float32 clamped to +-``REACH`` and (n, n, n, 3) uint8, n = ``cells`` + 1, axes x, y, z.
    """
    side = cells + 1
    distance = np.full((side,) * 3, REACH, dtype=np.float32)
    color = np.zeros((side, side, side, 3), dtype=np.uint8)
    ticks = np.arange(side, dtype=np.float32) / cells - 0.5
    for part in parts:
        low, high = measure_reach(part)
        first = np.clip(np.floor((low - REACH + 0.5) * cells), 0, cells).astype(int)
        last = np.clip(np.ceil((high + REACH + 0.5) * cells), 0, cells).astype(int) + 1
        window = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        points = np.stack(np.meshgrid(*(ticks[axis] for axis in window), indexing="ij"), axis=-1)
        values, colors = measure_parts(torch.from_numpy(points.reshape(1, -1, 3)), pack_parts([[part]]))
        shape = points.shape[:3]
        found = values.numpy().reshape(shape)
        closer = found < distance[window]
        distance[window] = np.where(closer, found, distance[window])
        color[window] = np.where(closer[..., None], colors.numpy().reshape(*shape, 3), color[window])
    return np.maximum(distance, -REACH), color


def close_holes(distance: np.ndarray) -> np.ndarray:
    """Return a distance grid that is outside all over the box's border, so that extraction leaves no opening.

    Objects fill the box; their outermost faces lie on its border, where extraction makes no surface.
    """
    result = distance.copy()
    for axis in range(3):
        for side in (0, -1):
            border = np.moveaxis(result, axis, 0)[side]
            np.maximum(border, 0.75 / MESH_RESOLUTION, out=border)
    return result


def find_solid_voxels(distance: np.ndarray) -> np.ndarray:
    """Return the (16, 16, 16) bool structure: voxels that hold a grid vertex of the solid, borders included.

    Solid, not hollow, so that the mesh decoder makes no inner surface.

    Args:
        distance: (65, 65, 65) from ``compute_distance_grid``.
    """
    inside = torch.from_numpy((distance < TOUCH).astype(np.float32))[None, None]
    stride = MESH_RESOLUTION // STRUCTURE_RESOLUTION
    return (F.max_pool3d(inside, kernel_size=stride + 1, stride=stride)[0, 0] > 0.5).numpy()


def encode_latents(distance: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Return (16, 16, 16, 12) float32: what the embedded structured latents mean.

    The channels of a voxel are the signed distance at its eight corners (x fastest) and at its centre, in
    voxels and clamped to +-1, and the colour of the part nearest to its centre, in [-1, 1].
    """
    stride = MESH_RESOLUTION // STRUCTURE_RESOLUTION
    corners = distance[::stride, ::stride, ::stride] / REACH
    channels = [
        corners[x : x + STRUCTURE_RESOLUTION, y : y + STRUCTURE_RESOLUTION, z : z + STRUCTURE_RESOLUTION]
        for z in (0, 1)
        for y in (0, 1)
        for x in (0, 1)
    ]
    middle = slice(stride // 2, None, stride)
    channels.append(distance[middle, middle, middle] / REACH)
    shade = color[middle, middle, middle].astype(np.float32) / 127.5 - 1.0
    codes = np.concatenate([np.stack(channels, axis=-1), shade], axis=-1).astype(np.float32)
    assert codes.shape[-1] == LATENT_CHANNELS
    return codes


def gather_sparse_rows(mask: Tensor) -> Tensor:
    """Return the (T, 4) int32 coordinates (item, x, y, z) of the set voxels of (B, R, R, R) masks."""
    return mask.nonzero().int()
