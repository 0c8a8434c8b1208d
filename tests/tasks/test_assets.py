"""The stage ``assets`` with a folder of one's own meshes, some of which cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import tasks.assets
from support.places import ROOT
from verdict3d.config import Params, load_params
from verdict3d.furniture.catalogue import make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.files import write_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.randomness import numpy_generator
from verdict3d.records.assets import Asset, Quarantined
from verdict3d.records.record import read_rows

ODD_NAMES = [
    *(
        "a\u2028b",
        "a\u2029b",
        "a\x85b",
        "a\nb",
        "a\r\nb",
        "a\x1cb",
        "a\tb",
        " a ",
        "-rf",
        "<b>a</b>",
        "a'\"b",
        "$(touch x)",
    ),
    *(
        "a&b",
        "{a}",
        "%41",
        "\u202ea",
        "e\u0301",
        "\U0001f4a9",
        "x" * 244,
        os.fsdecode(b"a\xffb"),
        os.fsdecode(b"\xc3"),
    ),
]


def params_of(source: Path) -> Params:
    params = load_params(ROOT / "params.yaml")
    assets = params.assets.model_copy(update={"source": str(source), "condition_size_px": 32})
    return params.model_copy(update={"assets": assets})


def test_what_is_set_aside_or_changed_is_said_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "meshes"
    source.mkdir()
    write_mesh(mesh_from_parts(make_furniture("chair", numpy_generator(0, "chair", 0))), source / "chair.glb")
    (source / "broken.glb").write_bytes(b"glTF")
    (source / "side.obj").write_text("mtllib gone.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    tasks.assets.run(params_of(source), tmp_path)
    said, progress = capsys.readouterr()
    first, second, third = said.splitlines()
    assert first == "1 of 3 meshes are set aside (1 broken_file):" and second.startswith("  broken.glb: ")
    assert third.startswith("1 of 3 meshes are read with notes (1 untextured, 1 up_axis); ")
    assert "1 set aside" in progress


def test_any_name_of_a_file_or_folder_can_be_read_again(tmp_path: Path) -> None:
    source, made = tmp_path / "meshes", tmp_path / "made.glb"
    shapes, faces = np.random.default_rng(0), np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.int32)
    for name in ODD_NAMES:
        (source / name).mkdir(parents=True)
        for place in (source / f"{name}.glb", source / name / "inside.glb"):
            write_mesh(Mesh(shapes.random((4, 3), np.float32), faces), made)
            made.rename(place)
        (source / name / "broken.glb").write_bytes(b"glTF")
    tasks.assets.run(params_of(source), tmp_path)
    rows = read_rows(tmp_path / "data/assets/assets.jsonl", Asset)
    shown = {os.fsencode(name).decode(errors="replace") for name in ODD_NAMES}
    assert {row.source for row in rows} == {
        f"{name}{end}" for name in shown for end in (".glb", "/inside.glb")
    }
    assert len({row.id for row in rows}) == 2 * len(ODD_NAMES)
    set_aside = read_rows(tmp_path / "data/assets/quarantine.jsonl", Quarantined)
    assert {row.source for row in set_aside} == {f"{name}/broken.glb" for name in shown}
