"""Procedural furniture: ten categories with continuous parameters and several variants each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from verdict3d.errors import Verdict3DError
from verdict3d.furniture.beds import bed
from verdict3d.furniture.cabinets import cabinet
from verdict3d.furniture.chairs import chair, stool
from verdict3d.furniture.desks import desk
from verdict3d.furniture.lamps import lamp
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.furniture.parts import Part, normalize_parts
from verdict3d.furniture.shelves import shelf
from verdict3d.furniture.sofas import bench, sofa
from verdict3d.furniture.tables import table

__all__ = ["CATEGORIES", "Part", "furniture", "mesh_from_parts"]

_BUILDERS: dict[str, Callable[[np.random.Generator], list[Part]]] = {
    "chair": chair,
    "stool": stool,
    "bench": bench,
    "table": table,
    "desk": desk,
    "shelf": shelf,
    "cabinet": cabinet,
    "sofa": sofa,
    "bed": bed,
    "lamp": lamp,
}
CATEGORIES: tuple[str, ...] = tuple(_BUILDERS)
"""The categories, in the order that balances them over the assets of a split."""


def furniture(category: str, rng: np.random.Generator) -> tuple[Part, ...]:
    """Draw one piece of furniture.

    Args:
        category: One of ``CATEGORIES``.
        rng: Decides everything; the same state gives the same object.

    Returns:
        Parts in the object frame: z up, front -y, bounding box of the union centred at the origin with
        longest side 1, no part thinner than 0.03.

    Raises:
        Verdict3DError: The category is unknown.
    """
    try:
        build = _BUILDERS[category]
    except KeyError:
        raise Verdict3DError(
            f"no furniture category {category!r}; there are {', '.join(CATEGORIES)}"
        ) from None
    return normalize_parts(build(rng))
