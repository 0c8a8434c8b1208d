"""Random views for condition pictures."""

from __future__ import annotations

import math

import numpy as np

from verdict3d.config_inputs import ViewParams
from verdict3d.mesh.mesh import Mesh
from verdict3d.render.rig import Camera, camera_from_world

_FRAME_SHARE = 0.95
"""An object fills at most this share of its condition picture."""


def sample_camera(mesh: Mesh, view: ViewParams, rng: np.random.Generator) -> Camera:
    """Draw the view of an object, moved back from ``view.distance`` where it would not fit."""
    yaw_deg = round(float(rng.uniform(*view.yaw_deg)), 3)
    elevation_deg = round(float(rng.uniform(*view.elevation_deg)), 3)
    turn = camera_from_world(Camera(yaw_deg, elevation_deg, view.fov_deg, view.distance))[:3, :3]
    seen = mesh.vertices[mesh.faces.ravel()].astype(np.float64) @ turn.T
    half_width = _FRAME_SHARE * math.tan(math.radians(view.fov_deg) / 2)
    fitting = float((seen[:, 2] + np.abs(seen[:, :2]).max(axis=1) / half_width).max())
    return Camera(yaw_deg, elevation_deg, view.fov_deg, math.ceil(max(view.distance, fitting) * 1e3) / 1e3)
