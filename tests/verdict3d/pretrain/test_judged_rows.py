"""Rows for judges: their quality orders what it should, and the same row comes out twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from support.tiny_trellis import write_tiny_generator
from verdict3d.furniture.catalogue import make_furniture, mesh_from_parts
from verdict3d.mesh.damage import damage
from verdict3d.mesh.mesh import Mesh
from verdict3d.pretrain.judged_rows import (
    CANDIDATES,
    SETS,
    Shown,
    draw_view_set,
    make_coloured_rows,
    make_damaged_rows,
    make_generated_rows,
    measure_generator,
)
from verdict3d.pretrain.objects import EDITS, edit_parts, make_training_object
from verdict3d.pretrain.pool import Pool, PoolRow
from verdict3d.pretrain.quality import LIKENESS_RIG, MEASURES
from verdict3d.randomness import numpy_generator
from verdict3d.render.renderer import Renderer
from verdict3d.view_sets import VIEW_SETS

SHOWN = Shown(3, 48, 32, "closeness", ("wrong_proportions",), ("moved", "removed"), held_out_from=1)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def chair() -> Mesh:
    return mesh_from_parts(make_furniture("chair", numpy_generator(3, "chair")))


@pytest.mark.parametrize("name", MEASURES)
def test_the_truth_is_best_and_ruin_is_worst(name: str, chair: Mesh) -> None:
    rng = numpy_generator(5, name)
    measure = MEASURES[name](chair, Renderer(LIKENESS_RIG), rng).measure
    mild, ruined = (
        np.mean([measure(damage(chair, defect, grade, rng)) for defect in ("moved_parts", "floaters")])
        for grade in (1, 5)
    )
    inside_out = measure(replace(chair, faces=chair.faces[:, ::-1].copy()))
    assert measure(chair) > mild > ruined > inside_out
    assert measure(Mesh(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]], np.int32))) == 0.0


@pytest.mark.parametrize("name", MEASURES)
def test_a_copy_that_is_moved_and_scaled_is_as_good(name: str, chair: Mesh) -> None:
    moved = replace(chair, vertices=chair.vertices * 0.5 + np.float32(3.0))
    measure = MEASURES[name](chair, Renderer(LIKENESS_RIG), numpy_generator(6, name)).measure
    assert measure(moved) == pytest.approx(measure(chair), abs=0.02)


@pytest.mark.parametrize("make_rows", [make_damaged_rows, make_coloured_rows])
def test_rows_have_a_true_first_candidate_and_come_out_again(make_rows) -> None:  # type: ignore[no-untyped-def]
    row, again = make_rows(SHOWN)(1), make_rows(SHOWN)(1)
    assert row["montages"].shape == (SETS, CANDIDATES, 48, 48, 3)
    assert row["references"].shape == (SETS, 48, 48, 3)
    truth, others = row["quality"][0], row["quality"][1:]
    assert 0.6 < truth < 1.0  # another sample of its surface: no more than what a perfect copy comes to
    assert (others <= truth + 0.03).all() and others.min() < truth - 0.1
    assert np.isfinite(row["f_score"]).all() and row["f_score"][0] > 0.95
    for name, value in row.items():
        np.testing.assert_array_equal(value, again[name])
    assert np.isnan(make_rows(SHOWN)(0)["f_score"]).all()  # only held-out rows are measured


def test_generations_are_worse_than_the_truth_and_are_counted(tmp_path: Path) -> None:
    write_tiny_generator(tmp_path / "generator")
    regimes = {name: {"operators": ["blur"], "count": 1, "severities": [5]} for name in ("medium", "severe")}
    make = make_generated_rows(SHOWN, str(tmp_path / "generator"), regimes, 1)
    row: PoolRow = make(1)
    assert (row["quality"][1:] < row["quality"][0]).all() and row["quality"][0] < 1.0
    pool = Pool.create(tmp_path / "pool", 1, row)
    pool.put(0, row)
    found = measure_generator(pool)
    assert list(found) == [
        "clean, full budget",
        "medium, full budget",
        "severe, full budget",
        "severe, low budget",
    ]
    assert found["clean, full budget"]["meshes"] == 2.0
    assert found["severe, low budget"]["f_score"] == round(float(row["f_score"][5]), 4)


def test_a_third_of_the_view_sets_is_the_usual_one() -> None:
    rng = numpy_generator(8, "views")
    drawn = [draw_view_set(rng) for _ in range(300)]
    own = sum(view_set == VIEW_SETS[0] for view_set in drawn)
    assert 70 < own < 130
    assert {view_set.elevation_deg > 50 for view_set in drawn} == {True, False}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_some_parts_and_leaves_one(edit: str) -> None:
    rng = numpy_generator(9, edit)
    for category in range(20):
        parts, warp = make_training_object(category, rng)
        edited = edit_parts(parts, (edit,), rng)
        same = {id(part) for part in parts} & {id(part) for part in edited}
        assert edited and len(parts) - len(same) <= max(1, len(parts) // 3)
        mesh = warp.mesh(edited)
        assert np.isfinite(mesh.vertices).all()
        assert 0.99 < float(np.ptp(mesh.vertices, axis=0).max()) < 2.0  # stray parts lie outside the frame
