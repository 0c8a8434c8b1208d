"""Which axis of a file points up, where its format does not say.

The file's own words decide, else its shape where that speaks clearly, else the custom of its format. A thing
stands: what touches the ground carries its centre, its top and its bottom differ, it has level surfaces and
is seldom flat. The weights were fitted (logistic regression) to 120 pieces of this project's furniture and
140 models of another artist, each also laid on its back and on its face. Odds above 4, which go before the
custom of OBJ, decide for 48% of them and are all right; odds above 2, which go before the looser customs of
PLY and STL, decide for 71% and 1.4% of these are wrong.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from verdict3d.mesh.axes import Axis
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.sampling import compute_areas_and_normals

Trait = Literal["support", "level", "uneven", "tall"]
Floats = NDArray[np.float64]

CUSTOM: dict[str, Axis] = {".obj": "y", ".ply": "z", ".stl": "z"}
"""Which axis usually points up: y where modelling programs write a format, z where scanners and CAD do."""

_WEIGHTS: dict[Trait, float] = {"support": 6.2, "level": 2.8, "uneven": 2.9, "tall": 6.2}
_CLEAR, _LIKELY = 4.0, 2.0  # log-odds
_SOLE = 0.02  # of the longest side: what is so near the lowest point touches the ground
_LEVELS = np.linspace(0.0, 1.0, 21)
_MANY = 50_000  # faces
_WORDS = re.compile(rb"^(?:#|comment)[^\n]*?\b([xyz]) up\b", re.MULTILINE)


def find_written_up_axis(head: bytes) -> Axis | None:
    """Return the axis of which a comment in a file's first lines says that it is up, such as ``# y up``."""
    written = _WORDS.search(head)
    return next((axis for axis in get_args(Axis) if written and written[1].decode() == axis), None)


def guess_up_axis(mesh: Mesh, suffix: str) -> tuple[Axis, str]:
    """Return the up axis of a file that does not say it, and why it is taken, for people.

    Args:
        mesh: In the file's frame, with at least one face and no unused vertices.
        suffix: Of the file: a key of ``CUSTOM``.
    """
    custom = CUSTOM[suffix]
    other: Axis = "z" if custom == "y" else "y"
    odds = _compute_odds(mesh, other, custom)
    if odds > (_CLEAR if suffix == ".obj" else _LIKELY):
        return other, f"{other} is taken as up: so it stands, though {suffix} files usually have {custom} up"
    why = f"{custom} is taken as up, as {suffix} files usually have it"
    if odds > -_LIKELY:
        why += f"; its shape does not tell: if it lies, say --up {other}, or assets.up_axis"
    return custom, why


def lies(mesh: Mesh) -> bool:
    """Return whether the shape of a mesh in the object frame clearly says that not z but y is up."""
    return _compute_odds(mesh, "y", "z") > _CLEAR


def _compute_odds(mesh: Mesh, axis: Axis, other: Axis) -> float:
    """Return the log-odds for ``axis`` as up against ``other``."""
    areas, normals = compute_areas_and_normals(mesh)
    one, two = (_measure_posture(mesh, areas, normals, "xyz".index(up)) for up in (axis, other))
    return sum(weight * (one[trait] - two[trait]) for trait, weight in _WEIGHTS.items())


def _measure_posture(mesh: Mesh, areas: Floats, normals: Floats, up: int) -> dict[Trait, float]:
    """Return how a thing would stand with axis ``up`` (0 to 2) upwards.

    Returns:
        ``support``: how far inside the hull of what touches the ground the centre lies, in sides of the base
        (negative: outside). ``level``: share of the area that is horizontal. ``uneven``: difference between
        the area's distribution over the height and the same upside down, 0 to 2. ``tall``: height in longest
        sides.
    """
    total = max(float(areas.sum()), 1e-30)
    low, high = (bound.astype(np.float64) for bound in (mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)))
    longest, height = max(float((high - low).max()), 1e-30), float(high[up] - low[up])
    ground = [axis for axis in range(3) if axis != up]
    side = np.sqrt(np.prod((high - low)[ground])) or longest
    center = [(mesh.vertices[:, axis][mesh.faces].mean(axis=1) * areas).sum() / total for axis in ground]
    touching = mesh.vertices[mesh.vertices[:, up] - low[up] <= _SOLE * longest][:, ground]
    heights = (mesh.vertices[:, up][mesh.faces] - low[up]) / max(height, 1e-30)
    shares = _compute_shares(heights, areas) / total
    return {
        "support": float(np.clip(_measure_depth(np.array(center), touching) / side, -0.5, 0.5)),
        "level": float(areas[np.abs(normals[:, up]) > 0.95].sum() / total),
        "uneven": float(np.abs(shares - shares[::-1]).sum()),
        "tall": height / longest,
    }


def _measure_depth(point: Floats, points: Floats) -> float:
    """Return how far ``point`` (2,) lies inside the hull of ``points`` (N, 2); 0 where there is none."""
    try:
        hull = ConvexHull(points)
    except (QhullError, ValueError):  # fewer than three points, or all on one line
        return 0.0
    return -float((hull.equations[:, :2] @ point + hull.equations[:, 2]).max())


def _compute_shares(heights: Floats, areas: Floats) -> Floats:
    """Return the area in each of the layers between ``_LEVELS``, of corners at ``heights`` (F, 3)."""
    if len(areas) > _MANY:  # and so small that each lies in one layer
        layers = np.minimum(heights.mean(axis=1) * (len(_LEVELS) - 1), len(_LEVELS) - 2).astype(np.int64)
        return np.bincount(layers, weights=areas, minlength=len(_LEVELS) - 1).astype(np.float64)
    return np.diff(_sum_areas_below(heights, areas))


def _sum_areas_below(heights: Floats, areas: Floats) -> Floats:
    """Return the area below each of ``_LEVELS`` of triangles whose corners have ``heights`` (F, 3)."""
    low, middle, high = np.sort(heights, axis=1).T
    lower, upper = (np.maximum((b - a) * (high - low), 1e-30) for a, b in ((low, middle), (middle, high)))
    below = []
    for level in _LEVELS:
        rising = np.clip(level - low, 0.0, None) ** 2 / lower
        falling = 1.0 - np.clip(high - level, 0.0, None) ** 2 / upper
        part = np.where(level < middle, rising, np.where(level < high, falling, 1.0))
        below.append(float((areas * np.clip(part, 0.0, 1.0)).sum()))
    return np.array(below)
