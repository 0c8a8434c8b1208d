"""Surface voxels of known solids and picture features at them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from support.projection import project_points
from verdict3d.mesh.mesh import Mesh
from verdict3d.render.rig import Camera
from verdict3d.trellis import voxelize
from verdict3d.trellis.voxelize import project_features, voxelize_surface

CUBE_FACES = [
    (0, 2, 3), (0, 3, 1), (4, 5, 7), (4, 7, 6), (0, 1, 5), (0, 5, 4),
    (2, 6, 7), (2, 7, 3), (0, 4, 6), (0, 6, 2), (1, 3, 7), (1, 7, 5),
]  # fmt: skip


def cube(half: float) -> Mesh:
    corners = np.stack([(np.arange(8) >> bit & 1) - 0.5 for bit in range(3)], axis=1)
    return Mesh((corners * 2 * half).astype(np.float32), np.array(CUBE_FACES, np.int32))


def sphere(radius: float, rings: int = 24) -> Mesh:
    theta, phi = np.linspace(0, np.pi, rings), np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    t, p = np.meshgrid(theta, phi, indexing="ij")
    points = radius * np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], axis=-1)
    index = np.arange(points[..., 0].size).reshape(t.shape)
    a, b = index[:-1], index[1:]
    c, d = np.roll(b, -1, axis=1), np.roll(a, -1, axis=1)
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return Mesh(points.reshape(-1, 3).astype(np.float32), faces.astype(np.int32))


def test_a_cube_is_a_hollow_box_of_voxels() -> None:
    inner = voxelize_surface(cube(0.35), 10)  # faces at 1.5 and 8.5, inside voxels 1 and 8
    assert inner.dtype == np.int32 and len(inner) == 8**3 - 6**3
    assert set(map(tuple, inner)) == {
        (x, y, z) for x in range(1, 9) for y in range(1, 9) for z in range(1, 9) if {x, y, z} & {1, 8}
    }
    between = voxelize_surface(cube(0.25), 8)  # faces at 2 and 6, between two voxels: both layers
    assert len(between) == 6**3 - 2**3


def test_the_unit_cube_stays_inside() -> None:
    coords = voxelize_surface(cube(0.5), 8)
    assert coords.min() == 0 and coords.max() == 7 and len(coords) == 8**3 - 6**3


def test_a_sphere_covers_every_surface_point_and_nothing_far() -> None:
    mesh, resolution = sphere(0.4), 32
    coords = voxelize_surface(mesh, resolution)
    occupied = set(map(tuple, coords))
    rng = np.random.default_rng(5)
    weights = rng.dirichlet((1, 1, 1), size=20_000)
    points = (
        mesh.vertices[mesh.faces[rng.integers(len(mesh.faces), size=20_000)]] * weights[:, :, None]
    ).sum(axis=1)
    assert set(map(tuple, np.floor((points + 0.5) * resolution).astype(int))) <= occupied
    distance = np.abs(np.linalg.norm((coords + 0.5) / resolution - 0.5, axis=1) - 0.4)
    assert distance.max() < np.sqrt(3) / 2 / resolution + 0.004
    assert len(coords) < 1.2 * 4 * np.pi * (0.4 * resolution) ** 2 * 1.5  # a layer, not a volume


def test_blocks_and_order_of_faces_are_irrelevant(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = sphere(0.37, 8)
    whole = voxelize_surface(mesh, 16)
    monkeypatch.setattr(voxelize, "PAIRS_AT_ONCE", 7)
    assert np.array_equal(whole, voxelize_surface(Mesh(mesh.vertices, mesh.faces[::-1].copy()), 16))


def test_degenerate_triangles_and_empty_meshes() -> None:
    point = Mesh(np.zeros((3, 3), np.float32) + 0.01, np.array([[0, 1, 2]], np.int32))
    assert voxelize_surface(point, 4).tolist() == [[2, 2, 2]]
    empty = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    assert voxelize_surface(empty, 4).shape == (0, 3)


def test_features_are_the_tokens_where_the_camera_sees_the_voxel() -> None:
    """Tokens that hold their own picture position give back the projected position of each voxel centre."""
    cameras = (Camera(20.0, 15.0, 40.0, 2.2), Camera(200.0, 40.0, 40.0, 2.0))
    side, resolution = 32, 8
    ticks = (torch.arange(side) + 0.5) / side
    rows, columns = torch.meshgrid(ticks, ticks, indexing="ij")
    tokens = torch.stack([columns, rows], dim=-1).expand(2, side, side, 2)
    coords = torch.tensor([[4, 4, 4], [2, 5, 3], [6, 1, 5]])
    features = project_features(coords, tokens, cameras, resolution)
    centres = (coords.numpy() + 0.5) / resolution - 0.5
    expected = np.mean([project_points(camera, centres, 1)[0] for camera in cameras], axis=0)
    assert np.abs(features.numpy() - expected).max() < 1e-5


def test_tokens_outside_the_picture_count_as_zero() -> None:
    near = Camera(0.0, 0.0, 10.0, 2.0)
    corner = project_features(torch.tensor([[0, 0, 0]]), torch.ones(1, 4, 4, 3), (near,), 16)
    assert torch.equal(corner, torch.zeros(1, 3))
    with pytest.raises(ValueError, match="camera"):
        project_features(torch.zeros(1, 3, dtype=torch.int32), torch.ones(2, 4, 4, 3), (near,), 16)
