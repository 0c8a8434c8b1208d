"""What the latent encoders see of an asset: the voxels of its surface, and picture features at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from verdict3d.mesh.mesh import Mesh
from verdict3d.render.rig import Camera, projection

PAIRS_AT_ONCE = 500_000
_BORDER = 1e-6  # vertices are kept this far inside the unit box, as the reference does
_TOUCH = 1e-9  # of a voxel: closer than this counts as touching


def voxelize_surface(mesh: Mesh, resolution: int) -> NDArray[np.int32]:
    """Return the voxels the surface touches, by the separating-axis test of every triangle and voxel near it.

    A triangle exactly between two voxels touches both (Akenine-Möller 2001, with closed boxes). Voxel ``i``
    spans ``i / resolution - 0.5`` to ``(i + 1) / resolution - 0.5`` along each axis.

    Args:
        mesh: Mesh in the object frame; what lies outside [-0.5, 0.5]^3 is moved onto its border.
        resolution: Voxels along each side.

    Returns:
        int32 (T, 3), sorted by x, y, z, each once.
    """
    limit = 0.5 - _BORDER
    inside = np.clip(mesh.vertices.astype(np.float64), -limit, limit)
    corners = ((inside + 0.5) * resolution)[mesh.faces]
    occupied = np.zeros((resolution,) * 3, dtype=bool)
    axes, low, high = _find_separating_axes(corners)
    for triangles, voxels in _find_candidates(corners, resolution):
        place = np.einsum("pak,pk->pa", axes[triangles], voxels + 0.5)
        touching = ((place >= low[triangles]) & (place <= high[triangles])).all(axis=1)
        occupied[tuple(voxels[touching].T)] = True
    return np.argwhere(occupied).astype(np.int32)


def _find_separating_axes(corners: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return per triangle ten axes (F, 10, 3), and on each the range (F, 10) of touching voxels' centres.

    The axes are the normal and the cross products of the edges with x, y and z; those of the box are settled
    by the choice of candidates.
    """
    edges = np.roll(corners, -1, axis=1) - corners
    normal = np.cross(edges[:, 0], edges[:, 1])[:, None]
    crossed = np.cross(edges[:, :, None, :], np.eye(3)).reshape(-1, 9, 3)
    axes = np.concatenate([normal, crossed], axis=1)
    spans = np.einsum("fak,fck->fac", axes, corners)
    reach = (0.5 + _TOUCH) * np.abs(axes).sum(axis=2)
    return axes, spans.min(axis=2) - reach, spans.max(axis=2) + reach


def _find_candidates(
    corners: NDArray[np.float64], resolution: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield blocks of triangle numbers (P,) and voxels (P, 3) whose boxes overlap."""
    first = np.clip(np.ceil(corners.min(axis=1) - _TOUCH) - 1, 0, resolution - 1).astype(np.int64)
    last = np.clip(np.floor(corners.max(axis=1) + _TOUCH), 0, resolution - 1).astype(np.int64)
    shape = last - first + 1
    ends = np.cumsum(shape.prod(axis=1))
    total = int(ends[-1]) if len(ends) else 0
    for start in range(0, total, PAIRS_AT_ONCE):
        pair = np.arange(start, min(start + PAIRS_AT_ONCE, total))
        triangle = np.searchsorted(ends, pair, side="right")
        within = pair - (ends - shape.prod(axis=1))[triangle]
        high, wide = shape[triangle, 1], shape[triangle, 2]
        offset = np.stack([within // (high * wide), within // wide % high, within % wide], axis=1)
        yield triangle, first[triangle] + offset


def project_features(
    coords: Tensor, patch_tokens: Tensor, cameras: Sequence[Camera], resolution: int
) -> Tensor:
    """Average over views the patch tokens seen at voxel centres.

    Args:
        coords: int (T, 3), voxels of one object in 0..resolution-1.
        patch_tokens: (V, h, w, C), un-normalised patch tokens of square pictures, upper left first.
        cameras: The V cameras the pictures were rendered from.
        resolution: Voxels along each side.

    Returns:
        float32 (T, C). Sampling is bilinear (``align_corners=False``), zero outside a picture.

    Raises:
        ValueError: The numbers of views and cameras differ.
    """
    if len(cameras) != len(patch_tokens):
        raise ValueError(
            f"{len(patch_tokens)} views and {len(cameras)} cameras; give one camera for each view"
        )
    tokens = patch_tokens.float()
    centres = (coords.float() + 0.5) / resolution - 0.5
    homogeneous = functional.pad(centres, (0, 1), value=1.0)
    matrices = torch.from_numpy(np.stack([projection(camera) for camera in cameras])).to(tokens)
    clip = torch.einsum("vij,tj->vti", matrices, homogeneous.to(tokens))
    grid = torch.stack([clip[..., 0], -clip[..., 1]], dim=-1) / clip[..., 3:]
    maps = tokens.permute(0, 3, 1, 2)
    seen = functional.grid_sample(maps, grid[:, :, None], mode="bilinear", align_corners=False)
    return seen[..., 0].mean(dim=0).transpose(0, 1)
