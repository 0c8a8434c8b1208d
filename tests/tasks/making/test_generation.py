"""One batch of generations: what helpers make of it, and of meshes that nothing can be made of."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from support.places import ROOT
from support.rows import filled
from support.solids import box, sphere
from tasks.making.generation import GenerationItem, GenerationWorker
from verdict3d.config import Params, check_params
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.generators.generator import Request
from verdict3d.mesh.files import read_mesh, write_mesh
from verdict3d.mesh.mesh import Mesh, MeshOrFailure, mesh_digest
from verdict3d.provenance import digest_directory
from verdict3d.records.generations import Generation
from verdict3d.records.generators import GeneratorRecord


class Shapes:
    """A generator that makes these, in turn."""

    record = filled(GeneratorRecord, surface="none")

    def __init__(self, *shapes: MeshOrFailure) -> None:
        self.shapes = shapes

    def generate(self, requests: Sequence[Request]) -> list[MeshOrFailure]:
        return list(self.shapes[: len(requests)])


def make_params() -> Params:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["judges"]["view_px"] = 32
    return check_params(values, "params.yaml")


@pytest.fixture
def items(tmp_path: Path) -> list[GenerationItem]:
    """Four items of one object, whose true mesh is a sphere."""
    write_mesh(sphere(), tmp_path / "truth.glb")
    Image.new("RGBA", (16, 16), (200, 10, 10, 255)).save(tmp_path / "photo.png")
    return [
        GenerationItem(
            **{"id": f"item-{number}", "asset": "ball", "category": "ball", "split": "train"},
            **{"regime": "clean", "role": "winner", "number": number, "seed": number},
            **{"picture": "photo.png", "latents_picture": "photo.png", "truth": "truth.glb"},
            **{"steps": None, "sample": 0},
        )
        for number in range(4)
    ]


def generate(items: Sequence[GenerationItem], root: Path, *shapes: MeshOrFailure) -> list[Generation]:
    (root / "out").mkdir()
    worker = GenerationWorker(Shapes(*shapes), make_params(), {"normal": 2}, root)
    try:
        return list(worker(items, root / "out").result())
    finally:
        worker.close()


def test_a_batch_is_drawn_measured_and_written(items: list[GenerationItem], tmp_path: Path) -> None:
    ball, block = sphere(), box()
    flat = Mesh(np.zeros((3, 3), np.float32), np.int32([[0, 1, 2]]))
    rows = generate(items, tmp_path, ball, flat, ItemFailure("empty_structure", "nothing there"), block)
    assert [row.failure for row in rows] == [None, "degenerate", "empty_structure", None]
    assert rows[2].failure_message == "nothing there" and rows[1].failure_message
    assert rows[0].truth and rows[3].truth and rows[0].truth.f_score > rows[3].truth.f_score
    for row, mesh in ((rows[0], ball), (rows[3], block)):
        assert row.mesh and row.mesh_digest == mesh_digest(mesh)
        assert mesh_digest(read_mesh(tmp_path / "out" / row.mesh)) == row.mesh_digest
        assert row.montages == {"normal": f"{row.id}.normal.png"}
        with Image.open(tmp_path / "out" / f"{row.id}.normal.png") as montage:
            assert montage.size == (64, 128)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"item-{number}{end}" for number in (0, 3) for end in (".glb", ".normal.png")}


def test_the_number_of_helpers_changes_no_byte(
    items: list[GenerationItem], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for count in (1, 3):
        monkeypatch.setattr("tasks.making.helpers.count_helpers", lambda count=count: count)
        rows = generate(items, tmp_path, sphere(), box(), sphere(2), box((1.0, 0.5, 0.2)))
        found.append(([row.model_dump() for row in rows], digest_directory(tmp_path / "out")))
        (tmp_path / "out").rename(tmp_path / f"out-{count}")
    assert found[0] == found[1]


def test_an_object_whose_mesh_cannot_be_read_fails(items: list[GenerationItem], tmp_path: Path) -> None:
    (tmp_path / "truth.glb").write_bytes(b"no mesh")
    (row,) = generate(items[:1], tmp_path, sphere())
    assert row.failure and row.mesh is None and not list((tmp_path / "out").iterdir())


def test_a_helper_that_dies_is_named(items: list[GenerationItem], tmp_path: Path) -> None:
    worker = GenerationWorker(Shapes(sphere()), make_params(), {"normal": 1}, tmp_path)
    try:
        (row,) = worker(items[:1], tmp_path).result()
        assert row.failure is None
        for process in multiprocessing.active_children():
            process.kill()
            process.join()
        with pytest.raises(Verdict3DError, match=r"has died.*VERDICT3D_WORKERS"):
            worker(items[1:2], tmp_path).result()
    finally:
        worker.close()
