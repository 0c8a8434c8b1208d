"""Objects that judges learn from: furniture, and odder things made of its parts; and edits of their parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from verdict3d.furniture.catalogue import CATEGORIES, World, make_furniture, mesh_from_parts
from verdict3d.furniture.parts import Part, normalize_parts
from verdict3d.mesh.mesh import Mesh
from verdict3d.render.framing import frame_mesh

ODD_SHARE = 0.4
"""So many objects are mixed of two pieces of furniture and bent: judges know more than ten categories."""

Parts = tuple[Part, ...]


@dataclass(frozen=True)
class Warp:
    """A smooth change of shape: axes scaled, width growing with height, the top aside, the middle bent."""

    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    taper: float = 0.0
    shear: tuple[float, float] = (0.0, 0.0)
    bend: float = 0.0

    def mesh(self, parts: Sequence[Part]) -> Mesh:
        """Return the mesh of some parts, warped and framed."""
        mesh = mesh_from_parts(parts)
        points = mesh.vertices.astype(np.float64)
        height = points[:, 2:]
        points[:, :2] *= 1.0 + self.taper * height
        points[:, :2] += height * np.array(self.shear)
        points[:, 0] += self.bend * (height[:, 0] ** 2 - 0.08)
        return frame_mesh(replace(mesh, vertices=(points * self.scale).astype(np.float32)))


def make_training_object(
    category: int, rng: np.random.Generator, world: World = "usual"
) -> tuple[Parts, Warp]:
    """Draw an object: a piece of furniture as it is, or a mixture of two, warped.

    Args:
        category: Number of the category; categories take turns.
        rng: Decides everything else.
        world: World of furniture that the pieces come from.
    """
    parts = make_furniture(CATEGORIES[category % len(CATEGORIES)], rng, world)
    if rng.random() >= ODD_SHARE:
        return parts, Warp()
    other = make_furniture(CATEGORIES[int(rng.integers(len(CATEGORIES)))], rng, world)
    share = rng.uniform(0.3, 1.0)
    mixed = [part for part in parts if rng.random() < share] or [parts[0]]
    low = rng.uniform(-0.3, 0.3, size=3)
    size = rng.uniform(0.3, 0.9)
    mixed += [
        replace(
            part, center=part.center * size + low, half_size=part.half_size * size, rounding=0.0, kind="box"
        )
        if part.kind == "rounded_box"
        else replace(part, center=part.center * size + low, half_size=part.half_size * size)
        for part in other
        if rng.random() < 0.6
    ]
    warp = Warp(
        scale=tuple(rng.uniform(0.6, 1.4, size=3).tolist()),
        taper=float(rng.uniform(-0.6, 0.6)),
        shear=tuple(rng.uniform(-0.25, 0.25, size=2).tolist()),
        bend=float(rng.uniform(-0.6, 0.6)),
    )
    return normalize_parts(mixed), warp


def _move(part: Part, size: float, rng: np.random.Generator) -> Part:
    step = rng.normal(size=3)
    return replace(part, center=part.center + 0.3 * size * step / np.linalg.norm(step))


def _turn(part: Part, size: float, rng: np.random.Generator) -> Part:
    return replace(part, rotation=_make_rotation(rng.normal(size=3), 0.9 * size) @ part.rotation)


def _resize(part: Part, size: float, rng: np.random.Generator) -> Part:
    factor = np.exp(rng.choice([-1.0, 1.0], size=3) * rng.uniform(0.2, 1.0, size=3) * size)
    if part.kind in ("cylinder", "lathe"):
        factor[1] = factor[0]
    half = np.maximum(part.half_size * factor, 0.01)
    return replace(part, half_size=half, rounding=min(part.rounding, 0.9 * float(half.min())))


def _remove(part: Part, size: float, rng: np.random.Generator) -> None:
    del part, size, rng


EDITS: dict[str, Callable[[Part, float, np.random.Generator], Part | None]] = {
    "moved": _move,
    "turned": _turn,
    "resized": _resize,
    "removed": _remove,
}
"""What may happen to one part; sizes are in (0, 1]."""


def edit_parts(parts: Parts, edits: Sequence[str], rng: np.random.Generator) -> Parts:
    """Return parts of which one to a third were edited; at least one part is left."""
    count = int(rng.integers(1, max(2, len(parts) // 3 + 1)))
    chosen = set(rng.choice(len(parts), size=min(count, len(parts) - 1) or 1, replace=False).tolist())
    size = float(rng.uniform(0.15, 1.0))
    edited = []
    for number, part in enumerate(parts):
        kept: Part | None = part
        if number in chosen:
            kept = EDITS[edits[int(rng.integers(len(edits)))]](part, size, rng)
        if kept is not None:
            edited.append(kept)
    return tuple(edited) or parts


def _make_rotation(axis: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Return the rotation about an axis (3,) by an angle in radians."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross
