"""A folder of meshes is examined: what can be used, what was changed, what cannot, and how it looks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from support.places import ROOT
from verdict3d.cli.main import app
from verdict3d.config_generators import MeshLimits
from verdict3d.furniture.catalogue import make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.files import write_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.products.doctor_meshes import describe_finding, examine_meshes, summarise_findings


def piece(category: str) -> Mesh:
    return mesh_from_parts(make_furniture(category, np.random.default_rng(1)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "meshes"
    (root / "elsewhere").mkdir(parents=True)
    table = piece("table")
    write_mesh(Mesh(table.vertices * np.float32(80), table.faces, table.colors), root / "table.glb")
    write_mesh(table, root / "elsewhere/table again.ply")
    (root / "torn.glb").write_bytes(b"glTF")
    chair = piece("chair")
    lines = [f"v {x} {z} {-y}" for x, y, z in chair.vertices.tolist()]
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in chair.faces.tolist()]
    (root / "elsewhere/foreign.obj").write_text("mtllib gone.mtl\n" + "\n".join(lines))
    fallen = Mesh(table.vertices[:, [0, 2, 1]] * np.float32([1, 1, -1]), table.faces)
    write_mesh(Mesh(np.ascontiguousarray(fallen.vertices), fallen.faces), root / "fallen.glb")
    return root


def test_each_file_has_a_finding_and_all_are_drawn(folder: Path, tmp_path: Path) -> None:
    findings = {one.source: one for one in examine_meshes(folder, MeshLimits(), "auto", tmp_path / "s.png")}
    assert sorted(findings) == [
        "elsewhere/foreign.obj",
        "elsewhere/table again.ply",
        "fallen.glb",
        "table.glb",
        "torn.glb",
    ]
    large, first = findings["table.glb"], findings["elsewhere/table again.ply"]
    assert first.reason is None and not first.notes and not first.lies and first.size is not None
    assert large.reason == "duplicate" and "table again.ply" in large.message
    assert findings["torn.glb"].reason == "broken_file"
    foreign = findings["elsewhere/foreign.obj"]
    assert [kind for kind, _ in foreign.notes] == ["untextured", "up_axis"] and foreign.size is not None
    np.testing.assert_allclose(foreign.size, np.ptp(piece("chair").vertices, axis=0), rtol=1e-5)
    assert findings["fallen.glb"].lies and "try another --up" in describe_finding(findings["fallen.glb"])
    lines = summarise_findings(list(findings.values()))
    assert lines[0] == "3 of 5 files can be used, 1 with notes" and lines[2].startswith("refused: 1 ")
    sheet = np.asarray(Image.open(tmp_path / "s.png"))
    assert sheet.shape == (178, 3 * 160, 3)
    assert all(len(np.unique(sheet[18:, at : at + 160].reshape(-1, 3), axis=0)) > 10 for at in (0, 160, 320))


def test_the_command_answers_in_lines_or_json(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / ".verdict3d").mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml"):
        (project / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(project)
    done = CliRunner().invoke(app, ["doctor", "--meshes", str(folder)])
    assert done.exit_code == 1 and "BAD  torn.glb: broken_file" in done.stdout
    assert "ok   elsewhere/table again.ply: " in done.stdout and "meshes.png" in done.stdout
    assert (project / ".verdict3d/meshes.png").is_file()
    done = CliRunner().invoke(app, ["doctor", "--meshes", str(folder), "--json", "--up", "y"])
    rows = {row["source"]: row for row in json.loads(done.stdout)}
    assert len(rows) == 5 and rows["torn.glb"]["reason"] == "broken_file"
    assert [kind for kind, _ in rows["elsewhere/foreign.obj"]["notes"]] == ["untextured"]
    empty = tmp_path / "empty"
    empty.mkdir()
    done = CliRunner().invoke(app, ["doctor", "--meshes", str(empty)])
    assert done.exit_code == 1
