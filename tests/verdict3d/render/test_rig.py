"""Cameras and the rig: conventions, projection, digest."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest

from support.projection import enclosing_distance, project_points
from verdict3d.errors import Verdict3DError
from verdict3d.render import shaders
from verdict3d.render.rig import (
    Camera,
    Rig,
    camera_from_world,
    projection,
)
from verdict3d.view_sets import ViewSet


def position_of(camera: Camera) -> np.ndarray:
    return -camera_from_world(camera)[:3, :3].T @ camera_from_world(camera)[:3, 3]


@pytest.mark.parametrize(
    ("yaw_deg", "elevation_deg", "direction"),
    [(0, 0, (0, -1, 0)), (90, 0, (1, 0, 0)), (180, 0, (0, 1, 0)), (0, 30, (0, -(3**0.5) / 2, 0.5))],
)
def test_camera_stands_where_the_convention_says(yaw_deg, elevation_deg, direction):
    camera = Camera(yaw_deg, elevation_deg, 40.0, 2.5)
    np.testing.assert_allclose(position_of(camera), 2.5 * np.array(direction), atol=1e-12)


def test_camera_frame_is_a_rotation():
    turn = camera_from_world(Camera(33.0, -21.0))[:3, :3]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1.0)


def test_front_camera_has_x_to_the_right_and_z_up():
    camera = Camera(0.0, 0.0, 90.0, 2.0)
    points = np.array([[0, 0, 0], [0.5, 0, 0], [0, 0, 0.5], [0, -1, 0]], dtype=float)
    pixels, depth = project_points(camera, points, 100)
    # tan(45 deg) = 1: at depth 2 half the picture spans 2 units, so 0.5 units are 12.5 px
    np.testing.assert_allclose(pixels, [[50, 50], [62.5, 50], [50, 37.5], [50, 50]], atol=1e-9)
    np.testing.assert_allclose(depth, [2, 2, 2, 1])


def test_projection_maps_the_planes_to_the_ends_of_the_depth_range():
    camera = Camera(0.0, 0.0, 40.0, 2.0)
    for depth, expected in ((camera.near, -1.0), (camera.far, 1.0)):
        clip = projection(camera) @ np.array([0.0, depth - 2.0, 0.0, 1.0])
        assert clip[2] / clip[3] == pytest.approx(expected)
        assert clip[3] == pytest.approx(depth)


def test_unit_cube_at_any_yaw_is_inside_every_view():
    rig = Rig()
    corners = np.array(np.meshgrid(*[[-0.5, 0.5]] * 3)).reshape(3, -1).T
    for elevation in {*rig.elevations_deg, *(seen.elevation_deg for seen in rig.view_sets)}:
        assert rig.distance >= enclosing_distance(rig.fov_deg, elevation)
        for yaw in range(0, 90, 5):
            pixels, depth = project_points(Camera(yaw, elevation, rig.fov_deg, rig.distance), corners, 1)
            assert pixels.min() > 0.0 and pixels.max() < 1.0
            assert depth.min() > Camera(0, 0, distance=rig.distance).near


def test_enclosing_distance_is_tight():
    corners = np.array(np.meshgrid(*[[-0.5, 0.5]] * 3)).reshape(3, -1).T
    distance = enclosing_distance(30.0, 20.0) * 0.995
    pixels = [
        project_points(Camera(yaw, 20.0, 30.0, distance), corners, 1)[0] for yaw in np.arange(0, 90, 0.5)
    ]
    assert np.min(pixels) < 0.0 or np.max(pixels) > 1.0


def test_rig_has_24_views_and_a_montage_at_quarter_turns():
    rig = Rig()
    assert len(set(rig.cameras)) == 24
    for number, seen in enumerate(rig.view_sets):
        cameras = rig.montage_cameras(number)
        assert [b.yaw_deg - a.yaw_deg for a, b in pairwise(cameras)] == [90.0, 90.0, 90.0]
        assert {camera.elevation_deg for camera in cameras} == {seen.elevation_deg}
    assert set(rig.montage_cameras()) <= set(rig.cameras)


def test_a_view_set_has_a_digest_of_its_own_that_no_other_set_changes():
    rig = Rig()
    assert len({*rig.set_digests}) == len(rig.view_sets)
    shorter = replace(rig, view_sets=rig.view_sets[:3])
    assert shorter.set_digests == rig.set_digests[:3] and shorter.digest != rig.digest
    turned = replace(rig, view_sets=(ViewSet(46.0, 20.0), *rig.view_sets[1:]))
    assert turned.set_digests[0] != rig.set_digests[0] and turned.set_digests[1:] == rig.set_digests[1:]
    larger = replace(rig, view_px=rig.view_px + 1)
    assert not {*larger.set_digests} & {*rig.set_digests}


def test_digest_covers_every_parameter_and_the_shaders(monkeypatch):
    rig = Rig()
    digests = {rig.digest}
    for field in fields(rig):
        value = getattr(rig, field.name)
        other = value[:-1] if isinstance(value, tuple) else value + 1
        digests.add(replace(rig, **{field.name: other}).digest)
    assert len(digests) == 1 + len(fields(rig))
    assert Rig().digest == rig.digest
    before = rig.digest
    vertex, fragment = shaders.PROGRAMS["normal"]
    monkeypatch.setitem(shaders.PROGRAMS, "normal", (vertex, fragment + "\n"))
    assert rig.digest != before


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"yaw_deg": float("nan")}, "yaw_deg"),
        ({"elevation_deg": 90.0}, "elevation_deg"),
        ({"fov_deg": 180.0}, "fov_deg"),
        ({"distance": 0.0}, "distance"),
    ],
)
def test_impossible_cameras_are_refused_by_name(values, word):
    with pytest.raises(Verdict3DError, match=word):
        Camera(**{"yaw_deg": 0.0, "elevation_deg": 0.0, **values})
