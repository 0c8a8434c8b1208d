"""The one place that turns axes: between a file's frame, whose up axis differs, and the object frame (z up).

A file whose up axis is x, y or z lies in a right-handed frame; it is turned by a quarter turn or not at all.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Axis = Literal["x", "y", "z"]

Up = Literal["auto", "x", "y", "z"]
"""Which axis of a file points up; ``auto``: as its format says, else :mod:`verdict3d.mesh.posture`."""

GLTF_UP: Axis = "y"
"""glTF 2.0, section 3.4: +Y is up."""

_TURNS: dict[Axis, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "x": ((2, 1, 0), (-1, 1, 1)),
    "y": ((0, 2, 1), (1, -1, 1)),
    "z": ((0, 1, 2), (1, 1, 1)),
}
"""For each up axis of a file: the file's axes that become x, y and z of the object frame, and their signs."""


def turn_into_object(vertices: NDArray[np.float32], up_axis: Axis) -> NDArray[np.float32]:
    """Return (V, 3) float32 of a file with ``up_axis`` upwards in the object frame; -0 becomes 0."""
    axes, signs = _TURNS[up_axis]
    return np.ascontiguousarray(vertices[:, axes]) * np.array(signs, dtype=np.float32) + np.float32(0)


def turn_into_file(vertices: NDArray[np.float32], up_axis: Axis) -> NDArray[np.float32]:
    """Return (V, 3) float32 of the object frame as a file with ``up_axis`` upwards holds them."""
    axes, signs = _TURNS[up_axis]
    turned = np.empty_like(vertices)
    turned[:, axes] = vertices * np.array(signs, dtype=np.float32)
    return turned


_FRONT = (0.0, -1.0)
"""Where an object of ours faces, seen from above."""


def turn_front(vertices: NDArray[np.float32], up_axis: Up, front: str) -> NDArray[np.float32]:
    """Return (V, 3) float32 of the object frame turned about z, so that the object faces -y.

    Args:
        vertices: Of a file, in the object frame.
        up_axis: Axis of the file that points up; ``auto``: y, as in glTF.
        front: Axis of the file that the object faces, such as ``z`` or ``-x``; not the upward one.
    """
    pointer = np.zeros((1, 3), dtype=np.float32)
    pointer[0, "xyz".index(front[-1])] = -1.0 if front.startswith("-") else 1.0
    x, y, _ = turn_into_object(pointer, GLTF_UP if up_axis == "auto" else up_axis)[0].tolist()
    # the rotation that takes (x, y) to the front: cosine and sine from dot and cross product
    cosine, sine = x * _FRONT[0] + y * _FRONT[1], x * _FRONT[1] - y * _FRONT[0]
    turned = vertices.copy()
    turned[:, 0] = cosine * vertices[:, 0] - sine * vertices[:, 1]
    turned[:, 1] = sine * vertices[:, 0] + cosine * vertices[:, 1]
    return turned + np.float32(0)
