from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.pair_entries import entry, shape
from support.pair_pages import write_pages
from verdict3d.errors import Verdict3DError
from verdict3d.view.pairs.bundle import MARK, write_bundle
from verdict3d.view.pairs.index import PairIndex
from verdict3d.view.pairs.meshes import name_remade
from verdict3d.view.pairs.query import Query


def read_script(path: Path) -> Any:
    text = path.read_text()
    assert text.startswith("V3D.receive(") and text.endswith(");\n")
    return json.loads(f"[{text[12:-3]}]")[1]


@pytest.fixture
def index(tmp_path: Path) -> PairIndex:
    return write_pages(tmp_path)


def test_a_bundle_holds_every_pair_picture_and_mesh(index: PairIndex, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    made = write_bundle(index, out, 64_000_000, {"report.html": "<p>report</p>"}, print)
    assert (made.pairs, made.pictures, made.meshes, made.missing) == (123, 6 + 6 * 2, 6, 0)
    rows = read_script(out / "data/rows-0.js")
    assert [one["row"]["id"] for one in rows] == index.ids(Query())
    documents = {
        name: value for path in out.glob("data/documents-*.js") for name, value in read_script(path).items()
    }
    found = {name: index.document(name) for name in index.ids(Query())}
    assert documents == {name: one.model_dump(mode="json") for name, one in found.items() if one}
    assert list(found) == index.ids(Query()) and all(found.values())
    for document in documents.values():
        for side in document["sides"].values():
            assert side["mesh"] is None or (out / f"data/mesh-{side['mesh']}.js").is_file()
    assert read_script(out / "data/facts.js")["shards"] == 1
    assert (out / "report.html").read_text() == "<p>report</p>"
    assert json.loads((out / MARK).read_text())["whole"] is True


def test_a_bundle_goes_on_where_it_was(index: PairIndex, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    write_bundle(index, out, 64_000_000, {}, print)
    first = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    kept, gone = sorted(out.glob("data/mesh-*.js"))[:2]
    gone.unlink()
    before = kept.stat().st_mtime_ns
    write_bundle(index, out, 64_000_000, {}, print)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == first
    assert kept.stat().st_mtime_ns == before


def test_a_bundle_of_other_results_begins_anew(index: PairIndex, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    write_bundle(index, out, 64_000_000, {}, print)
    (out / MARK).write_text('{"state": "older", "whole": true}')
    stale = out / "data/mesh-stale.js"
    stale.write_text("old")
    write_bundle(index, out, 64_000_000, {}, print)
    assert not stale.exists()


def test_what_is_gone_is_counted_and_said_on_the_page(index: PairIndex, tmp_path: Path) -> None:
    key, path = index.files("mesh")[0]
    path.unlink()
    out = tmp_path / "bundle"
    assert write_bundle(index, out, 64_000_000, {}, print).missing == 1
    assert "is not a file" in read_script(out / f"data/mesh-{key}.js")["error"]


def test_a_folder_of_something_else_is_left_alone(index: PairIndex, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("text")
    with pytest.raises(Verdict3DError, match="name a new folder"):
        write_bundle(index, tmp_path / "mine", 64_000_000, {}, print)


def test_a_damaged_mark_of_a_bundle_is_named(index: PairIndex, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / MARK).write_text("[]")
    with pytest.raises(Verdict3DError, match=MARK):
        write_bundle(index, tmp_path / "bundle", 64_000_000, {}, print)


def test_a_mesh_that_would_have_to_be_made_again_is_neither_held_nor_missing(tmp_path: Path) -> None:
    sides = {"x": shape("whole", None), "y": shape("damaged", "dd", mesh=str(name_remade("holes-3", "dd")))}
    facts = {"state": "s", "title": "t", "questions": {}, "views": []}
    index = PairIndex.write(tmp_path / "pairs.sqlite", [entry(**sides)], facts)
    made = write_bundle(index, tmp_path / "bundle", 64_000_000, {}, print)
    assert (made.meshes, made.missing) == (0, 0)
    ((key, _),) = index.files("mesh")
    assert "`verdict3d view` makes them" in read_script(tmp_path / f"bundle/data/mesh-{key}.js")["error"]
