"""The budget and the notes of one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tasks.assets
from support.places import ROOT
from verdict3d.config import load_params
from verdict3d.config_generators import MeshLimits
from verdict3d.errors import ItemFailure
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.mesh.readers import reading
from verdict3d.mesh.readers.reading import Reading, TooCostly
from verdict3d.mesh.writers.glb import encode_glb
from verdict3d.records.assets import Asset, count_notes
from verdict3d.records.files import read_json
from verdict3d.records.record import read_rows

TEXTURED = Mesh(
    np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    np.int32([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
    uv=np.float32([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]]),
    texture=np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8),
)


def torn(path: Path) -> Path:
    """A textured GLB whose picture is no picture."""
    path.write_bytes(encode_glb(TEXTURED).replace(b"\x89PNG", b"\x89GNP"))
    return path


def test_what_parts_decode_to_adds_up() -> None:
    budget = Reading(MeshLimits(decoded_mib=2))
    budget.spend(2**20, "one")
    budget.spend(2**20, "two")
    with pytest.raises(TooCostly, match=r"more than 2 MiB.*three") as caught:
        budget.spend(1, "three")
    assert caught.value.reason == "too_costly"


def test_time_is_the_files_share(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(reading.time, "thread_time", lambda: clock[0])
    small, large = Reading(MeshLimits(seconds=4)), Reading(MeshLimits(seconds=4), 64 * 2**20)
    clock[0] += 5
    with pytest.raises(TooCostly, match="4 s"):
        small.check_time()
    large.check_time()
    clock[0] += 4
    with pytest.raises(TooCostly, match="8 s"):
        large.spend(0, "nothing")


def test_one_picture_after_another_is_paid_for(tmp_path: Path) -> None:
    lines = ["v 0 0 0", "v 1 0 0", "v 0 1 0", "vt 0 0", "vt 1 0", "vt 0 1", "mtllib m.mtl"]
    for number in range(4):
        Image.new("RGB", (512, 512), (number, 0, 0)).save(tmp_path / f"{number}.png")
        lines += [f"usemtl {number}", "f 1/1 2/2 3/3"]
    (tmp_path / "m.mtl").write_text("".join(f"newmtl {n}\nmap_Kd {n}.png\n" for n in range(4)))
    (tmp_path / "many.obj").write_text("\n".join(lines))
    assert len(read_mesh(tmp_path / "many.obj", MeshLimits(decoded_mib=12)).faces) == 4
    with pytest.raises(ItemFailure, match=r"many.obj: .*a texture") as caught:
        read_mesh(tmp_path / "many.obj", MeshLimits(decoded_mib=3.5))
    assert caught.value.reason == "too_costly"
    for number in range(4):
        Image.new("RGB", (512, 512)).save(tmp_path / f"{number}.png")
    assert len(read_mesh(tmp_path / "many.obj", MeshLimits(decoded_mib=3.5)).faces) == 4, "one content, once"


def test_a_texture_that_cannot_be_read_is_left_out_with_a_note(tmp_path: Path) -> None:
    mesh = read_mesh(torn(tmp_path / "torn.glb"))
    assert mesh.texture is None and len(mesh.faces) == 4
    assert [note.kind for note in mesh.notes] == ["untextured"]
    assert mesh.notes[0].text.startswith("broken_texture: ")
    with pytest.raises(ItemFailure) as caught:
        read_mesh(tmp_path / "torn.glb", MeshLimits(refuse_untextured=True))
    assert caught.value.reason == "broken_texture"


def test_notes_stand_in_the_assets_row_and_are_counted(tmp_path: Path) -> None:
    (tmp_path / "meshes").mkdir()
    torn(tmp_path / "meshes/torn.glb")
    (tmp_path / "meshes/whole.glb").write_bytes(encode_glb(TEXTURED))
    params = load_params(ROOT / "params.yaml")
    assets = params.assets.model_copy(update={"source": "meshes", "condition_size_px": 32})
    tasks.assets.run(params.model_copy(update={"assets": assets}), tmp_path)
    rows = {row.source: row for row in read_rows(tmp_path / "data/assets/assets.jsonl", Asset)}
    assert [note.kind for note in rows["torn.glb"].notes] == ["untextured"]
    assert rows["whole.glb"].notes == []
    assert count_notes(rows.values()) == {"untextured": 1}
    assert read_json(tmp_path / "data/assets/metrics.json")["noted_by_kind"] == {"untextured": 1}
