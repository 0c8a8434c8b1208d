"""Cameras, and the fixed rig from which every judge sees a mesh, with a digest of its numbers.

Frame: the object stands in [-0.5, 0.5]^3, right-handed, z up, its front faces -y. A camera looks at the
origin; yaw 0 sees the front and a growing yaw moves the camera towards +x.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_json
from verdict3d.render import framing, order, shaders
from verdict3d.view_sets import VIEW_SETS, ViewSet

MODES = ("normal", "clay", "rgb", "splat")
"""What a view shows; see :mod:`verdict3d.render.shaders`."""

_NEAR_REACH = 0.9  # just over half the diagonal of the unit cube: nothing nearer to the camera is drawn
_FAR_REACH = 2.0

BACK_FACE_OFFSET = (1 / 64, 256.0)
"""How much farther off faces are drawn that look away: in depth a sample, and in steps of a 24-bit depth
buffer (about 4e-5 of the object); OpenGL 3.3, section 3.6.4."""

SPLAT_COUNT = 4000
"""Splats a mesh: spaced about as widely as the soft points of a small splat decoder."""
SPLAT_SPREAD = 0.8
"""Standard deviation of a splat in mean spacings: they overlap, so that the surface looks closed."""

_LENS = ("fov_deg", "distance", "view_px", "supersample", "background")

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """A perspective camera with a square image that looks at the origin.

    Args:
        yaw_deg: Angle about the up axis; 0 sees the front (from -y), 90 the object's +x side.
        elevation_deg: Angle above the horizon, in (-90, 90).
        fov_deg: Full opening angle of the image, in (0, 180).
        distance: Distance from the origin to the camera, in object units.

    Raises:
        Verdict3DError: A value is outside its range or not finite.
    """

    yaw_deg: float
    elevation_deg: float
    fov_deg: float = 40.0
    distance: float = 2.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.yaw_deg):
            raise Verdict3DError(f"camera yaw_deg is {self.yaw_deg}; it must be finite")
        if not -90.0 < self.elevation_deg < 90.0:
            raise Verdict3DError(f"camera elevation_deg is {self.elevation_deg}; allowed: between -90 and 90")
        if not 0.0 < self.fov_deg < 180.0:
            raise Verdict3DError(f"camera fov_deg is {self.fov_deg}; allowed: between 0 and 180")
        if not (math.isfinite(self.distance) and self.distance > 0.0):
            raise Verdict3DError(f"camera distance is {self.distance}; it must be positive")

    @property
    def near(self) -> float:
        """Depth of the near plane: what is closer cannot belong to an object in the unit box."""
        return max(self.distance - _NEAR_REACH, 0.05 * self.distance)

    @property
    def far(self) -> float:
        """Depth of the far plane."""
        return self.distance + _FAR_REACH


@dataclass(frozen=True)
class Rig:
    """The camera rig: view sets, each a 2x2 montage for judges, and 8 yaws x 3 elevations for people.

    The distance is such that a unit cube turned to any yaw stays inside the image at all elevations.

    Args:
        yaws_deg: Yaws of the 24 views.
        elevations_deg: Elevations of the 24 views.
        view_sets: Where the four views of each montage stand.
        fov_deg: Opening angle.
        distance: Camera distance in object units.
        view_px: Side of one view when a caller names none.
        supersample: Samples per pixel and axis, box-filtered.
        background: RGB 0-255 behind montages and rig views.
    """

    yaws_deg: tuple[float, ...] = (0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0)
    elevations_deg: tuple[float, ...] = (-15.0, 20.0, 50.0)
    view_sets: tuple[ViewSet, ...] = VIEW_SETS
    fov_deg: float = 30.0
    distance: float = 3.35
    view_px: int = 224
    supersample: int = 2
    background: tuple[int, int, int] = (255, 255, 255)

    def montage_cameras(self, view_set: int | ViewSet = 0) -> tuple[Camera, ...]:
        """The four cameras of a view set's montage, row by row; a number is its place in the list."""
        seen = self.view_sets[view_set] if isinstance(view_set, int) else view_set
        return tuple(
            Camera(seen.yaw_deg + 90.0 * quarter, seen.elevation_deg, self.fov_deg, self.distance)
            for quarter in range(4)
        )

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """All views: every yaw at the first elevation, then at the next."""
        return tuple(
            Camera(yaw, elevation, self.fov_deg, self.distance)
            for elevation in self.elevations_deg
            for yaw in self.yaws_deg
        )

    @property
    def digest(self) -> str:
        """SHA-256 over every parameter, the framing rule and the shader text."""
        return self._digest(asdict(self))

    @property
    def set_digests(self) -> tuple[str, ...]:
        """SHA-256 of each view set: of all that its montage depends on, and of no other set."""
        lens = {name: getattr(self, name) for name in _LENS}
        return tuple(self._digest(lens | asdict(seen)) for seen in self.view_sets)

    @staticmethod
    def _digest(cameras: dict[str, Any]) -> str:
        return digest_json(
            {
                "rig": cameras,
                "planes": [_NEAR_REACH, _FAR_REACH],
                "framing": framing.RULE,
                "order": [order.RULE, BACK_FACE_OFFSET],
                "splats": [SPLAT_COUNT, SPLAT_SPREAD],
                "shaders": shaders.read_programs(),
            }
        )


def camera_from_world(camera: Camera) -> Matrix:
    """Return the rigid (4, 4) transform into the camera frame: x right, y up, z towards the viewer."""
    yaw, elevation = math.radians(camera.yaw_deg), math.radians(camera.elevation_deg)
    right = np.array([math.cos(yaw), math.sin(yaw), 0.0])
    back = np.array(
        [
            math.cos(elevation) * math.sin(yaw),
            -math.cos(elevation) * math.cos(yaw),
            math.sin(elevation),
        ]
    )
    transform = np.eye(4)
    transform[0, :3], transform[1, :3], transform[2, :3] = right, np.cross(back, right), back
    transform[2, 3] = -camera.distance
    return transform


def projection(camera: Camera) -> Matrix:
    """Return ``clip_from_world``, (4, 4) float64, OpenGL convention, for a square image.

    ``clip = clip_from_world @ (x, y, z, 1)``; x right and y up in [-1, 1] after division by w, which is the
    depth in front of the camera.
    """
    near, far = camera.near, camera.far
    focal = 1.0 / math.tan(math.radians(camera.fov_deg) / 2.0)
    clip_from_camera = np.zeros((4, 4))
    clip_from_camera[0, 0] = clip_from_camera[1, 1] = focal
    clip_from_camera[2, 2] = (far + near) / (near - far)
    clip_from_camera[2, 3] = 2.0 * far * near / (near - far)
    clip_from_camera[3, 2] = -1.0
    return clip_from_camera @ camera_from_world(camera)
