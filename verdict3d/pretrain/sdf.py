"""Signed distance of unions of parts, batched on any torch device.

The distance functions are the closed forms for boxes, rounded boxes, capped cones and polygons (Quilez,
"Distance functions", 2008-2020), the last extruded or turned about an axis; they are exact. A tapered square
bar is bounded by planes; its distance is exact inside and off its faces, and near exact close to its edges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from verdict3d.furniture.parts import Part

_GROUPS: tuple[tuple[str, ...], ...] = (
    ("box", "rounded_box"),
    ("cylinder",),
    ("tapered",),
    ("prism",),
    ("lathe",),
)
_FAR = 1e4


@dataclass(frozen=True, eq=False)
class _Group:
    """Parts of one shape: (B, P, ...) float32, padded with ``present`` False."""

    center: Tensor
    half_size: Tensor
    rotation: Tensor
    rounding: Tensor
    taper: Tensor
    color: Tensor
    present: Tensor
    outline: Tensor

    def to(self, device: torch.device | str) -> _Group:
        return _Group(**{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True, eq=False)
class PackedParts:
    """Objects of a batch, their parts grouped by shape and padded; see ``pack_parts``."""

    groups: tuple[_Group, ...]

    def to(self, device: torch.device | str) -> PackedParts:
        """Return the same objects on ``device``."""
        return PackedParts(tuple(group.to(device) for group in self.groups))

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.groups[0].present)


def pack_parts(objects: Sequence[Sequence[Part]]) -> PackedParts:
    """Pack B objects into padded CPU tensors, one group for each shape.

    Args:
        objects: The parts of each object, in any order.
    """
    return PackedParts(
        tuple(
            _pack([[part for part in parts if part.kind in kinds] for parts in objects]) for kinds in _GROUPS
        )
    )


def _pack(objects: list[list[Part]]) -> _Group:
    most = max((len(parts) for parts in objects), default=0)
    shape = (len(objects), most)
    center = np.full((*shape, 3), _FAR, dtype=np.float32)
    half_size = np.full((*shape, 3), 0.1, dtype=np.float32)
    rotation = np.broadcast_to(np.eye(3, dtype=np.float32), (*shape, 3, 3)).copy()
    rounding, taper = np.zeros(shape, dtype=np.float32), np.ones(shape, dtype=np.float32)
    color, present = np.zeros((*shape, 3), dtype=np.uint8), np.zeros(shape, dtype=bool)
    corners = max((len(p.outline) for parts in objects for p in parts if p.outline is not None), default=0)
    outline = np.zeros((*shape, corners, 2), dtype=np.float32)
    for row, parts in enumerate(objects):
        for column, part in enumerate(parts):
            center[row, column], half_size[row, column] = part.center, part.half_size
            rotation[row, column], color[row, column] = part.rotation, part.color
            rounding[row, column], taper[row, column] = part.rounding, part.taper
            present[row, column] = True
            if part.outline is not None:
                sides = part.half_size[:2] if part.kind == "prism" else part.half_size[[0, 2]]
                own = len(part.outline)
                outline[row, column, :own] = part.outline * sides
                outline[row, column, own:] = outline[row, column, own - 1]
    arrays = (center, half_size, rotation, rounding, taper, color, present, outline)
    return _Group(*(torch.from_numpy(array) for array in arrays))


def _box_distance(local: Tensor, part: _Group) -> Tensor:
    beyond = local.abs() - (part.half_size - part.rounding[..., None])
    outside = beyond.clamp(min=0).norm(dim=-1)
    return outside + beyond.amax(dim=-1).clamp(max=0) - part.rounding


def _cylinder_distance(local: Tensor, part: _Group) -> Tensor:
    """Exact distance to a capped cone of radii r (at -h) and taper·r (at +h)."""
    height, wide = part.half_size[..., 2], part.half_size[..., 0]
    narrow = wide * part.taper
    radial, axial = local[..., :2].norm(dim=-1), local[..., 2]
    cap_radial = radial - torch.minimum(radial, torch.where(axial < 0, wide, narrow))
    cap_axial = axial.abs() - height
    slope_radial, slope_axial = narrow - wide, 2 * height
    along = ((radial - wide) * slope_radial + (axial + height) * slope_axial) / (
        slope_radial.square() + slope_axial.square()
    )
    along = along.clamp(0, 1)
    side_radial = radial - (wide + along * slope_radial)
    side_axial = axial + height - along * slope_axial
    inside = (side_radial < 0) & (cap_axial < 0)
    nearest = torch.minimum(
        cap_radial.square() + cap_axial.square(), side_radial.square() + side_axial.square()
    ).sqrt()
    return torch.where(inside, -nearest, nearest)


def _tapered_distance(local: Tensor, part: _Group) -> Tensor:
    half_size, taper = part.half_size, part.taper
    height = half_size[..., 2]
    lean = half_size[..., :2] * ((1 - taper) / (2 * height))[..., None]
    middle = half_size[..., :2] * ((1 + taper) / 2)[..., None]
    side = local[..., :2].abs() - middle + lean * local[..., 2:]
    side = side / (1 + lean.square()).sqrt()
    beyond = torch.cat([side, local[..., 2:].abs() - height[..., None]], dim=-1)
    return beyond.clamp(min=0).norm(dim=-1) + beyond.amax(dim=-1).clamp(max=0)


def _outline_distance(points: Tensor, corners: Tensor, *, turned: bool = False) -> Tensor:
    """Exact signed distance in the plane to polygons; the points are (B, N, 2), the corners (B, 1, n, 2).

    Edges without length are padding. A turned outline has no surface along its axis.
    """
    nearest, inside = (
        torch.full_like(points[..., 0], _FAR),
        torch.zeros_like(points[..., 0], dtype=torch.bool),
    )
    count = corners.shape[2]
    for number in range(count):
        here, there = corners[:, :, number], corners[:, :, (number + 1) % count]
        edge, away = there - here, points - here
        length = edge.square().sum(dim=-1)
        share = ((away * edge).sum(dim=-1) / length.clamp(min=1e-12)).clamp(0, 1)
        squared = (away - share[..., None] * edge).square().sum(dim=-1)
        if turned:
            squared = squared.masked_fill((here[..., 0] <= 0) & (there[..., 0] <= 0), _FAR)
        nearest = torch.minimum(nearest, squared)
        upwards = (here[..., 1] <= points[..., 1]) & (points[..., 1] < there[..., 1])
        downwards = (there[..., 1] <= points[..., 1]) & (points[..., 1] < here[..., 1])
        left = edge[..., 0] * away[..., 1] > edge[..., 1] * away[..., 0]
        inside = inside ^ ((upwards & left) | (downwards & ~left))
    return torch.where(inside, -nearest.sqrt(), nearest.sqrt())


def _prism_distance(local: Tensor, part: _Group) -> Tensor:
    flat = _outline_distance(local[..., :2], part.outline)
    beyond = torch.stack([flat, local[..., 2].abs() - part.half_size[..., 2]], dim=-1)
    return beyond.clamp(min=0).norm(dim=-1) + beyond.amax(dim=-1).clamp(max=0)


def _lathe_distance(local: Tensor, part: _Group) -> Tensor:
    section = torch.stack([local[..., :2].norm(dim=-1), local[..., 2]], dim=-1)
    return _outline_distance(section, part.outline, turned=True)


_DISTANCES = (_box_distance, _cylinder_distance, _tapered_distance, _prism_distance, _lathe_distance)


def _walk_parts(points: Tensor, packed: PackedParts) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield for each padded part its distance (B, N) and its colours (B, 3) uint8."""
    for group, distance in zip(packed.groups, _DISTANCES, strict=True):
        for column in range(group.present.shape[1]):
            own = _Group(**{name: value[:, column, None] for name, value in vars(group).items()})
            local = (points - own.center) @ own.rotation[:, 0]
            yield distance(local, own).masked_fill(~own.present, _FAR), own.color[:, 0]


def signed_distance(points: Tensor, packed: PackedParts) -> Tensor:
    """Signed distance to the union of each object's parts, negative inside.

    Exact outside; inside overlapping parts it is the depth in the part that holds the point deepest, a lower
    bound of the depth in the union. Parts are looped over: memory is that of a few (B, N, 3) tensors.

    Args:
        points: (B, N, 3) float32 in the object frame.
        packed: B objects on the same device.

    Returns:
        (B, N) float32; objects without parts are far from everything.
    """
    nearest = points.new_full(points.shape[:2], _FAR)
    for value, _ in _walk_parts(points, packed):
        nearest = torch.minimum(nearest, value)
    return nearest


def find_nearest_color(points: Tensor, packed: PackedParts) -> Tensor:
    """Colour of the part with the least signed distance to each point.

    Args:
        points: (B, N, 3) float32 in the object frame.
        packed: B objects on the same device.

    Returns:
        (B, N, 3) uint8 sRGB; black for objects without parts.
    """
    return measure_parts(points, packed)[1]


def measure_parts(points: Tensor, packed: PackedParts) -> tuple[Tensor, Tensor]:
    """Return ``signed_distance`` and ``find_nearest_color`` of the same points in one pass."""
    nearest = points.new_full(points.shape[:2], _FAR)
    colors = torch.zeros(points.shape, dtype=torch.uint8, device=points.device)
    for value, color in _walk_parts(points, packed):
        closer = value < nearest
        nearest = torch.where(closer, value, nearest)
        colors = torch.where(closer[..., None], color[:, None], colors)
    return nearest, colors
