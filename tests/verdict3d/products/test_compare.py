"""Folders of meshes against each other, by a real judge with random weights."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from support.tiny_project import write_tiny_project
from support.tiny_trellis import tiny_photo
from verdict3d.asking.roles import select_judge
from verdict3d.cli.compare import NOTHING_COMPARED
from verdict3d.cli.main import app
from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.furniture.catalogue import make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.judge.rubric import write_prompt_for
from verdict3d.mesh.damage import damage
from verdict3d.mesh.files import read_mesh, write_mesh
from verdict3d.mesh.mesh import normalize
from verdict3d.products.compare import CompareOptions, compare_folders
from verdict3d.products.compared_files import match_files, name_sides, read_tags
from verdict3d.products.comparison_page import LEAST_PX, MOST_PX, PICTURE_BUDGET_BYTES, choose_picture_size
from verdict3d.products.pair_index import open_index
from verdict3d.project import Workspace
from verdict3d.randomness import numpy_generator
from verdict3d.records.comparisons import Comparison, PairOfMeshes
from verdict3d.records.record import read_record, read_rows
from verdict3d.view.pairs.pictures import make_picture
from verdict3d.view.pairs.query import parse_query

HOSTILE = "<img src=x onerror=alert(1)>&\"'"
NAMES = ("chair", "stool", HOSTILE, "sofa-2")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Params]:
    root = tmp_path_factory.mktemp("compared")
    return root, write_tiny_project(root)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Photos, and three folders of meshes: whole, damaged, and damaged more."""
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(NAMES):
        tiny_photo(number).save(tmp_path / "photos" / f"{name}.png")
        mesh = normalize(mesh_from_parts(make_furniture("chair", numpy_generator(0, "compared", number))))
        for grade, folder in enumerate(("whole", HOSTILE, "worse")):
            (tmp_path / folder).mkdir(exist_ok=True)
            shown = (
                damage(mesh, "floaters", 2 * grade, numpy_generator(1, "worse", number)) if grade else mesh
            )
            write_mesh(shown, tmp_path / folder / f"{name}.glb")
    return tmp_path


def compare(
    project: tuple[Path, Params], place: Path, *names: str, out: str = "page", **options: Any
) -> tuple[Comparison, list[str]]:
    said: list[str] = []
    root, params = project
    options.setdefault("trials", False)
    found = compare_folders(
        [place / name for name in names],
        str(place / "photos"),
        place / out,
        CompareOptions(**options),
        params,
        root,
        said.append,
    )
    return found, said


def forget(project: tuple[Path, Params]) -> None:
    """Nothing is drawn or on record any more, whichever tests ran before."""
    shutil.rmtree(project[0] / ".verdict3d", ignore_errors=True)


def per_pair(project: tuple[Path, Params]) -> int:
    """Answers that a verdict rests on: two orders from each view set."""
    return 2 * project[1].judges.evaluation.views


def asked(said: list[str]) -> int:
    (line,) = (line for line in said if line.startswith("answers asked for now"))
    return int(re.findall(r"\d+", line)[0])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Page(HTMLParser):
    """The pictures and scripts of a page, and whether an attribute would run something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pictures: list[str] = []
        self.dangers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "img":
            self.pictures.append(found["src"] or "")
        self.dangers += [tag] if tag in ("script", "iframe", "object") else []
        self.dangers += [name for name in found if name.startswith("on")]


@pytest.mark.slow
def test_names_that_are_not_utf8_are_shown_as_text_and_photos_of_such_names_left_out(
    project: tuple[Path, Params], folders: Path
) -> None:
    odd = os.fsdecode(b"w\xff\xfe")
    (folders / "whole").rename(folders / odd)
    for name in ("photos/chair.png", f"{odd}/chair.glb", "worse/chair.glb"):
        path = folders / name
        path.rename(path.with_name(f"{odd}{path.suffix}"))
    shutil.copy(folders / "worse/stool.glb", folders / odd / f"more{odd}.glb")
    found, said = compare(project, folders, odd, "worse")
    shown = odd.encode(errors="surrogateescape").decode(errors="replace")
    assert [side.name for side in found.sides] == [shown, "worse"]
    assert found.sides[0].unmatched == [f"more{shown}.glb"]
    assert [(one.photo, one.reason) for one in found.refused] == [(f"{shown}.png", "bad_name")]
    assert found.photos == len(NAMES) - 1 and "rename it" in "".join(said)
    assert read_record(folders / "page/comparison.json", Comparison) == found


@pytest.mark.slow
def test_two_folders_become_numbers_and_a_page_with_every_pair(
    project: tuple[Path, Params], folders: Path
) -> None:
    forget(project)
    (folders / "tags.csv").write_text("stem,tag\nchair,plain\nstool,plain\nsofa-2,soft\n")
    found, said = compare(project, folders, "whole", HOSTILE, tags=folders / "tags.csv")
    (duel,) = found.duels
    rows = read_rows(folders / "page/pairs.jsonl", PairOfMeshes)
    assert read_record(folders / "page/comparison.json", Comparison) == found
    assert (duel.x, duel.y, duel.summary.pairs, duel.summary.objects) == ("whole", HOSTILE, 4, 4)
    points = {"win": 1.0, "loss": 0.0}
    half = sum(points.get(row.outcome, 0.5) for row in rows) / 4
    assert duel.summary.half_credit.value == half and found.board is None
    assert {tag: part.pairs for tag, part in duel.by_tag.items()} == {"plain": 2, "soft": 1}
    assert any("2 folders, 4 photos, 4 pairs" in line for line in said)
    assert asked(said) == per_pair(project) * 4 == found.questions
    text = (folders / "page/index.html").read_text()
    page = Page(text)
    assert page.dangers == [] and "default-src 'none'" in text
    assert len(page.pictures) == 3 * 4 and all((folders / "page" / name).is_file() for name in page.pictures)
    assert all(re.fullmatch(r"pictures/\d{6}\.webp", name) for name in page.pictures)
    before = contents(folders / "page")
    _, again = compare(project, folders, "whole", HOSTILE, tags=folders / "tags.csv")
    assert asked(again) == 0
    assert contents(folders / "page") == before


@pytest.mark.slow
def test_a_third_folder_asks_only_what_is_new(project: tuple[Path, Params], folders: Path) -> None:
    forget(project)
    compare(project, folders, "whole", HOSTILE)
    found, said = compare(project, folders, "whole", HOSTILE, "worse")
    assert asked(said) == per_pair(project) * 2 * 4 and found.questions == per_pair(project) * 3 * 4
    assert [(duel.x, duel.y) for duel in found.duels] == [
        ("whole", HOSTILE),
        ("whole", "worse"),
        (HOSTILE, "worse"),
    ]
    assert found.board is not None and {one.side for one in found.board.ranked} == {"whole", HOSTILE, "worse"}
    assert not any(pair.told for pair in found.board.apart)  # four photos tell nobody apart
    assert {(one.rank_low, one.rank_high) for one in found.board.ranked} == {(1, 3)}
    first, _ = compare(project, folders, "whole", HOSTILE, "worse", design="against-first")
    assert [(duel.x, duel.y) for duel in first.duels] == [("whole", HOSTILE), ("whole", "worse")]


@pytest.mark.slow
def test_what_is_missing_or_broken_loses_and_is_counted(project: tuple[Path, Params], folders: Path) -> None:
    (folders / "whole/chair.glb").unlink()
    for name in ("chair", "stool"):
        (folders / f"worse/{name}.glb").write_bytes(b"glTF, but no more of it")
    write_mesh(
        mesh_from_parts(make_furniture("chair", numpy_generator(0, "other", 0))), folders / "worse/nobody.ply"
    )
    tiny_photo(5).convert("RGB").save(folders / "photos/opaque.png")
    tiny_photo(6).save(folders / "photos/alone.png")
    shutil.copy(folders / "whole/stool.glb", folders / "whole/opaque.glb")
    found, said = compare(project, folders, "whole", "worse")
    (duel,) = found.duels
    whole, worse = found.sides
    assert whole.failures == {"missing_mesh": 1} and whole.meshes == 3
    assert list(worse.failures.values()) == [2] and worse.meshes == 2
    assert worse.unmatched == ["nobody.ply"]
    rows = {row.object: row for row in read_rows(folders / "page/pairs.jsonl", PairOfMeshes)}
    assert rows["chair"].outcome == "invalid" and rows["chair"].reason == "missing_mesh"
    assert rows["stool"].outcome == "win" and rows["stool"].reason == rows["stool"].theirs.failure is not None
    assert (duel.failed_x, duel.failed_y, duel.summary.invalid, duel.summary.pairs) == (0, 1, 1, 4)
    assert {one.photo: one.reason for one in found.refused} == {
        "alone.png": "no_meshes",
        "opaque.png": "no_alpha",
    }
    assert any("opaque.png: no_alpha" in line and "--background u2net" in line for line in said)
    text = (folders / "page/index.html").read_text()
    assert "alone.png" in text and "nobody.ply" in text and rows["stool"].reason in text


@pytest.mark.slow
def test_samples_are_pairs_of_one_photo(project: tuple[Path, Params], folders: Path) -> None:
    for name in ("chair", "stool"):
        shutil.move(folders / f"whole/{name}.glb", folders / f"whole/{name}-1.glb")
        shutil.copy(folders / f"worse/{name}.glb", folders / f"whole/{name}-2.glb")
    (folders / "whole/sofa-2.glb").unlink()
    (folders / f"whole/{HOSTILE}.glb").unlink()
    found, _ = compare(project, folders, "whole", "worse")
    rows = read_rows(folders / "page/pairs.jsonl", PairOfMeshes)
    files = [(row.object, row.sample, row.mine.file, row.theirs.file) for row in rows]
    assert ("chair", 0, "chair-1.glb", "chair.glb") in files and (
        "chair",
        1,
        "chair-2.glb",
        "chair.glb",
    ) in files
    same = [row for row in rows if row.mine.mesh_digest == row.theirs.mesh_digest]
    assert [row.outcome for row in same] == ["same", "same"] and all(row.sets == [] for row in same)
    assert found.duels[0].summary.pairs == 8 and found.duels[0].summary.objects == 4
    assert found.sides[0].failures == {"missing_mesh": 4}  # two samples of two photos


@pytest.mark.slow
def test_the_judge_is_tried_on_these_meshes(project: tuple[Path, Params], folders: Path) -> None:
    for name in NAMES[2:]:
        (folders / "photos" / f"{name}.png").unlink()
    found, said = compare(project, folders, "whole", "worse", trials=True)
    assert found.trials is not None and not found.certified
    pairs = {trial.name: trial.pairs for trial in found.trials}
    names = {"damage_5", "damage_3", "damage_1", "other_object", "colour", "copy", "turned"}
    assert set(pairs) - {"camera"} == names
    assert set(pairs.values()) == {4}  # a mesh of each folder for each photo
    assert "not shown to tell right colours" in found.colours.reason and found.colours.duels == []
    text = (folders / "page/index.html").read_text()
    assert "against copies of themselves" in text and any("damage of grade 5" in line for line in said)
    without, _ = compare(project, folders, "whole", "worse")
    assert without.colours.reason == "the judge was not tried on these meshes"
    assert without.trials is None and "--no-audit" in (folders / "page/index.html").read_text()
    assert without.duels == found.duels


@pytest.mark.slow
def test_colours_are_asked_about_where_both_meshes_have_a_surface(
    project: tuple[Path, Params], folders: Path
) -> None:
    root, params = project
    thresholds = params.audit.thresholds.model_copy(update={"right": 0.0})  # any judge is sure enough
    audit = params.audit.model_copy(update={"thresholds": thresholds})
    easy = root, params.model_copy(update={"audit": audit})
    bare = read_mesh(folders / "worse/chair.glb")
    write_mesh(replace(bare, colors=None, uv=None, texture=None), folders / "worse/chair.ply")
    (folders / "worse/chair.glb").unlink()
    found, _ = compare(easy, folders, "whole", "worse", trials=True)
    assert found.colours.reason == "" and found.colours.surfaces == 3
    (duel,) = found.colours.duels
    assert (duel.x, duel.y, duel.summary.pairs) == ("whole", "worse", 3)
    rows = read_rows(folders / "page/colours.jsonl", PairOfMeshes)
    assert [row.object for row in rows] == [name for name in sorted(NAMES) if name != "chair"]
    assert all(len(row.sets) == 1 for row in rows if row.outcome != "same")
    text = (folders / "page/index.html").read_text()
    assert "an axis of their own: 3 pairs" in text
    assert len(Page(text).pictures) == 3 * 7, "each pair, and three in colour"
    index = open_index(Workspace(root, root, None), [folders / "page"], None, print)
    shown = [index.document(name) for name in index.ids(parse_query("place=compare_texture&group=page"))]
    assert sorted(pair.object for pair in shown if pair) == sorted(row.object for row in rows)
    judge = select_judge(params.judges, "evaluation")
    text = write_prompt_for(root / judge.model, found.judge.panel, "rgb")
    for pair in (pair for pair in shown if pair):
        assert index.fact("questions")[pair.word.question] == text
        assert pair.word.mode == "rgb" and list(pair.sides["x"].montages) == ["rgb"]
        coloured = [make_picture(index, f"{key}-0") for key in (pair.x_montage, pair.y_montage)]
        (grey,) = (one for one in pair.elsewhere if one.place == "compare")
        assert make_picture(index, f"{grey.x_montage}-0") not in coloured
    plain, _ = compare(project, folders, "whole", "worse", trials=True)
    assert plain.duels == found.duels, "shape is judged as without them"


@pytest.mark.slow
def test_the_command_answers_in_json_and_says_when_nothing_could_be_compared(
    project: tuple[Path, Params], folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verdict3d.project.find_project", lambda: project[0])
    for folder in ("whole", "worse"):
        for path in (folders / folder).iterdir():
            path.write_bytes(b"broken")
    command = ["compare", str(folders / "whole"), str(folders / "worse"), "--photos", str(folders / "photos")]
    done = CliRunner().invoke(app, [*command, "-o", str(folders / "page"), "--no-audit", "--json"])
    assert done.exit_code == NOTHING_COMPARED, done.output
    document = json.loads(done.stdout)
    assert document["schema"] == Comparison.SCHEMA and document["duels"][0]["summary"]["invalid"] == 4
    assert "Nothing could be compared" in (folders / "page/index.html").read_text()


def test_folders_and_tags_that_cannot_be_used_are_refused_with_a_reason(folders: Path) -> None:
    stems = list(NAMES)
    cases: list[tuple[list[str], str]] = [
        (["whole"], "at least two folders"),
        (["whole", "whole"], "at least two folders of meshes, each once"),
        (["whole", "absent"], "no such folder: .*absent"),
        (["whole", "photos"], "has no mesh .* with the name of a photo"),
    ]
    for names, words in cases:
        with pytest.raises(Verdict3DError, match=words):
            match_files([folders / name for name in names], stems)
    shutil.copy(folders / "whole/chair.glb", folders / "whole/stool-1.glb")
    with pytest.raises(Verdict3DError, match="numbered samples of some photos"):
        match_files([folders / "whole", folders / "worse"], stems)
    for text, words in (
        ("stem\nchair\n", "columns `stem` and `tag`"),
        ("stem,tag\na,1\na,2\n", "several lines for a"),
    ):
        (folders / "tags.csv").write_text(text)
        with pytest.raises(Verdict3DError, match=words):
            read_tags(folders / "tags.csv")
    with pytest.raises(Verdict3DError, match="does not hold a comparison"):
        compare((folders, None), folders, "whole", "worse", out="worse")  # type: ignore[arg-type]


def test_files_belong_to_the_photo_with_the_longest_name(folders: Path) -> None:
    for name in ("sofa-1.glb", "chair.obj", "sofa-2.ply"):
        (folders / "worse" / name).write_bytes(b"")
    (side, _) = match_files([folders / "worse", folders / "whole"], list(NAMES))
    assert side.unmatched == ["sofa-1.glb"]  # there is a photo sofa-2, and none called sofa
    assert side.files["sofa-2", ""].name == "sofa-2.glb" and side.files["chair", ""].name == "chair.glb"


def test_sides_are_called_by_the_shortest_names_that_differ(tmp_path: Path) -> None:
    assert name_sides([tmp_path / "june", tmp_path / "july"]) == ["june", "july"]
    names = name_sides([tmp_path / "june/meshes", tmp_path / "july/meshes"])
    assert names == ["june/meshes", "july/meshes"]


def test_many_pictures_are_smaller() -> None:
    assert choose_picture_size(10) == MOST_PX and choose_picture_size(10**7) == LEAST_PX
    many = choose_picture_size(15_000)
    assert LEAST_PX < many < MOST_PX and 15_000 * many**2 * 0.2 <= PICTURE_BUDGET_BYTES
