from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
import trimesh

from verdict3d.errors import ItemFailure
from verdict3d.mesh.files import read_mesh, write_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.view.pairs.meshes import (
    LEAST_FACES,
    MOST_FACES,
    count_faces_within,
    make_mesh_document,
    reduce_mesh,
)


def ball(subdivisions: int) -> Mesh:
    made = trimesh.creation.icosphere(subdivisions=subdivisions, radius=0.5)
    vertices = np.asarray(made.vertices, dtype=np.float32)
    colors = np.rint((vertices + 0.5) * 255).astype(np.uint8)
    return Mesh(vertices, np.asarray(made.faces, dtype=np.int32), colors)


@pytest.mark.parametrize("most", [200, 1000, 5000])
def test_a_reduced_ball_is_still_that_ball(most: int) -> None:
    whole = ball(5)
    small = reduce_mesh(whole, most)
    assert most / 3 < len(small.faces) <= most
    radii = np.linalg.norm(small.vertices, axis=1)
    assert radii.min() > 0.42 and radii.max() < 0.51
    assert small.colors is not None
    assert np.abs(small.colors / 255 - 0.5 - small.vertices).max() < 0.02
    outward = trimesh.Trimesh(small.vertices, small.faces, process=False)
    assert 0.8 < outward.volume / (4 / 3 * np.pi * 0.125) < 1.05
    assert set(np.unique(small.faces)) == set(range(len(small.vertices)))


def test_a_small_mesh_stays_as_it_is() -> None:
    mesh = ball(2)
    assert reduce_mesh(mesh, len(mesh.faces)) is mesh


def test_a_budget_is_shared_between_limits() -> None:
    assert count_faces_within(64_000_000, 10) == MOST_FACES
    assert count_faces_within(64_000_000, 10**6) == LEAST_FACES
    between = count_faces_within(64_000_000, 500)
    assert LEAST_FACES < between < MOST_FACES


def test_the_copies_of_a_budget_fit_into_it(tmp_path: Path) -> None:
    write_mesh(ball(6), tmp_path / "ball.glb")
    faces = count_faces_within(2_000_000, 20)
    document = make_mesh_document(tmp_path / "ball.glb", faces)
    assert len(document.glb) * 20 <= 2_000_000 * 1.02
    assert (document.faces, document.shown <= faces) == (81920, True)


def test_a_copy_is_a_mesh_framed_as_for_the_judge(tmp_path: Path) -> None:
    mesh = ball(3)
    write_mesh(Mesh(mesh.vertices * 7 + 3, mesh.faces, mesh.colors), tmp_path / "far.glb")
    document = make_mesh_document(tmp_path / "far.glb", 10_000)
    (tmp_path / "copy.glb").write_bytes(base64.b64decode(document.glb))
    copy = read_mesh(tmp_path / "copy.glb")
    assert np.abs(np.ptp(copy.vertices, axis=0) - 1).max() < 1e-3
    assert np.abs(copy.vertices).max() < 0.501
    assert copy.colors is not None


def test_a_texture_becomes_colours_of_the_vertices(tmp_path: Path) -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1]], dtype=np.float32)
    uv = np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]], dtype=np.float32)
    texture = np.array([[[0, 0, 255], [9, 9, 9]], [[255, 0, 0], [0, 255, 0]]], dtype=np.uint8)
    write_mesh(Mesh(corners, np.array([[0, 1, 2]], dtype=np.int32), None, uv, texture), tmp_path / "t.glb")
    document = make_mesh_document(tmp_path / "t.glb", 100)
    (tmp_path / "copy.glb").write_bytes(base64.b64decode(document.glb))
    copy = read_mesh(tmp_path / "copy.glb")
    assert copy.colors is not None
    assert copy.colors.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


def test_a_file_that_is_gone_has_a_reason(tmp_path: Path) -> None:
    with pytest.raises(ItemFailure) as failure:
        make_mesh_document(tmp_path / "gone.glb", 100)
    assert failure.value.reason == "missing_file"
