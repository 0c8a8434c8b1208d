"""Where the rig's cameras see points: an oracle for tests of what is drawn."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from verdict3d.render.rig import Camera, Matrix, camera_from_world, projection


def project_points(camera: Camera, points: NDArray[np.floating], size_px: int) -> tuple[Matrix, Matrix]:
    """Project points of the object frame into a square image.

    Args:
        camera: The view.
        points: (N, 3).
        size_px: Side of the image.

    Returns:
        Image positions (N, 2) float64 as (column, row) in pixels, where (0, 0) is the upper left corner of
        the image and pixel centres lie at halves, and depths (N,) in object units (> 0 before the camera).
    """
    clip = np.asarray(points, dtype=np.float64) @ projection(camera)[:, :3].T + projection(camera)[:, 3]
    normalised = clip[:, :2] / clip[:, 3:4]
    return (normalised * (0.5, -0.5) + 0.5) * size_px, clip[:, 3]


def enclosing_distance(fov_deg: float, elevation_deg: float) -> float:
    """Return the smallest distance at which the unit cube, turned to any yaw, fits the image.

    Each corner of the turning cube runs on a rim of radius sqrt(1/2) at height +-1/2; the answer is the
    largest distance that any rim point needs for either image axis.
    """
    tangent = math.tan(math.radians(fov_deg) / 2.0)
    angle = np.linspace(0.0, 2.0 * math.pi, 3601)
    rims = [
        np.stack([np.cos(angle) * 0.5**0.5, np.sin(angle) * 0.5**0.5, np.full_like(angle, z)], axis=1)
        for z in (-0.5, 0.5)
    ]
    turned = np.concatenate(rims) @ camera_from_world(Camera(0.0, elevation_deg, fov_deg, 1.0))[:3, :3].T
    needed = np.abs(turned[:, :2]).max(axis=1) / tangent + turned[:, 2]
    return float(needed.max())
