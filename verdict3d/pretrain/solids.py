"""Training targets on regular grids from the analytic distance of an object's parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from verdict3d.assets.parts import Part
from verdict3d.assets.sdf import PackedParts, _Group, distance_and_color, pack_parts
from verdict3d.errors import Verdict3DError
from verdict3d.pretrain.architectures import MESH_RESOLUTION, STRUCTURE_RESOLUTION

COLUMNS = {"boxes": 48, "cylinders": 40, "tapered": 16}
"""Most parts of each shape an object may have in a pool."""

TOUCH = 0.006
"""Distance from a grid vertex at which the solid counts as touching it, in object units."""

_FIELDS = {"center": 3, "half_size": 3, "rotation": 9, "rounding": 1, "taper": 1, "color": 3, "present": 1}


def pack_object(parts: Sequence[Part]) -> np.ndarray:
    """Return one object as a fixed-size array (sum of ``COLUMNS``, 21) float32."""
    packed = pack_parts([parts])
    rows = []
    for name, most in COLUMNS.items():
        group = getattr(packed, name)
        count = group.present.shape[1]
        if count > most:
            raise Verdict3DError(f"an object has {count} {name}; a pool row holds {most}")
        values = [getattr(group, field)[0].reshape(count, width).float() for field, width in _FIELDS.items()]
        rows.append(F.pad(torch.cat(values, dim=1), (0, 0, 0, most - count)))
    return torch.cat(rows).numpy()


def unpack_objects(rows: Tensor) -> PackedParts:
    """Turn (B, sum of ``COLUMNS``, 21) float32 rows back into packed parts on their device."""
    groups, start = [], 0
    for most in COLUMNS.values():
        columns = rows[:, start : start + most]
        start += most
        used = int((columns[..., -1] > 0.5).sum(dim=1).max())
        values = dict(zip(_FIELDS, columns[:, :used].split(list(_FIELDS.values()), dim=-1), strict=True))
        groups.append(
            {
                "center": values["center"],
                "half_size": values["half_size"],
                "rotation": values["rotation"].unflatten(-1, (3, 3)),
                "rounding": values["rounding"][..., 0],
                "taper": values["taper"][..., 0],
                "color": values["color"].to(torch.uint8),
                "present": values["present"][..., 0] > 0.5,
            }
        )
    return PackedParts(*(_Group(**group) for group in groups))


@cache
def _grid_points(cells: int, device: torch.device) -> Tensor:
    ticks = torch.arange(cells + 1, device=device, dtype=torch.float32) / cells - 0.5
    return torch.stack(torch.meshgrid(ticks, ticks, ticks, indexing="ij"), dim=-1).reshape(1, -1, 3)


def distance_grid(packed: PackedParts, cells: int = MESH_RESOLUTION) -> tuple[Tensor, Tensor]:
    """Signed distance and colour at the vertices of a grid over the unit box.

    Returns:
        (B, cells+1, cells+1, cells+1) float32 and the same with 3 channels uint8; axes x, y, z.
    """
    device = packed.boxes.center.device
    points = _grid_points(cells, device).expand(len(packed), -1, -1)
    distance, color = distance_and_color(points, packed)
    side = (cells + 1,) * 3
    return distance.unflatten(1, side), color.unflatten(1, side)


def solid_voxels(packed: PackedParts) -> Tensor:
    """Return the (B, 16, 16, 16) bool structure: voxels that the solid enters, the inside included.

    Judged by the vertices of a grid of twice the resolution; ``TOUCH`` makes up for what lies between them. Solid,
    not hollow, so that the mesh decoder makes no inner surface.
    """
    inside = (distance_grid(packed, 2 * STRUCTURE_RESOLUTION)[0] < TOUCH).to(torch.float32)
    return F.max_pool3d(inside[:, None], kernel_size=3, stride=2)[:, 0] > 0.5
