"""Making and judging single meshes with tiny real networks."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from support.rows import filled
from support.tiny_project import write_tiny_project
from support.tiny_trellis import tiny_photo
from verdict3d.cli.judged_files import describe_verdict, judge_files
from verdict3d.cli.main import app
from verdict3d.config import Params
from verdict3d.config_inputs import PhotosParams
from verdict3d.errors import Verdict3DError
from verdict3d.interface.judge import Judge
from verdict3d.mesh.files import read_mesh
from verdict3d.products.photo_meshes import make_meshes
from verdict3d.products.photo_plan import MeshOptions, find_photos
from verdict3d.records.certificates import Certificate
from verdict3d.records.files import read_json, write_json
from verdict3d.records.record import write_record
from verdict3d.records.results import JudgeUsed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Params]:
    root = tmp_path_factory.mktemp("single")
    return root, write_tiny_project(root)


def make(project: tuple[Path, Params], photos: list[str], output: Path, **wish: Any) -> tuple[int, list[str]]:
    said: list[str] = []
    root, params = project
    rows = make_meshes(photos, output, MeshOptions(**wish), params, root, said.append)
    return sum(row["failure"] is not None for row in rows), said


def test_a_folder_of_photos_becomes_meshes_and_failures_are_told(
    project: tuple[Path, Params], tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        tiny_photo(number).save(photos / f"{number}.png")
    tiny_photo(0).convert("RGB").save(photos / "opaque.png")
    (photos / "torn.png").write_bytes(b"\x89PNG")
    failed, said = make(project, [str(photos)], tmp_path / "meshes", seed=1)
    made = sorted((tmp_path / "meshes").glob("*.glb"))
    assert len(said) == 7 and failed == 5 - len(made) and failed >= 2
    assert any("opaque.png: no_alpha" in line for line in said)
    assert any("torn.png: not_an_image" in line for line in said)
    for path in made:
        assert len(read_mesh(path).faces) > 0
    manifest = read_json(tmp_path / "meshes/manifest.json")
    names = [row["output"] for row in manifest["meshes"]]
    assert names == [f"{name}.glb" for name in ("0", "1", "2", "opaque", "torn")]
    for row in manifest["meshes"]:
        assert (row["failure"] is None) == (tmp_path / "meshes" / row["output"]).is_file()
    sheet = np.asarray(Image.open(tmp_path / "meshes/contact-sheet.png"))
    assert sheet.shape == (2 * 178, 4 * 320, 3) and len(np.unique(sheet.reshape(-1, 3), axis=0)) > 20


def test_samples_are_made_once_and_again_when_anything_changes(
    project: tuple[Path, Params], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        tiny_photo(number).save(tmp_path / f"{number}.png")
    pattern, out = str(tmp_path / "?.png"), tmp_path / "out"

    def made(**wish: Any) -> list[str]:
        said = make(project, [pattern], out, samples=2, suffix=".ply", **wish)[1]
        return sorted(Path(line.split(":")[0]).name for line in said if "faces" in line)

    everything = ["0-0.ply", "0-1.ply", "1-0.ply", "1-1.ply"]
    assert made() == everything and "4/4" in capsys.readouterr().err  # fewer than one batch, and yet
    assert made() == []
    seeds = [row["seed"] for row in read_json(out / "manifest.json")["meshes"]]
    assert seeds == [0, 1, 0, 1]
    assert (out / "0-0.ply").read_bytes() != (out / "0-1.ply").read_bytes()
    kept = read_mesh(out / "0-1.ply")
    (out / "0-1.ply").write_bytes(b"damaged")
    (out / "1-0.ply").unlink()
    assert made() == ["0-1.ply", "1-0.ply"]
    np.testing.assert_allclose(read_mesh(out / "0-1.ply").vertices, kept.vertices, atol=1e-4)
    tiny_photo(5).save(tmp_path / "0.png")
    assert made() == ["0-0.ply", "0-1.ply"]
    assert made(steps=2) == everything and made(steps=2, guidance=1.5) == everything
    assert read_json(out / "manifest.json")["generator"]["structure"]["guidance"] == 1.5


def test_photos_and_arms_are_looked_at_before_any_network_is_loaded(
    project: tuple[Path, Params], tmp_path: Path
) -> None:
    root, params = project
    elsewhere = params.generator.model_copy(update={"model": str(tmp_path / "no-such-generator")})
    without = root, params.model_copy(update={"generator": elsewhere})
    tiny_photo(0).convert("RGB").save(tmp_path / "opaque.jpg")
    failed, said = make(without, [str(tmp_path / "opaque.jpg")], tmp_path / "chair.glb")
    assert failed == 1 and len(said) == 1 and "no_alpha" in said[0] and "--background u2net" in said[0]
    tiny_photo(0).save(tmp_path / "photo.png")
    (root / "data/train/some_arm").mkdir(parents=True)
    (root / "data/train/some_arm/card.json").write_text("{}")
    with pytest.raises(Verdict3DError, match=r"no adapter of an arm 'nope' .* there are: some_arm"):
        make(without, [str(tmp_path / "photo.png")], tmp_path / "chair.glb", arm="nope")
    with pytest.raises(Verdict3DError, match=r"no adapter of an arm ''"):  # a variable of a script, say
        make(without, [str(tmp_path / "photo.png")], tmp_path / "chair.glb", arm="")
    with pytest.raises(Verdict3DError, match=r"some_arm/card\.json, field schema"):
        make(project, [str(tmp_path / "photo.png")], tmp_path / "chair.glb", arm="some_arm")


@pytest.mark.parametrize("make_odd", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, make_odd: Callable[[Path], None]) -> None:
    odd = tmp_path / "photos/odd.png"
    odd.parent.mkdir()
    make_odd(odd)
    for named in [odd.parent] if odd.is_dir() else [odd, odd.parent]:
        with pytest.raises(Verdict3DError, match=r"odd\.png is no file but a folder, pipe or device"):
            find_photos([str(named)])


def test_no_photo_of_a_folder_is_passed_over_in_silence(project: tuple[Path, Params], tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    board = np.full((80, 80, 4), 255, np.uint8)
    board[20:60, 20:60, 3] = 0
    Image.fromarray(board).save(photos / "board.png")
    for name in ("phone.jpg", "board.jpg"):
        tiny_photo(0).convert("RGB").save(photos / name)
    (photos / "new.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    root, params = project
    elsewhere = params.generator.model_copy(update={"model": str(tmp_path / "no-such-generator")})
    said: list[str] = []
    with pytest.raises(Verdict3DError, match="no-such-generator"):
        changed = params.model_copy(update={"generator": elsewhere})
        make_meshes([str(photos)], tmp_path / "meshes", MeshOptions(), changed, root, said.append)
    text = "\n".join(said)
    for words in (
        r"board\.jpg: left out for the photo of the same name",
        r"warning: .*board\.png: what is opaque touches all four borders",
        r"new\.heic: not_an_image: .*heif-convert",
        r"phone\.jpg: no_alpha",
    ):
        assert re.search(words, text), (words, text)


def test_of_several_objects_one_is_kept_on_demand(project: tuple[Path, Params], tmp_path: Path) -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[8:50, 4:30] = pixels[20:40, 40:60] = (200, 90, 30, 255)
    Image.fromarray(pixels).save(tmp_path / "two.png")
    root, params = project
    meshes = []
    for objects in ("all", "largest"):
        photos = params.photos.model_copy(update={"objects": objects})
        changed = params.model_copy(update={"photos": photos})
        said: list[str] = []
        make_meshes([str(tmp_path / "two.png")], tmp_path / "out", MeshOptions(), changed, root, said.append)
        (row,) = read_json(tmp_path / "out/manifest.json")["meshes"]
        assert row["objects"] == 2 and row["background"] is None and "of 2 separate objects" in said[1]
        meshes.append(row["mesh_digest"])
    assert len(set(meshes)) == 2


def test_finished_meshes_are_others_and_say_so(project: tuple[Path, Params], tmp_path: Path) -> None:
    tiny_photo(0).save(tmp_path / "photo.png")
    root, params = project
    rows = []
    for finish in ({}, {"floater_share": 1.0}, {"floater_share": 1.0}):
        photos = PhotosParams.model_validate({"finish": finish})
        changed = params.model_copy(update={"photos": photos})
        said: list[str] = []
        make_meshes(
            [str(tmp_path / "photo.png")], tmp_path / "out", MeshOptions(), changed, root, said.append
        )
        manifest = read_json(tmp_path / "out/manifest.json")
        rows.append((manifest["meshes"][0], manifest["photos"]["finish"]["floater_share"], said[-2]))
    (whole, nothing, _), (largest, share, _), (again, _, told) = rows
    assert nothing is None and share == 1.0 and whole["way"] != largest["way"]
    assert largest["faces"] < whole["faces"] and again == largest and "made before" in told


def test_outputs_that_cannot_be_written_are_refused_first(
    project: tuple[Path, Params], tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    tiny_photo(0).save(photo)
    (tmp_path / "other").mkdir()
    tiny_photo(0).save(tmp_path / "other/photo.png")
    cases: list[tuple[list[str], Path, dict[str, int], str]] = [
        ([str(photo)], tmp_path / "mesh.stl", {}, "are written as"),
        ([str(tmp_path / "absent.png")], tmp_path / "mesh.glb", {}, "no such file"),
        ([str(photo)], tmp_path / "mesh.glb", {"samples": 2}, "give a folder"),
        ([str(photo), str(tmp_path / "other")], tmp_path / "out", {}, "several photos are named photo"),
    ]
    for photos, output, wish, words in cases:
        with pytest.raises(Verdict3DError, match=words):
            make(project, photos, output, **wish)
    (tmp_path / "foreign").mkdir()
    write_json(tmp_path / "foreign/manifest.json", [])
    with pytest.raises(Verdict3DError, match="not a manifest of this program"):
        make(project, [str(photo)], tmp_path / "foreign")


def test_a_verdict_turns_with_the_order_of_the_meshes(project: tuple[Path, Params]) -> None:
    root, _ = project
    reference = next((root / "data/assets/conditions").iterdir())
    first, second = sorted((root / "data/assets/meshes").iterdir())[:2]
    judge = Judge.load(project=root)
    row = judge_files(reference, first, second, lambda: judge)
    turned = judge_files(reference, second, first, lambda: judge)
    assert (turned["m1"], turned["m2"]) == pytest.approx((row["m2"], row["m1"]), abs=1e-5)
    same = judge_files(reference, first, first, lambda: judge)
    assert (same["outcome"], same["d"], same["sets"]) == ("same", 0.0, [])
    assert f"{row['m1']:+.3f}" in describe_verdict(row)
    assert "both files hold one mesh" in describe_verdict(same)


def test_meshes_of_photos_for_machines(
    project: tuple[Path, Params], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project[0] / "dvc.yaml").touch()
    monkeypatch.chdir(project[0])
    photos = [tmp_path / f"{name}.png" for name in ("first", "opaque")]
    tiny_photo(0).save(photos[0])
    tiny_photo(0).convert("RGB").save(photos[1])
    out = tmp_path / "meshes"
    done = CliRunner().invoke(app, ["generate", *map(str, photos), "-o", str(out), "--json"])
    document = json.loads(done.stdout)
    assert document == {"output": str(out), "meshes": read_json(out / "manifest.json")["meshes"]}
    assert [row["failure"] == "no_alpha" for row in document["meshes"]] == [False, True]
    assert "opaque.png: no_alpha" in done.stderr and isinstance(done.exception, Verdict3DError)


def test_the_judge_is_shown_the_panel_of_its_audit_and_it_is_said_where_there_is_none(
    project: tuple[Path, Params], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "project"
    shutil.copytree(project[0], root)
    (root / "dvc.yaml").touch()
    monkeypatch.chdir(root)
    reference = next((root / "data/assets/conditions").iterdir())
    meshes = sorted((root / "data/assets/meshes").iterdir())[:2]

    def asked(*options: str) -> tuple[str, str, str]:
        done = CliRunner().invoke(
            app, ["judge", "--reference", str(reference), *map(str, meshes), "--json", *options]
        )
        assert done.exit_code == 0
        row = json.loads(done.stdout)
        return row["panel"], row["judge_digest"], done.stderr

    panel, _, said = asked()
    assert panel == "three_images" and said.splitlines()[-1] == (
        "note: the evaluation judge has not been audited here (`verdict3d audit`); it was shown three_images"
    )
    audited = filled(Certificate, judge=filled(JudgeUsed, panel="two_sheets"), reasons=[])
    certificate = root / "data/audit/evaluation/certificate.json"
    write_record(certificate, audited)
    panel, digest, said = asked()
    assert panel == "two_sheets" and "the evaluation judge is not the one that was audited here" in said
    same = audited.judge.model_copy(update={"digest": digest})
    write_record(certificate, audited.model_copy(update={"judge": same}))
    assert "note:" not in asked()[2]
    write_record(certificate, audited.model_copy(update={"judge": same, "reasons": ["colour: 0.5"]}))
    assert "note: the evaluation judge failed the control colour: 0.5" in asked()[2]
    panel, _, said = asked("--by", "training")
    assert panel == "three_images" and "the training judge has not been audited here" in said
