"""How good a candidate is, for judges to learn from: one measure for each judge.

The two differ, so that judges that agree do not agree because they were told the same, and neither is a
measure of the tables (:mod:`verdict3d.mesh.accuracy`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from verdict3d.errors import ItemFailure
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.sampling import sample_surface
from verdict3d.render.framing import frame_mesh
from verdict3d.render.renderer import Pixels, Renderer
from verdict3d.render.rig import Rig

NEAR = 0.03
"""Distance, as a share of the truth's diagonal, at which closeness has fallen to 1/e."""
DENSE, ASKED = 6000, 1500
"""Points of a surface that are looked up, and points that ask."""

LIKENESS_RIG = Rig(yaws_deg=(0.0, 60.0, 120.0, 180.0, 240.0, 300.0), elevations_deg=(-15.0, 35.0), view_px=64)
"""The rig of the renderer that measures draw with: its twelve views are no views of a montage."""


class Quality(Protocol):
    """A measure against one true mesh."""

    def measure(self, candidate: Mesh) -> float:
        """Return how good the candidate is, in [0, 1]; 0 where it has no surface."""
        ...


class Closeness:
    """How near the surfaces are, with normals: the mean of exp(-distance / near) · max(0, n · n').

    Points of the candidate look for the truth and points of the truth for the candidate; both count alike.
    """

    def __init__(self, truth: Mesh, renderer: Renderer, rng: np.random.Generator) -> None:
        del renderer
        framed = frame_mesh(truth)
        self.points, self.normals = sample_surface(framed, DENSE, rng)
        self.tree = cKDTree(self.points)
        self.near = NEAR * float(np.linalg.norm(np.ptp(framed.vertices, axis=0)))
        self.rng = rng

    def measure(self, candidate: Mesh) -> float:
        """Return the closeness of a candidate."""
        try:
            points, normals = sample_surface(frame_mesh(candidate), DENSE, self.rng)
        except ItemFailure:
            return 0.0
        if not len(points):
            return 0.0
        there = self._measure_agreement(points[:ASKED], normals[:ASKED], self.tree, self.normals)
        back = self._measure_agreement(self.points[:ASKED], self.normals[:ASKED], cKDTree(points), normals)
        return (there + back) / 2

    def _measure_agreement(
        self,
        points: NDArray[np.float32],
        normals: NDArray[np.float32],
        tree: cKDTree,
        theirs: NDArray[np.float32],
    ) -> float:
        distance, nearest = tree.query(points)
        along = (normals * theirs[nearest]).sum(axis=1).clip(0.0)
        return float((np.exp(-distance / self.near) * along).mean())


class Likeness:
    """How much alike normal pictures are: the mean of max(0, n · n') over pixels that show either mesh."""

    def __init__(self, truth: Mesh, renderer: Renderer, rng: np.random.Generator) -> None:
        del rng
        self.renderer = renderer
        self.normals, self.shown = compute_normals(self.renderer.rig_views(truth))

    def measure(self, candidate: Mesh) -> float:
        """Return the likeness of a candidate."""
        try:
            normals, shown = compute_normals(self.renderer.rig_views(candidate))
        except ItemFailure:
            return 0.0
        along = (normals * self.normals).sum(axis=-1).clip(0.0, 1.0)
        either = (shown | self.shown).sum()
        return float(along[shown & self.shown].sum() / max(int(either), 1))


def compute_normals(views: Pixels) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the normals (N, S, S, 3) that normal pictures on white show, and where there is a surface."""
    normals = views.astype(np.float32) / 127.5 - 1.0
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    shown = (views < 255).any(axis=-1) & (length[..., 0] < 1.3)  # white decodes to a length of 1.7
    return normals / np.maximum(length, 1e-6), shown


MEASURES: dict[str, Callable[[Mesh, Renderer, np.random.Generator], Quality]] = {
    "closeness": Closeness,
    "likeness": Likeness,
}
