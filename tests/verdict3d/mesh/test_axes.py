"""Up axes: every file is read into the object frame, and only there are axes turned."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import trimesh

from verdict3d.furniture.catalogue import make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.library import procedural_asset
from verdict3d.mesh.axes import Axis, turn_into_file, turn_into_object
from verdict3d.mesh.files import read_mesh, write_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.posture import guess_up_axis

ARROW = Mesh(
    np.float32([[0, -1, 0], [0.1, 0, 0], [-0.1, 0, 0], [0, 0, 3]]),
    np.int32([[0, 1, 3], [0, 3, 2], [1, 2, 3], [0, 2, 1]]),
)
"""Points up (3 long) and shows its tail towards the front."""


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_a_turn_keeps_the_hand_and_is_undone(axis: Axis) -> None:
    turn = turn_into_object(np.eye(3, dtype=np.float32), axis)
    assert np.linalg.det(turn) == pytest.approx(1.0)
    up = np.eye(3, dtype=np.float32)["xyz".index(axis)]
    np.testing.assert_array_equal(turn_into_object(up[None], axis), [[0, 0, 1]])
    np.testing.assert_array_equal(
        turn_into_object(turn_into_file(ARROW.vertices, axis), axis), ARROW.vertices
    )


@pytest.mark.parametrize("axis", ["x", "y", "z"])
@pytest.mark.parametrize("suffix", [".obj", ".ply", ".glb"])
def test_the_up_axis_of_a_file_is_what_its_reader_is_told(tmp_path: Path, suffix: str, axis: Axis) -> None:
    path = tmp_path / f"arrow{suffix}"
    custom: Axis = "z" if suffix == ".ply" else "y"  # what the writer turns to by itself
    turned = turn_into_object(turn_into_file(ARROW.vertices, axis), custom)
    write_mesh(Mesh(turned, ARROW.faces), path)
    mesh = read_mesh(path, up_axis=axis)
    np.testing.assert_array_equal(mesh.vertices, ARROW.vertices)
    assert mesh.notes == ()


@pytest.mark.parametrize(("suffix", "axis"), [(".glb", "y"), (".obj", "y"), (".ply", "z")])
def test_what_is_written_is_read_upright_without_a_guess(tmp_path: Path, suffix: str, axis: Axis) -> None:
    path = tmp_path / f"arrow{suffix}"
    write_mesh(ARROW, path)
    np.testing.assert_array_equal(read_mesh(path, up_axis=axis).vertices, ARROW.vertices)
    mesh = read_mesh(path)
    np.testing.assert_array_equal(mesh.vertices, ARROW.vertices)
    assert mesh.notes == ()


def foreign(path: Path, vertices: np.ndarray, faces: np.ndarray) -> Path:
    """A file of another program, which says nothing about its axes."""
    path.write_bytes(
        trimesh.Trimesh(vertices, faces, process=False).export(file_type=path.suffix[1:]).encode()
        if path.suffix == ".obj"
        else trimesh.Trimesh(vertices, faces, process=False).export(file_type=path.suffix[1:])
    )
    return path


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".stl"])
def test_the_shape_decides_where_it_speaks_clearly_else_custom_and_the_guess_is_noted(
    tmp_path: Path, suffix: str
) -> None:
    table = mesh_from_parts(make_furniture("table", np.random.default_rng(1)))
    cube = trimesh.creation.box()
    for axis in ("y", "z"):
        path = foreign(tmp_path / f"{axis}{suffix}", turn_into_file(table.vertices, axis), table.faces)
        mesh = read_mesh(path)
        np.testing.assert_allclose(mesh.vertices.min(axis=0), table.vertices.min(axis=0), atol=1e-5)
        np.testing.assert_allclose(mesh.vertices.max(axis=0), table.vertices.max(axis=0), atol=1e-5)
        (note,) = mesh.notes
        assert note.kind == "up_axis" and note.text.startswith(f"{axis} is taken as up")
    custom = "y" if suffix == ".obj" else "z"
    (note,) = read_mesh(foreign(tmp_path / f"cube{suffix}", cube.vertices, cube.faces)).notes
    assert note.text.startswith(f"{custom} is taken as up, as {suffix} files usually have it")
    other = "y" if custom == "z" else "z"
    assert note.text.endswith(f"does not tell: if it lies, say --up {other}, or assets.up_axis")


def test_guesses_on_own_furniture_and_in_any_order() -> None:
    """A clear shape goes before the custom and is nearly always right; the order of faces changes nothing."""
    right = Counter[str]()
    for number in range(40):
        mesh = procedural_asset("heldout", number, 5).mesh
        for axis, suffix in product(get_args(Axis)[1:], (".obj", ".stl")):
            lying = Mesh(turn_into_file(mesh.vertices, axis), mesh.faces)
            guess = guess_up_axis(lying, suffix)
            assert (
                guess_up_axis(Mesh(lying.vertices, np.ascontiguousarray(mesh.faces[::-1])), suffix) == guess
            )
            right[f"{suffix} with {axis} up"] += guess[0] == axis
    assert right[".obj with y up"] == 40 and right[".stl with z up"] >= 39
    assert right[".obj with z up"] >= 20 and right[".stl with y up"] >= 26


@pytest.mark.parametrize(
    "vertices", [np.zeros((3, 3)), np.eye(3), np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]])]
)
def test_what_has_no_posture_follows_custom(vertices: np.ndarray) -> None:
    axis, why = guess_up_axis(Mesh(vertices.astype(np.float32), np.int32([[0, 1, 2]])), ".obj")
    assert axis == "y" and "usually" in why
