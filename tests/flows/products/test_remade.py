"""Damaged meshes of the audit, which no run keeps: the page makes them again, and takes no other for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tasks.controls
from flows.products.pair_records import RunRecords
from flows.products.run_pairs import READER, remake_mesh
from support.audited_project import write_audited_project
from tasks.paths import CONTROLS
from verdict3d.config import load_params
from verdict3d.errors import ItemFailure
from verdict3d.mesh.damage import KINDS
from verdict3d.mesh.equivalents import EQUIVALENTS
from verdict3d.mesh.mesh import mesh_digest
from verdict3d.products.pair_index import read_shown
from verdict3d.records.pairs import ControlPair
from verdict3d.records.record import read_rows
from verdict3d.view.pairs.controls import WITH_ANOTHER_OBJECT
from verdict3d.view.pairs.meshes import REMADE, make_mesh_document

pytestmark = pytest.mark.slow


def test_what_was_drawn_is_made_again_and_nothing_else(tmp_path: Path) -> None:
    params = write_audited_project(tmp_path)
    tasks.controls.run(params, tmp_path)
    records = RunRecords(params, tmp_path)
    rows = read_rows(tmp_path / CONTROLS / "pairs.jsonl", ControlPair)
    pairs = {row.defect or row.control: row for row in rows if row.control not in WITH_ANOTHER_OBJECT}
    assert {*KINDS, *EQUIVALENTS, "colour"} <= pairs.keys()
    paths = {}
    for name in (*KINDS, *EQUIVALENTS, "colour"):
        shape = records.shown(pairs[name].y, name)
        assert shape.mesh is not None and shape.mesh_digest is not None
        paths[name] = Path(shape.mesh)
        made = remake_mesh(tmp_path, paths[name].name.removesuffix(REMADE), shape.mesh_digest)
        assert mesh_digest(made) == shape.mesh_digest
    path = paths["rough_surface"]  # with noise of the seed
    document = make_mesh_document(path, 500, lambda path: read_shown(path, tmp_path, READER.remake))
    assert 0 < document.shown <= 500

    text = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(re.sub(r"(?m)^seed: .*", f"seed: {params.seed + 1}", text))
    assert load_params(tmp_path / "params.yaml").seed == params.seed + 1
    with pytest.raises(ItemFailure, match="have changed since this mesh was drawn"):
        read_shown(path, tmp_path, READER.remake)
