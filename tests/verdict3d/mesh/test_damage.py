"""Damage operators: deterministic, growing with the grade, harmless to their input."""

from __future__ import annotations

import numpy as np
import pytest

from verdict3d.errors import Verdict3DError
from verdict3d.furniture.catalogue import make_furniture, mesh_from_parts
from verdict3d.mesh.damage import DEFECTS, GRADES, KINDS, UNTAUGHT, damage
from verdict3d.mesh.mesh import Mesh
from verdict3d.pretrain.quality import Closeness
from verdict3d.pretrain.recipe import JUDGES
from verdict3d.randomness import numpy_generator
from verdict3d.render.renderer import Renderer


@pytest.fixture(scope="module")
def chair() -> Mesh:
    return mesh_from_parts(make_furniture("chair", numpy_generator(1, "damage_test")))


@pytest.mark.parametrize("defect", KINDS)
def test_same_generator_same_mesh_and_input_untouched(chair: Mesh, defect: str) -> None:
    vertices, faces = chair.vertices.copy(), chair.faces.copy()
    first, second = (damage(chair, defect, 3, numpy_generator(2, defect)) for _ in range(2))
    np.testing.assert_array_equal(first.vertices, second.vertices)
    np.testing.assert_array_equal(first.faces, second.faces)
    np.testing.assert_array_equal(chair.vertices, vertices)
    np.testing.assert_array_equal(chair.faces, faces)
    assert first.colors is not None and len(first.colors) == len(first.vertices)
    assert first.faces.max() < len(first.vertices) and np.isfinite(first.vertices).all()


@pytest.mark.parametrize("defect", KINDS)
def test_the_worst_grade_is_worse_than_the_mildest(chair: Mesh, defect: str) -> None:
    def mean_quality(grade: int) -> float:
        values = [
            Closeness(chair, Renderer(), numpy_generator(3, "truth", draw)).measure(
                damage(chair, defect, grade, numpy_generator(4, defect, draw))
            )
            for draw in range(4)
        ]
        return float(np.mean(values))

    mild, ruined = mean_quality(GRADES[0]), mean_quality(GRADES[-1])
    assert ruined < mild
    assert mild <= 1.0


def test_inverting_everything_turns_every_face(chair: Mesh) -> None:
    turned = damage(chair, "inverted_normals", 5, numpy_generator(6, "turn"))
    np.testing.assert_array_equal(turned.faces, chair.faces[:, ::-1])


def test_unknown_defects_and_grades_are_named(chair: Mesh) -> None:
    with pytest.raises(Verdict3DError, match="dropped_faces"):
        damage(chair, "scratched", 1, numpy_generator(7, "x"))
    with pytest.raises(Verdict3DError, match="1 to 5"):
        damage(chair, "floaters", 6, numpy_generator(7, "x"))


def test_the_kinds_that_judges_are_not_taught_are_none_of_those_they_are() -> None:
    assert not set(DEFECTS) & set(UNTAUGHT)
    for judge in JUDGES.values():
        assert set(judge.defects) <= set(DEFECTS)
