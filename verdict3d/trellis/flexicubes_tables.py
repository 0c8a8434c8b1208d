"""Tables of dual marching cubes, derived from the geometry of the cube instead of being typed in.

The connectivity follows FlexiCubes (Shen et al. 2023, section 4) and dual marching cubes (Nielson 2004): for
each of the 256 sign cases of a cube, which of its crossing edges share one dual vertex. Corner ``i`` lies at
``(i & 1, i >> 1 & 1, i >> 2 & 1)`` (x fastest); case ``c`` has corner ``i`` inside when bit ``i`` is set.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

#: Ordered corner pairs of the twelve edges; the order decides vertex and face order downstream.
EDGES: tuple[tuple[int, int], ...] = (
    (0, 1), (1, 5), (4, 5), (0, 4), (2, 3), (3, 7), (6, 7), (2, 6), (2, 0), (3, 1), (7, 5), (6, 4),
)  # fmt: skip
CASES = 256
MAX_GROUPS = 4


def list_corner_offsets() -> NDArray[np.int64]:
    """Return the integer position (8, 3) of each corner, x fastest."""
    corners = np.arange(8)
    return np.stack([corners & 1, corners >> 1 & 1, corners >> 2 & 1], axis=1)


@dataclass(frozen=True, eq=False)
class FlexiCubesTables:
    """What dual marching cubes needs to know about each sign case.

    Attributes:
        groups: int64 (256,), dual vertices of the case, 0..4.
        edge_group: int64 (256, 12), dual vertex an edge belongs to, -1 where the edge does not cross.
        group_edges: int64 (256, 4, K), edges of a dual vertex in ascending order, -1 padded.
        ambiguous_step: int64 (256, 3), outward normal of the face through which the case is ambiguous; zero
            for the cases that never need resolving.
    """

    groups: NDArray[np.int64]
    edge_group: NDArray[np.int64]
    group_edges: NDArray[np.int64]
    ambiguous_step: NDArray[np.int64]


class _Partition:
    """Union-find over a handful of integers."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def find(self, item: int) -> int:
        while self._parent[item] != item:
            item = self._parent[item]
        return item

    def join(self, first: int, second: int) -> None:
        roots = sorted((self.find(first), self.find(second)))
        self._parent[roots[1]] = roots[0]


def _list_faces() -> list[tuple[tuple[int, int], list[int], list[int]]]:
    """Return ((axis, side), corners, edges) of the six faces."""
    offsets = list_corner_offsets()
    faces = []
    for axis in range(3):
        for side in range(2):
            corners = [corner for corner in range(8) if offsets[corner, axis] == side]
            edges = [number for number, edge in enumerate(EDGES) if set(edge) <= set(corners)]
            faces.append(((axis, side), corners, edges))
    return faces


def _group_edges(case: int) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """Return the edge groups of a case, in dual-vertex order, and its ambiguous faces as (axis, side)."""
    inside = [bool(case >> corner & 1) for corner in range(8)]
    crossing = [inside[a] != inside[b] for a, b in EDGES]
    joined, bodies = _Partition(len(EDGES)), _Partition(8)
    for a, b in EDGES:
        if inside[a] and inside[b]:
            bodies.join(a, b)
    ambiguous = []
    for face, corners, edges in _list_faces():
        cut = [edge for edge in edges if crossing[edge]]
        if len(cut) == 2:
            joined.join(*cut)
        elif len(cut) == 4:  # the inside corners of the face are diagonal: separate them
            ambiguous.append(face)
            for corner in corners:
                if inside[corner]:
                    joined.join(*[edge for edge in cut if corner in EDGES[edge]])
    groups: dict[int, list[int]] = {}
    for edge in range(len(EDGES)):
        if crossing[edge]:
            groups.setdefault(joined.find(edge), []).append(edge)

    def rank(group: list[int]) -> tuple[int, int]:
        ends = {corner for edge in group for corner in EDGES[edge]}
        body = min(bodies.find(corner) for corner in ends if inside[corner])
        return body, min(corner for corner in ends if not inside[corner])

    return sorted(groups.values(), key=rank), ambiguous


@lru_cache(maxsize=1)
def make_tables() -> FlexiCubesTables:
    """Derive the tables of all 256 cases (once; some ten milliseconds).

    A case is ambiguous when it has one dual vertex and exactly one face whose inside corners are diagonal;
    such a cube takes the inverted case when its neighbour across that face is ambiguous too.
    """
    derived = [_group_edges(case) for case in range(CASES)]
    widest = max(len(edges) for groups, _ in derived for edges in groups)
    counts = np.zeros(CASES, np.int64)
    edge_group = np.full((CASES, len(EDGES)), -1, np.int64)
    group_edges = np.full((CASES, MAX_GROUPS, widest), -1, np.int64)
    step = np.zeros((CASES, 3), np.int64)
    for case, (groups, ambiguous) in enumerate(derived):
        counts[case] = len(groups)
        for number, edges in enumerate(groups):
            edge_group[case, edges] = number
            group_edges[case, number, : len(edges)] = edges
        if len(ambiguous) == 1 and len(groups) == 1:
            axis, side = ambiguous[0]
            step[case, axis] = 2 * side - 1
    return FlexiCubesTables(counts, edge_group, group_edges, step)


@dataclass(frozen=True, eq=False)
class QuadCorners:
    """The four cubes around a grid edge of one axis, as the first of them (lowest in cube order) sees them.

    Attributes:
        edges: int64 (4,), the cube edge that is the grid edge, for each of the four cubes in cube order.
        steps: int64 (4, 3), position of each cube relative to the first.
        rank: Order among the grid edges that start at the same vertex (by the id of the second vertex).
    """

    edges: NDArray[np.int64]
    steps: NDArray[np.int64]
    rank: int


@lru_cache(maxsize=1)
def list_quad_corners() -> tuple[QuadCorners, QuadCorners, QuadCorners]:
    """Return the quad layout of the x, y and z grid edges."""
    offsets = list_corner_offsets()
    layouts = []
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        rows = []
        for number, (first, second) in enumerate(EDGES):
            if offsets[first, axis] != offsets[second, axis]:
                step = np.zeros(3, np.int64)
                step[others] = 1 - offsets[first, others]
                rows.append((tuple(step.tolist()), number))
        rows.sort()
        first, second = EDGES[rows[0][1]]
        direction = offsets[second] - offsets[first]
        # towards the second vertex: -y comes before +z before +x in the id (x * (n + 1) + y) * (n + 1) + z
        rank = {(0, -1, 0): 0, (0, 0, 1): 1, (1, 0, 0): 2}[tuple(direction.tolist())]
        steps = np.array([step for step, _ in rows], np.int64)
        layouts.append(QuadCorners(np.array([edge for _, edge in rows], np.int64), steps, rank))
    return layouts[0], layouts[1], layouts[2]
