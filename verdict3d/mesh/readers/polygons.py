"""Polygons to triangles: a fan where it stays inside, else ear clipping (Meisters 1975)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def triangulate(points: Floats, sizes: Indices, check: Callable[[], None]) -> tuple[Indices, Indices]:
    """Cut polygons into triangles with the polygons' own winding.

    Args:
        points: (N, 3) corners of all polygons, one after the other; not looked at where all are triangles.
        sizes: (P,) corners of each polygon, at least 3.
        check: Called now and then; may raise to end the work.

    Returns:
        (T, 3) numbers of rows of ``points``, and (T,) the polygon of each triangle; polygons in their order.
    """
    if (sizes == 3).all():
        return np.arange(3 * len(sizes)).reshape(-1, 3), np.arange(len(sizes))
    starts = np.cumsum(sizes) - sizes
    triangles, owners = [], []
    for size in np.unique(sizes):
        own = np.flatnonzero(sizes == size)
        rows = starts[own][:, None] + np.arange(size)
        fan = np.stack([np.zeros(size - 2, np.int64), np.arange(1, size - 1), np.arange(2, size)], axis=1)
        cut = np.broadcast_to(fan, (len(own), size - 2, 3)).copy()
        if size > 3:
            corners = points[rows]
            misfits = np.flatnonzero(~_check_fans(corners))
            if size == 4:
                cut[misfits] = [[1, 2, 3], [1, 3, 0]]  # the other diagonal
            else:
                for number in misfits:
                    cut[number] = _clip_ears(corners[number], check)
        triangles.append(
            np.take_along_axis(rows[:, None, :], cut.reshape(len(own), 1, -1), axis=2).reshape(-1, 3)
        )
        owners.append(np.repeat(own, size - 2))
    order = np.argsort(np.concatenate(owners), kind="stable")
    return np.concatenate(triangles)[order], np.concatenate(owners)[order]


def _check_fans(corners: Floats) -> NDArray[np.bool_]:
    """Return for polygons (P, n, 3) whether no triangle of the fan from the first corner is turned over."""
    spokes = corners[:, 1:] - corners[:, :1]
    crosses = np.cross(spokes[:, :-1], spokes[:, 1:])
    normals = crosses.sum(axis=1, keepdims=True)
    fits: NDArray[np.bool_] = ((crosses * normals).sum(axis=2) >= 0).all(axis=1)
    return fits | ~np.isfinite(crosses).all(axis=(1, 2))


def _clip_ears(corners: Floats, check: Callable[[], None]) -> Indices:
    """Cut one polygon (n, 3), seen along its mean normal, into (n - 2, 3) triangles."""
    flat = _flatten(corners)
    left = list(range(len(corners)))
    triangles = []
    at = 0
    while len(left) > 3:
        check()
        for step in range(len(left)):
            place = (at + step) % len(left)
            ear = left[place - 1], left[place], left[(place + 1) % len(left)]
            if _is_ear(flat, ear, left):
                break
        else:  # crosses itself: nothing fits
            place = at % len(left)
            ear = left[place - 1], left[place], left[(place + 1) % len(left)]
        triangles.append(ear)
        del left[place]
        at = place
    return np.array([*triangles, left], dtype=np.int64)


def _is_ear(flat: Floats, ear: tuple[int, int, int], left: list[int]) -> bool:
    """Return whether a corner stands out and no other corner that is left lies in its triangle."""
    a, b, c = flat[list(ear)]
    if _turn(a, b, c) <= 0:
        return False
    others = flat[[corner for corner in left if corner not in ear]]
    others = others[~((others == a) | (others == b) | (others == c)).all(axis=1)]  # seams of holes
    inside = (_turn(a, b, others) >= 0) & (_turn(b, c, others) >= 0) & (_turn(c, a, others) >= 0)
    return not inside.any()


def _turn(a: Floats, b: Floats, c: Floats) -> Floats:
    """Return twice the signed area of a, b, c, each (2,) or (N, 2): positive when they turn to the left."""
    result: Floats = (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (
        c[..., 0] - a[..., 0]
    )
    return result


def _flatten(corners: Floats) -> Floats:
    """Return the corners (n, 2) seen along the polygon's mean normal, counter-clockwise."""
    spokes = corners - corners[0]
    normal = np.cross(spokes[:-1], spokes[1:]).sum(axis=0)
    axis = int(np.abs(normal).argmax())
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    return spokes[:, [first, second] if normal[axis] >= 0 else [second, first]]
