"""Finishing: what is off changes nothing; floaters go, holes close, faces become fewer, colours stay."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import trimesh

from support.solids import box, join, sphere
from verdict3d.config_inputs import FinishParams
from verdict3d.errors import Verdict3DError
from verdict3d.mesh.finishing import check_finish, finish_identity, finish_mesh
from verdict3d.mesh.mesh import Mesh


def painted(mesh: Mesh) -> Mesh:
    """Red where x is below 0, blue elsewhere."""
    left = (mesh.vertices[:, :1] < 0).astype(np.uint8)
    return Mesh(mesh.vertices, mesh.faces, np.hstack([255 * left, 0 * left, 255 * (1 - left)]))


def as_trimesh(mesh: Mesh) -> Any:
    return trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)


def test_nothing_happens_by_default() -> None:
    ball = painted(sphere(3))
    assert finish_mesh(ball, FinishParams()) is ball


def test_small_parts_are_removed_and_large_ones_stay() -> None:
    ball, speck = sphere(3), box((0.02, 0.02, 0.02), (0.0, 0.0, 0.7))
    both = painted(join(ball, speck))
    cleaned = finish_mesh(both, FinishParams(floater_share=0.01))
    assert len(cleaned.faces) == len(ball.faces) and len(cleaned.vertices) == len(ball.vertices)
    assert cleaned.colors is not None and both.colors is not None
    assert np.array_equal(cleaned.colors, both.colors[: len(ball.vertices)])
    kept = finish_mesh(both, FinishParams(floater_share=1e-5))
    assert len(kept.faces) == len(both.faces)


def test_faces_that_share_places_and_no_vertices_are_one_part() -> None:
    ball, speck = sphere(3), box((0.02, 0.02, 0.02), (0.0, 0.0, 0.7))
    both = join(ball, speck)
    loose = Mesh(
        both.vertices[both.faces].reshape(-1, 3), np.arange(both.faces.size, dtype=np.int32).reshape(-1, 3)
    )
    cleaned = finish_mesh(loose, FinishParams(floater_share=0.01))
    assert len(cleaned.faces) == len(ball.faces)


def test_holes_are_closed_with_their_winding() -> None:
    ball = painted(sphere(3))
    top = ball.vertices[ball.faces].mean(axis=1)[:, 2] > 0.45
    torn = Mesh(ball.vertices, ball.faces[~top], ball.colors)
    assert top.sum() > 4 and not as_trimesh(torn).is_watertight
    closed = as_trimesh(finish_mesh(torn, FinishParams(fill_holes=True)))
    assert closed.is_watertight and closed.is_winding_consistent and closed.volume > 0


def test_fewer_faces_keep_shape_and_colours() -> None:
    pytest.importorskip("fast_simplification", reason="an extra: pip install -e '.[finish]'")
    ball = painted(sphere(5))
    few = finish_mesh(ball, FinishParams(faces=500))
    assert 400 <= len(few.faces) <= 500 < len(ball.faces) and few.colors is not None
    assert as_trimesh(few).volume == pytest.approx(as_trimesh(ball).volume, rel=0.02)
    sure = np.abs(few.vertices[:, 0]) > 0.05
    assert np.array_equal(few.colors[sure, 0] == 255, few.vertices[sure, 0] < 0)
    assert len(finish_mesh(ball, FinishParams(faces=10**6)).faces) == len(ball.faces)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fast_simplification", None)
    with pytest.raises(Verdict3DError, match=r"pip install -e '\.\[finish\]'"):
        check_finish(FinishParams(faces=10))
    check_finish(FinishParams(fill_holes=True))


def test_the_identity_tells_ways_apart() -> None:
    ways = [FinishParams(), FinishParams(fill_holes=True), FinishParams(faces=10), FinishParams(faces=11)]
    identities = [finish_identity(way) for way in ways]
    assert all(one not in identities[:place] for place, one in enumerate(identities))
    assert identities[0][1] == [] and identities[1][1][0] == trimesh.__version__
