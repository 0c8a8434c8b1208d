"""The active cubes of a batch as one lattice: neighbours by arithmetic, corner averages, surface cubes.

All arrays of grid points share one index, the *site*: grid vertex ``(x, y, z)`` and cube ``(x, y, z)`` (its
corners are vertices ``x..x + 1``, ...) both live at ``((item * P + x + 1) * P + y + 1) * P + z + 1`` with
``P = n + 2``. The rim of one site keeps neighbours of border cubes inside the tables, and ascending sites are
the order of the dense reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from verdict3d.trellis.flexicubes_tables import EDGES, list_corner_offsets, make_tables

#: Feature channels of a cube: 8 corner values each (sdf, deformation xyz), 21 weights, 8 x (colour, normal).
SDF, DEFORM, WEIGHTS, COLOUR = slice(0, 8), slice(8, 32), slice(32, 53), slice(53, 101)
CHANNELS, CHANNELS_WITH_COLOUR = 53, 101


@dataclass(frozen=True, eq=False)
class SiteTables:
    """The tables of :mod:`verdict3d.trellis.flexicubes_tables` as int64 tensors on one device.

    Attributes:
        corner_step: (8,) difference of sites from a cube to each of its corners.
        edges: (12, 2) corners of each edge.
        groups: (256,) dual vertices of each case.
        edge_group: (256, 12) dual vertex of each edge, -1 where it does not cross.
        group_edges: (256, 4, K) edges of each dual vertex, -1 padded.
        ambiguous_step: (256,) difference of sites across the face through which a case is ambiguous, else 0.
    """

    corner_step: Tensor
    edges: Tensor
    groups: Tensor
    edge_group: Tensor
    group_edges: Tensor
    ambiguous_step: Tensor


@lru_cache(maxsize=8)
def make_site_tables(side: int, device: torch.device) -> SiteTables:
    """Return the tables for lattices of ``side`` sites along an axis, on one device (cached)."""
    tables, step = make_tables(), np.array([side * side, side, 1])
    arrays = (
        list_corner_offsets() @ step,
        np.array(EDGES),
        tables.groups,
        tables.edge_group,
        tables.group_edges,
        tables.ambiguous_step @ step,
    )
    with torch.inference_mode(False):  # cached: must be usable in training too
        return SiteTables(*(torch.as_tensor(array, dtype=torch.int64, device=device) for array in arrays))


@dataclass(frozen=True, eq=False)
class CubeLattice:
    """T active cubes of some items: their features, their sites, and which cube is at each site.

    Attributes:
        resolution: Cubes along each side of the grid.
        items: Number of items.
        sites: (T,) int64 site of each cube.
        row: (volume,) int32 row of the cube at each site, -1 where none is active.
        sdf: (T, 8, 1) float32 by corner, bias included; positive outside.
        deform: (T, 8, 3) by corner, before tanh; a view of the features, as the next two.
        colour: (T, 8, 6) colour and normal by corner, before sigmoid; (T, 8, 0) without them.
        weights: (T, 21) weights of edges, corners and quads, before their activation.
    """

    resolution: int
    items: int
    sites: Tensor
    row: Tensor
    sdf: Tensor
    deform: Tensor
    colour: Tensor
    weights: Tensor

    @property
    def side(self) -> int:
        """Sites along one axis: the grid and a rim."""
        return self.resolution + 2

    @property
    def volume(self) -> int:
        """Sites of all items."""
        return self.items * self.side**3

    @property
    def tables(self) -> SiteTables:
        """The case tables with steps between sites of this lattice."""
        return make_site_tables(self.side, self.sites.device)

    def compute_grid_positions(self, sites: Tensor) -> Tensor:
        """Return the integer vertex coordinates (N, 3) of sites."""
        side = self.side
        x, y, z = sites // (side * side) % side, sites // side % side, sites % side
        return torch.stack([x, y, z], dim=1) - 1

    def find_item(self, sites: Tensor) -> Tensor:
        """Return the batch item (N,) of sites."""
        return sites // self.side**3


def gather_cubes(coords: Tensor, features: Tensor, resolution: int, items: int) -> CubeLattice:
    """Put active cubes on a lattice; arguments and errors as in ``mesh_extraction.extract_meshes``."""
    side, cubes = resolution + 2, len(coords)
    if features.shape[1] not in (CHANNELS, CHANNELS_WITH_COLOUR):
        raise ValueError(f"cube features have {features.shape[1]} channels; expected 53, or 101 with colour")
    if cubes and not (int(coords[:, 1:].min()) >= 0 and int(coords[:, 1:].max()) < resolution):
        raise ValueError(f"cube coordinates must lie in 0..{resolution - 1}")
    place = coords.long()
    sites = ((place[:, 0] * side + place[:, 1] + 1) * side + place[:, 2] + 1) * side + place[:, 3] + 1
    row = torch.full((items * side**3,), -1, dtype=torch.int32, device=coords.device)
    row[sites] = torch.arange(cubes, dtype=torch.int32, device=coords.device)
    sdf = features[:, SDF].float()[:, :, None] - 1.0 / resolution
    deform = features[:, DEFORM].unflatten(1, (8, 3))
    colour = features[:, COLOUR] if features.shape[1] > CHANNELS else features[:, :0]
    colour = colour.unflatten(1, (8, 6 if features.shape[1] > CHANNELS else 0))
    return CubeLattice(resolution, items, sites, row, sdf, deform, colour, features[:, WEIGHTS])


def find_distinct_sites(cubes: CubeLattice, sites: Tensor) -> Tensor:
    """Return the distinct values (N,) of int64 ``sites`` of any shape, ascending."""
    seen = torch.zeros(cubes.volume, dtype=torch.bool, device=sites.device)
    seen[sites.flatten()] = True
    return seen.nonzero().squeeze(1)


def make_row_table(cubes: CubeLattice, sites: Tensor) -> Tensor:
    """Return int32 (volume,): the row of each of the distinct ``sites`` (N,), undefined elsewhere."""
    table = torch.empty(cubes.volume, dtype=torch.int32, device=sites.device)
    table[sites] = torch.arange(len(sites), dtype=torch.int32, device=sites.device)
    return table


def take_rows(table: Tensor, rows: Tensor) -> Tensor:
    """Return ``table[rows]`` for rows of any shape; several times faster than indexing on a CPU."""
    return table.index_select(0, rows.flatten()).view(*rows.shape, *table.shape[1:])


def average_corners(cubes: CubeLattice, sites: Tensor, *corner_values: Tensor) -> tuple[Tensor, Tensor]:
    """Average corner values over the active cubes around grid vertices, each counted once.

    Args:
        cubes: The cubes.
        sites: (V,) int64 sites of the vertices.
        *corner_values: (T, 8, C) each, any float type.

    Returns:
        float32 means (V, sum of C), zero where no cube is active, and the number of active cubes (V,).
    """
    rows = take_rows(cubes.row, sites[:, None] - cubes.tables.corner_step)
    corner = torch.arange(8, dtype=torch.int32, device=sites.device)
    hit = rows >= 0
    count = hit.sum(dim=1)
    slots, missing = rows.clamp(min=0), ~hit[:, :, None]
    totals = [values[slots, corner].float().masked_fill(missing, 0.0).sum(dim=1) for values in corner_values]
    return torch.cat(totals, dim=1) / count.clamp(min=1)[:, None], count


def find_surface_cubes(cubes: CubeLattice, vertex_sites: Tensor, sdf: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sites of the cubes the surface passes through, ascending, and their resolved cases.

    Inactive vertices are outside (sdf +1), so every cube with an inside corner touches an active vertex; it
    may itself be inactive.

    Args:
        cubes: The cubes.
        vertex_sites: (V,) int64 sites of the active vertices.
        sdf: (V,) there; negative inside.

    Returns:
        (N,) int64 sites and (N,) int64 cases, 0 to 255.
    """
    tables, side = cubes.tables, cubes.side
    inside = vertex_sites[sdf < 0]
    case_at = torch.zeros(cubes.volume, dtype=torch.uint8, device=inside.device)
    for corner in range(8):
        around = inside - tables.corner_step[corner]
        case_at[around] = case_at[around] | (1 << corner)
    grid = case_at.view(cubes.items, side, side, side)
    for axis in (1, 2, 3):  # cubes outside the grid
        grid.select(axis, 0).zero_()
        grid.select(axis, side - 1).zero_()
    sites = ((case_at != 0) & (case_at != 255)).nonzero().squeeze(1)
    case = case_at[sites].long()
    step = tables.ambiguous_step[case]
    across = case_at[sites + step].long()
    inverted = (step != 0) & (tables.ambiguous_step[across] != 0)
    return sites, torch.where(inverted, 255 - case, case)
