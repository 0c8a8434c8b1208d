"""Other clothes hide the same object: the surface stays, whatever the file says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from verdict3d.furniture.catalogue import make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.equivalents import EQUIVALENTS
from verdict3d.mesh.mesh import Mesh, mesh_digest, normalize
from verdict3d.mesh.sampling import compute_areas_and_normals
from verdict3d.randomness import numpy_generator
from verdict3d.render.renderer import Renderer


@pytest.fixture(scope="module")
def chair() -> Mesh:
    return mesh_from_parts(make_furniture("chair", numpy_generator(1, "equivalents_test")))


@pytest.mark.parametrize("clothes", EQUIVALENTS)
def test_the_file_is_another_and_the_surface_is_not(chair: Mesh, clothes: str) -> None:
    other = EQUIVALENTS[clothes](chair, numpy_generator(2, clothes))
    assert mesh_digest(other) != mesh_digest(chair)
    assert other.colors is not None and other.colors.shape == other.vertices.shape
    same, mine = normalize(other), normalize(chair)
    assert compute_areas_and_normals(same)[0].sum() == pytest.approx(
        compute_areas_and_normals(mine)[0].sum(), rel=1e-4
    )
    extent = np.ptp(mine.vertices, axis=0)
    np.testing.assert_allclose(np.ptp(same.vertices, axis=0), extent, atol=1e-4)


@pytest.mark.parametrize("clothes", [name for name in EQUIVALENTS if name != "turned"])
def test_the_pictures_are_the_same_but_for_single_pixels(chair: Mesh, clothes: str) -> None:
    renderer = Renderer()
    other = EQUIVALENTS[clothes](chair, numpy_generator(2, clothes))
    for mode in ("normal", "rgb"):
        one, two = (renderer.montage(mesh, mode).astype(int) for mesh in (chair, other))
        assert (np.abs(one - two).max(axis=2) > 8).mean() < 0.002


def test_turning_shows_the_other_side(chair: Mesh) -> None:
    turned = EQUIVALENTS["turned"](chair, numpy_generator(2, "turned"))
    np.testing.assert_array_equal(turned.vertices, chair.vertices * np.array([-1, -1, 1], dtype=np.float32))


def test_quantised_positions_lie_on_a_grid_of_fourteen_bits(chair: Mesh) -> None:
    quantised = EQUIVALENTS["quantised"](chair, numpy_generator(2, "quantised"))
    step = np.ptp(chair.vertices, axis=0).max() / (2**14 - 1)
    places = (quantised.vertices - chair.vertices.min(axis=0)) / step
    np.testing.assert_allclose(places, np.rint(places), atol=1e-2)
    moved = np.abs(quantised.vertices - chair.vertices)
    assert 0 < moved.max() <= 0.501 * step


def test_a_texture_stays_where_it_was() -> None:
    values: dict[str, Any] = {
        "vertices": np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1]], dtype=np.float32),
        "faces": np.array([[0, 1, 2]], dtype=np.int32),
        "uv": np.array([[0, 0], [1, 0], [0, 1]], dtype=np.float32),
        "texture": np.zeros((2, 2, 3), dtype=np.uint8),
    }
    split = EQUIVALENTS["subdivided"](Mesh(**values), numpy_generator(2, "uv"))
    assert len(split.faces) == 4 and split.uv is not None
    np.testing.assert_allclose(split.uv, split.vertices[:, [0, 2]])
