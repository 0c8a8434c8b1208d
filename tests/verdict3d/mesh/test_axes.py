"""Up axes: every file is read into the object frame, and only there are axes turned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from verdict3d.mesh.axes import Axis, into_file_frame, into_object_frame
from verdict3d.mesh.files import read_mesh, write_mesh
from verdict3d.mesh.mesh import Mesh

ARROW = Mesh(
    np.float32([[0, -1, 0], [0.1, 0, 0], [-0.1, 0, 0], [0, 0, 3]]),
    np.int32([[0, 1, 3], [0, 3, 2], [1, 2, 3], [0, 2, 1]]),
)
"""Points up (3 long) and shows its tail towards the front."""


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_a_turn_keeps_the_hand_and_is_undone(axis: Axis) -> None:
    turn = into_object_frame(np.eye(3, dtype=np.float32), axis)
    assert np.linalg.det(turn) == pytest.approx(1.0)
    up = np.eye(3, dtype=np.float32)["xyz".index(axis)]
    np.testing.assert_array_equal(into_object_frame(up[None], axis), [[0, 0, 1]])
    np.testing.assert_array_equal(
        into_object_frame(into_file_frame(ARROW.vertices, axis), axis), ARROW.vertices
    )


@pytest.mark.parametrize("axis", ["x", "y", "z"])
@pytest.mark.parametrize("suffix", [".obj", ".ply", ".glb"])
def test_the_up_axis_of_a_file_is_what_its_reader_is_told(tmp_path: Path, suffix: str, axis: Axis) -> None:
    path = tmp_path / f"arrow{suffix}"
    written = Mesh(into_file_frame(ARROW.vertices, axis), ARROW.faces)
    if suffix == ".glb":  # whose writer turns from z to y by itself
        written = Mesh(into_object_frame(written.vertices, "y"), ARROW.faces)
    write_mesh(written, path)
    np.testing.assert_array_equal(read_mesh(path, up_axis=axis).vertices, ARROW.vertices)


@pytest.mark.parametrize(("suffix", "axis"), [(".glb", "y"), (".obj", "z"), (".ply", "z")])
def test_without_a_word_a_file_has_the_axis_of_its_format(tmp_path: Path, suffix: str, axis: Axis) -> None:
    path = tmp_path / f"arrow{suffix}"
    write_mesh(ARROW, path)
    np.testing.assert_array_equal(read_mesh(path).vertices, read_mesh(path, up_axis=axis).vertices)
    np.testing.assert_array_equal(read_mesh(path).vertices, ARROW.vertices)
