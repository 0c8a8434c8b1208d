"""Robust framing: strays do not shrink the object, real parts are never cut off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.solids import box, join, sphere
from verdict3d.errors import ItemFailure
from verdict3d.furniture.catalogue import CATEGORIES, make_furniture, mesh_from_parts
from verdict3d.mesh.mesh import Mesh
from verdict3d.randomness import numpy_generator
from verdict3d.render.framing import bulk_box, frame_mesh


def floater(center: tuple[float, float, float], size: float = 0.02) -> Mesh:
    return box((size,) * 3, center)


@pytest.mark.parametrize("center", [(0, -2, 0), (3, 0, 0), (0, 0, 0.9), (40, -40, 40), (-5000, 0, 0)])
def test_a_stray_far_outside_does_not_change_the_frame(center):
    chair = box((0.5, 0.6, 1.0))
    low, high = bulk_box(join(chair, floater(center)))
    np.testing.assert_allclose((low, high), [[-0.25, -0.3, -0.5], [0.25, 0.3, 0.5]], atol=1e-6)


def test_many_strays_are_all_ignored():
    rng = np.random.default_rng(0)
    strays = [floater(tuple(rng.choice([-1, 1], 3) * rng.uniform(1.0, 4.0, 3)), 0.01) for _ in range(40)]
    low, high = bulk_box(join(sphere(2), *strays))
    np.testing.assert_allclose(high - low, 1.0, atol=0.02)


def test_a_big_separate_part_counts():
    low, high = bulk_box(join(box((1, 1, 1)), box((0.5, 0.5, 0.5), (0, 0, 2))))
    np.testing.assert_allclose(high - low, [1, 1, 2.75], atol=1e-6)


def test_thin_parts_that_touch_count():
    leg = box((0.01, 0.01, 1.0), (0.3, 0.3, -0.7))
    low, _ = bulk_box(join(box((1, 1, 0.4)), leg))
    assert low[2] == pytest.approx(-1.2)


def test_a_narrow_gap_counts_as_touching():
    low, high = bulk_box(join(box((1, 1, 1)), floater((0, 0, 0.56))))
    assert high[2] == pytest.approx(0.57)
    assert low[2] == pytest.approx(-0.5)


@pytest.mark.parametrize("category", CATEGORIES)
def test_furniture_is_framed_by_its_whole_box(category):
    for draw in range(10):
        mesh = mesh_from_parts(make_furniture(category, numpy_generator(7, "framing", category, draw)))
        low, high = bulk_box(mesh)
        np.testing.assert_allclose((low, high), (mesh.vertices.min(0), mesh.vertices.max(0)), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 100.0), st.tuples(*[st.floats(-50.0, 50.0)] * 3), st.sampled_from(["sphere", "boxes"]))
def test_frame_does_not_depend_on_place_and_size(scale, shift, solid):
    mesh = sphere(1) if solid == "sphere" else join(box((1, 0.4, 0.6)), floater((0, -3, 0)))
    moved = replace(mesh, vertices=(mesh.vertices * scale + np.array(shift)).astype(np.float32))
    tolerance = 2e-5 * max(1.0, np.abs(shift).max() / scale)
    expected = frame_mesh(mesh).vertices
    np.testing.assert_allclose(frame_mesh(moved).vertices, expected, atol=tolerance * np.abs(expected).max())


def test_framing_twice_is_framing_once():
    once = frame_mesh(join(box((0.3, 0.2, 0.1), (4, 5, 6)), floater((9, 9, 9))))
    assert frame_mesh(once) is once


@pytest.mark.parametrize(
    ("vertices", "faces", "reason"),
    [
        (np.zeros((3, 3)), np.zeros((0, 3)), "no_faces"),
        (np.zeros((3, 3)), [[0, 1, 2]], "degenerate"),
        ([[0, 0, 0], [1, 0, np.nan], [0, 1, 0]], [[0, 1, 2]], "non_finite"),
        (np.eye(3), [[0, 1, 3]], "index_out_of_range"),
        (np.eye(3), [[0, 1, -1]], "index_out_of_range"),
    ],
)
def test_meshes_that_cannot_be_framed_say_why(vertices, faces, reason):
    with pytest.raises(ItemFailure) as failure:
        frame_mesh(Mesh(np.asarray(vertices, np.float32), np.asarray(faces, np.int32)))
    assert failure.value.reason == reason
