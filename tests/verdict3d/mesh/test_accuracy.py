"""Measures on solids whose answers are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from verdict3d.furniture.catalogue import make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.furniture.parts import Part, box
from verdict3d.mesh.accuracy import (
    chamfer_distance,
    compare_meshes,
    f_score,
    normal_consistency,
    sample_true_surface,
)
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.sampling import sample_outside, sample_surface
from verdict3d.mesh.soundness import measure_soundness

GREY = np.array([128, 128, 128], np.uint8)
EMPTY = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))


def cube(center: tuple[float, float, float] = (0, 0, 0), side: float = 1.0) -> Part:
    return box(center, (side, side, side), GREY)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_surface_points_are_on_the_surface_uniform_and_repeatable() -> None:
    mesh = mesh_from_parts([box((0, 0, 0), (2, 1, 1), GREY)])
    points, normals = sample_surface(mesh, 6000, rng())
    again, _ = sample_surface(mesh, 6000, rng())
    assert points.tobytes() == again.tobytes()
    assert np.abs(np.abs(points / [1, 0.5, 0.5]).max(axis=1) - 1).max() < 1e-6
    on_ends = np.abs(normals[:, 0]) > 0.9
    assert on_ends.mean() == pytest.approx(2 / 10, abs=0.01)
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert ((points * normals).sum(axis=1) > 0).all()


def test_f_score_and_chamfer_by_hand() -> None:
    truth = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    found = np.float32([[0, 0, 0.01], [1, 0, 0.01], [5, 0, 0]])
    assert f_score(found, truth, 0.02) == pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))
    assert f_score(found, truth) == f_score(found, truth, 0.05 * 2**0.5)
    there = (0.01 + 0.01 + 4) / 3
    back = (0.01 + 0.01 + 2 * (1 + 0.01**2) ** 0.5) / 4
    assert chamfer_distance(found, truth) == pytest.approx((there + back) / 2, rel=1e-5)
    assert f_score(truth, truth) == 1.0 and chamfer_distance(truth, truth) == 0.0


def test_nothing_measured_is_none_not_a_number() -> None:
    nothing, some = np.zeros((0, 3), np.float32), np.zeros((2, 3), np.float32)
    assert f_score(nothing, some) == 0.0
    with pytest.raises(ValueError, match="no F-score without"):
        f_score(some, nothing)
    assert chamfer_distance(nothing, some) is None
    assert normal_consistency(nothing, nothing, some, some) is None
    assert measure_soundness(EMPTY)[0] is None
    assert len(sample_surface(EMPTY, 10, rng())[0]) == 0
    assert len(sample_outside(EMPTY, 10, rng())[0]) == 0


def test_normal_consistency_ignores_the_sign_and_sees_right_angles() -> None:
    points = np.float32([[0, 0, 0], [1, 0, 0]])
    up, side = np.float32([[0, 0, 1]] * 2), np.float32([[1, 0, 0]] * 2)
    assert normal_consistency(points, up, points, -up) == 1.0
    assert normal_consistency(points, up, points, side) == 0.0


def test_floaters_counts_what_hangs_in_the_air() -> None:
    alone = measure_soundness(mesh_from_parts([cube()]))[1]
    assert (alone.components, alone.pieces, alone.floating_share) == (1, 1, 0.0)
    touching = measure_soundness(mesh_from_parts([cube(), cube((0.9, 0, 0))]))[1]
    assert (touching.components, touching.pieces, touching.floating_share) == (2, 1, 0.0)
    apart = measure_soundness(mesh_from_parts([cube(), cube((2, 0, 0), 0.5)]))[1]
    assert (apart.components, apart.pieces) == (2, 2)
    assert apart.floating_share == pytest.approx(0.25 / 1.25)
    assert measure_soundness(EMPTY)[1].components == 0


def test_validity_of_closed_open_and_broken_meshes() -> None:
    whole = mesh_from_parts([cube()])
    sound = measure_soundness(whole)[0]
    assert sound is not None
    assert (sound.watertight_share, sound.boundary_edge_share, sound.non_manifold_edge_share) == (1, 0, 0)
    opened = measure_soundness(Mesh(whole.vertices, whole.faces[1:]))[0]
    assert opened is not None and opened.watertight_share == 0.0
    assert opened.boundary_edge_share == pytest.approx(3 / 18)
    flipped = whole.faces.copy()
    flipped[0] = flipped[0, ::-1]
    turned = measure_soundness(Mesh(whole.vertices, flipped))[0]
    assert turned is not None and turned.watertight_share == 0.0 and turned.boundary_edge_share == 0.0
    flat = measure_soundness(Mesh(whole.vertices, np.int32([[0, 1, 1], [2, 2, 2]])))[0]
    assert flat is not None and flat.watertight_share is None and flat.degenerate_share == 1.0
    fin = np.concatenate([whole.faces, [[0, 1, 6], [2, 2, 3]]]).astype(np.int32)
    finned = measure_soundness(Mesh(whole.vertices, fin))[0]
    assert finned is not None and finned.non_manifold_edge_share > 0
    assert finned.degenerate_share == pytest.approx(1 / 14)


def test_welding_makes_triangle_soup_whole() -> None:
    whole = mesh_from_parts([cube()])
    soup = Mesh(whole.vertices[whole.faces.ravel()], np.arange(36, dtype=np.int32).reshape(-1, 3))
    sound = measure_soundness(soup)[0]
    assert sound is not None and sound.watertight_share == 1.0
    assert measure_soundness(soup)[1].components == 1


def test_outer_points_leave_out_what_is_buried() -> None:
    mesh = mesh_from_parts([cube(), cube(side=0.5)])
    assert (np.abs(sample_surface(mesh, 2000, rng())[0]).max(axis=1) < 0.3).mean() == pytest.approx(
        0.2, abs=0.01
    )
    points, normals = sample_outside(mesh, 2000, rng())
    assert len(points) == len(normals) == 2000
    assert np.abs(points).max(axis=1) == pytest.approx(0.5)


def test_compare_meshes_ranks_and_survives_failures() -> None:
    truth = mesh_from_parts(make_furniture("chair", rng(1)))
    other = mesh_from_parts(make_furniture("lamp", rng(2)))
    surface = sample_true_surface(truth, 0, 2000)
    same = compare_meshes(truth, surface, seed=0, samples=2000)
    worse = compare_meshes(other, surface, seed=0, samples=2000)
    assert same.f_score == 1.0 and same.empty is False
    assert worse.f_score < 0.6 and worse.chamfer_distance > 3 * same.chamfer_distance
    assert same.normal_consistency > 0.85 > worse.normal_consistency
    assert compare_meshes(other, surface, seed=0, samples=2000) == worse
    flat = Mesh(np.zeros((3, 3), np.float32), np.int32([[0, 1, 2]]))
    for failed in (None, EMPTY, flat):
        row = compare_meshes(failed, surface, seed=0, samples=500)
        assert row.empty is True and row.f_score == 0.0
        assert row.chamfer_distance is None and row.normal_consistency is None
