"""Welding and components: one definition, which measures use exactly and damage with a tolerance."""

from __future__ import annotations

import numpy as np
import pytest

from support.solids import box, join
from verdict3d.mesh.damage import drop_parts
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.soundness import find_components, measure_soundness, weld


def cracked(mesh: Mesh, gap: float) -> Mesh:
    """Return a closed box whose first face has corners of its own, ``gap`` beside those of its neighbours."""
    vertices = np.concatenate([mesh.vertices, mesh.vertices[mesh.faces[0]] + np.float32(gap)])
    faces = mesh.faces.copy()
    faces[0] = len(mesh.vertices) + np.arange(3)
    return Mesh(vertices, faces)


@pytest.mark.parametrize("seed", range(5))
def test_places_are_numbered_as_numpy_numbers_unique_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(-2, 3, size=(200, 3)).astype(np.float32) * rng.choice([-0.0, 1.0], size=(200, 1))
    wanted = np.unique(points, axis=0, return_inverse=True)[1].reshape(-1)
    np.testing.assert_array_equal(weld(points), wanted)


def test_components_are_joined_by_any_shared_vertex() -> None:
    faces = np.array([[0, 1, 2], [5, 6, 7], [2, 3, 4], [9, 8, 7]])
    count, component = find_components(faces)
    assert count == 2
    np.testing.assert_array_equal(component, [0, 1, 0, 1])


def test_a_crack_is_measured_and_does_not_make_a_part_for_damage() -> None:
    whole = join(*(box((0.2, 0.2, 0.2), (x, 0, 0)) for x in (-0.4, 0.0, 0.4)))
    sound, _ = measure_soundness(whole)
    torn = join(*(cracked(box((0.2, 0.2, 0.2), (x, 0, 0)), 1e-6) for x in (-0.4, 0.0, 0.4)))
    broken, found = measure_soundness(torn)
    assert sound is not None and broken is not None
    assert sound.watertight_share == 1.0 and sound.boundary_edge_share == 0.0
    assert broken.watertight_share == 0.0 and found.components == 6
    for seed in range(10):
        left = drop_parts(torn, 4, np.random.default_rng(seed))
        boxes = np.round(left.vertices[left.faces][:, :, 0].mean(axis=1) / 0.4).astype(int)
        assert set(np.unique(boxes, return_counts=True)[1]) == {12}
