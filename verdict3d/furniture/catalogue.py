"""Procedural furniture: ten categories with continuous parameters and several variants each, in two worlds.

The *usual* world holds usual pieces. The *free* one is wider: most of its pieces are of a freer form, all are
in proportions of their own, and things are built onto many of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from verdict3d.errors import Verdict3DError
from verdict3d.furniture.annexes import build_on
from verdict3d.furniture.beds import bed
from verdict3d.furniture.bedsteads import form_bed
from verdict3d.furniture.boards import form_table
from verdict3d.furniture.cabinets import cabinet
from verdict3d.furniture.carcases import shaped_cabinet
from verdict3d.furniture.cases import composed_cabinet
from verdict3d.furniture.chairs import chair, stool
from verdict3d.furniture.desks import desk
from verdict3d.furniture.lamps import lamp
from verdict3d.furniture.lights import FORMS as LAMPS
from verdict3d.furniture.lounges import corner_sofa, curved_sofa, module_sofa, round_seat
from verdict3d.furniture.palette import Palette, draw_palette, pick
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.furniture.parts import Part, normalize_parts
from verdict3d.furniture.perches import form_bench, form_stool
from verdict3d.furniture.proportions import Spread, vary_proportions
from verdict3d.furniture.racks import cell_shelf, free_shelf
from verdict3d.furniture.seats import barrel_chair, sheet_chair, wing_chair
from verdict3d.furniture.shelves import shelf
from verdict3d.furniture.sofas import bench, sofa
from verdict3d.furniture.tables import table
from verdict3d.furniture.worktops import form_desk

__all__ = ["CATEGORIES", "Part", "make_furniture", "mesh_from_parts"]

World = Literal["usual", "free"]
Build = Callable[[np.random.Generator], list[Part]]
Form = Callable[[np.random.Generator, Palette], list[Part]]

_BUILDERS: dict[str, tuple[Build, tuple[Form, ...]]] = {
    "chair": (chair, (barrel_chair, sheet_chair, sheet_chair, wing_chair)),
    "stool": (stool, (form_stool,)),
    "bench": (bench, (form_bench,)),
    "table": (table, (form_table,)),
    "desk": (desk, (form_desk,)),
    "shelf": (shelf, (cell_shelf, free_shelf)),
    "cabinet": (cabinet, (composed_cabinet, composed_cabinet, shaped_cabinet)),
    "sofa": (sofa, (module_sofa, module_sofa, corner_sofa, curved_sofa, round_seat)),
    "bed": (bed, (form_bed,)),
    "lamp": (lamp, LAMPS),
}
"""Of each category the usual pieces, and freer forms of them."""
CATEGORIES: tuple[str, ...] = tuple(_BUILDERS)
"""The categories, in the order that balances them over the assets of a split."""

USUAL_SHARE = 0.15
"""So many objects of the free world begin as usual pieces; the others are of a freer form."""
ANNEXES = (0, 0, 1, 1, 1, 1, 2, 2)
"""How many things are built onto an object of the free world, drawn from these."""
_SPREADS: dict[str, Spread] = {
    name: Spread((0.5, 0.5, 0.5), (0.6, 0.5, 0.7), mirrored=name not in ("shelf", "cabinet", "desk", "bench"))
    for name in _BUILDERS
}


def make_furniture(category: str, rng: np.random.Generator, world: World = "usual") -> tuple[Part, ...]:
    """Draw one piece of furniture.

    Args:
        category: One of ``CATEGORIES``.
        rng: Decides everything else; the same state gives the same object.
        world: Where it comes from. The shipped networks know the usual one.

    Returns:
        Parts in the object frame: z up, front -y, bounding box of the union centred at the origin with
        longest side 1, no part thinner than 0.03.

    Raises:
        Verdict3DError: The category is unknown.
    """
    try:
        builders = _BUILDERS[category]
    except KeyError:
        raise Verdict3DError(
            f"no furniture category {category!r}; there are {', '.join(CATEGORIES)}"
        ) from None
    usual, forms = builders
    if world == "usual":
        return normalize_parts(usual(rng))
    look = draw_palette(rng)
    parts = usual(rng) if rng.random() < USUAL_SHARE else pick(rng, forms)(rng, look)
    varied = vary_proportions(rng, parts, _SPREADS[category])
    return normalize_parts(build_on(rng, varied, look, pick(rng, ANNEXES)))
