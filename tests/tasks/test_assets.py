"""The stage ``assets`` with a folder of one's own meshes, some of which cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

import tasks.assets
from support.places import ROOT
from verdict3d.config import load_params
from verdict3d.furniture.catalogue import make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.files import write_mesh
from verdict3d.randomness import numpy_generator


def test_what_is_set_aside_or_changed_is_said_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "meshes"
    source.mkdir()
    write_mesh(mesh_from_parts(make_furniture("chair", numpy_generator(0, "chair", 0))), source / "chair.glb")
    (source / "broken.glb").write_bytes(b"glTF")
    (source / "side.obj").write_text("mtllib gone.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    params = load_params(ROOT / "params.yaml")
    assets = params.assets.model_copy(update={"source": str(source), "condition_size_px": 32})
    tasks.assets.run(params.model_copy(update={"assets": assets}), tmp_path)
    said, progress = capsys.readouterr()
    first, second, third = said.splitlines()
    assert first == "1 of 3 meshes are set aside (1 broken_file):" and second.startswith("  broken.glb: ")
    assert third.startswith("1 of 3 meshes are read with notes (1 untextured, 1 up_axis); ")
    assert "1 set aside" in progress
