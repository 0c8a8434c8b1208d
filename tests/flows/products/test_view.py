from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from markupsafe import Markup, escape
from PIL import Image

from flows.products.run_pairs import READER
from support.pair_pages import QUESTION
from support.places import append
from support.report_project import ARM, write_project
from support.rows import filled
from verdict3d.errors import Verdict3DError
from verdict3d.products.pair_index import find_comparisons, open_index, open_report
from verdict3d.products.view import allowed_hosts, bundle_pairs, listen, open_pairs
from verdict3d.project import Workspace
from verdict3d.records.comparisons import Comparison, PairedMesh, PairOfMeshes, SideFiles
from verdict3d.records.names import Outcome
from verdict3d.records.record import read_rows, write_record, write_rows
from verdict3d.records.results import JudgeUsed
from verdict3d.records.verdicts import ControlVerdict
from verdict3d.view.pairs.query import parse_query

pytestmark = pytest.mark.slow  # a process of its own reads the records


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("viewed")
    write_project(root)
    (root / "data/report").mkdir()
    (root / "data/report/index.html").write_text("the stage has run")
    return Workspace(root, root, None)


def write_comparison(folder: Path) -> None:
    """What `verdict3d compare` leaves of two photos, of one of which a side has no mesh."""
    outcomes: tuple[Outcome, ...] = ("win", "loss")
    mine = [
        PairedMesh(side="june", file="chair.glb", mesh_digest="d1", failure=None, message=""),
        PairedMesh(side="june", file=None, mesh_digest=None, failure="missing_mesh", message="none"),
    ]
    other = PairedMesh(side="july", file="chair.glb", mesh_digest="d2", failure=None, message="")
    rows = [
        filled(
            PairOfMeshes, object=name, photo=f"{name}.png", outcome=outcome, mine=x, theirs=other, tag="red"
        )
        for name, outcome, x in zip(("chair", "lamp"), outcomes, mine, strict=True)
    ]
    sides = [filled(SideFiles, name=name, folder=f"/meshes/{name}") for name in ("june", "july")]
    judge = filled(JudgeUsed, model="judge", mode="normal", panel="three_images", prompt="p")
    asked = {"judge": judge, "role": "evaluation", "texts": {"normal": QUESTION}}
    write_rows(folder / "pairs.jsonl", rows)
    write_record(folder / "comparison.json", filled(Comparison, sides=sides, **asked))
    (folder / "pictures").mkdir()
    for number in range(4):
        Image.new("RGB", (32, 32), (40 * number, 0, 0)).save(folder / f"pictures/{number:06d}.webp")


def test_every_verdict_is_a_pair_of_the_index(workspace: Workspace) -> None:
    index = open_index(workspace, [], READER, print)
    assert index.find(parse_query(f"place=evaluate&arm={ARM}")).total == 40
    audited = [
        row
        for role in ("training", "evaluation")
        for row in read_rows(workspace.root / f"data/audit/{role}/verdicts.jsonl", ControlVerdict)
    ]
    assert len(index) >= 40
    assert index.find(parse_query("place=audit")).total <= len(audited)
    counts = index.find(parse_query("place=evaluate")).counts
    assert counts["regime"] == {"severe": 20, "clean": 20}
    assert sum(counts["truth"].values()) == 40 and counts["truth"]["unknown"] == 1
    question = index.document(index.ids(parse_query("place=evaluate"))[0]).word.question  # type: ignore[union-attr]
    assert "{reference}" in index.fact("questions")[question]


def test_pairs_of_judges_that_were_not_audited_show_their_first_question(
    workspace: Workspace, tmp_path: Path
) -> None:
    root = tmp_path / "run"
    shutil.copytree(workspace.root, root)
    for folder in ("audit", "certify"):
        shutil.rmtree(root / "data" / folder, ignore_errors=True)
    index = open_index(Workspace(root, root, None), [], READER, print)
    document = index.document(index.ids(parse_query("place=evaluate"))[0])
    assert document is not None and document.word.panel == "three_images"


def test_an_index_is_made_again_only_when_a_stage_has_written(workspace: Workspace) -> None:
    said: list[str] = []
    index = open_index(workspace, [], READER, said.append)
    before = index.path.stat().st_mtime_ns
    said.clear()
    assert open_index(workspace, [], READER, said.append).path.stat().st_mtime_ns == before
    assert said == []
    append(workspace.root / "params.yaml", "# edited\n")
    open_index(workspace, [], READER, said.append)
    assert said == ["reading what the stages left"]


def test_numbers_of_the_report_lead_to_pairs_that_are_there(workspace: Workspace) -> None:
    index = open_index(workspace, [], READER, print)
    page = open_report(workspace, index, READER)
    assert page is not None
    links = [Markup(part.split('"')[0]).unescape() for part in page.split('href="index.html#/?')[1:]]
    assert len(links) > 60
    found = {link: index.find(parse_query(link)).total for link in links}
    evaluated = {link: total for link, total in found.items() if "place=evaluate" in link}
    assert evaluated[f"place=evaluate&arm={ARM}&regime=severe"] == 20
    assert evaluated[f"outcome=invalid&place=evaluate&arm={ARM}&regime=severe"] == 1
    won = evaluated[f"outcome=win&place=evaluate&arm={ARM}&regime=severe"]
    assert f'{ARM}&amp;regime=severe">{won}</a>' in page
    failed = [link for link in links if "reason=" in link]
    assert failed and all(f"place=evaluate&arm={ARM}" in link for link in failed)
    for link in failed:
        assert found[link] > 0 and f'{escape(link)}">{found[link]}</a>' in page


def test_comparisons_are_found_or_named(workspace: Workspace, tmp_path: Path) -> None:
    write_comparison(tmp_path / "june-july")
    (tmp_path / "of-a-version-before").mkdir()
    old = tmp_path / "of-a-version-before/comparison.json"
    old.write_text(
        (tmp_path / "june-july/comparison.json").read_text().replace("comparison/3", "comparison/2")
    )
    said: list[str] = []
    assert find_comparisons(tmp_path, [], said.append) == [tmp_path / "june-july"]
    (words,) = said
    assert "of-a-version-before is left out: " in words
    for named, problem in ((tmp_path, "verdict3d compare"), (old.parent, "comparison/2")):
        with pytest.raises(Verdict3DError, match=problem):
            find_comparisons(tmp_path, [named], said.append)
    index = open_index(workspace, [tmp_path / "june-july"], READER, print)
    query = parse_query("place=compare&group=june-july&category=red&sort=object")
    pairs = [index.document(name) for name in index.ids(query)]
    assert [pair.outcome for pair in pairs if pair] == ["win", "loss"]
    chair, lamp = (pair for pair in pairs if pair)
    assert index.file(chair.sides["x"].mesh or "", "mesh") == Path("/meshes/june/chair.glb")
    assert index.file(chair.photo or "", "photo") == tmp_path / "june-july/pictures/000000.webp"
    assert index.file(lamp.photo or "", "photo") == tmp_path / "june-july/pictures/000003.webp"
    assert (lamp.sides["x"].failure, lamp.sides["x"].mesh) == ("missing_mesh", None)
    (tmp_path / "params.yaml").write_bytes((workspace.root / "params.yaml").read_bytes())
    questions = open_index(Workspace(tmp_path, tmp_path, None), [], None, print).fact("questions")
    assert questions == {chair.word.question: QUESTION}, "also where no run is"


def test_a_bundle_of_a_workspace_opens_with_its_report(workspace: Workspace, tmp_path: Path) -> None:
    made = bundle_pairs(workspace, [], READER, tmp_path / "bundle", 64, print)
    assert made.pairs == len(open_pairs(workspace, [], READER, print))
    assert made.pictures == 40  # photos, clean and degraded
    assert 'href="index.html#/?' in (tmp_path / "bundle/report.html").read_text()
    assert 'href="report.html"' in (tmp_path / "bundle/index.html").read_text()
    assert json.loads((tmp_path / "bundle/pairs.json").read_text())["whole"]


def test_a_workspace_without_verdicts_says_what_makes_some(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "params.yaml").write_bytes((workspace.root / "params.yaml").read_bytes())
    with pytest.raises(Verdict3DError, match="`verdict3d run` asks about some"):
        open_pairs(Workspace(tmp_path, tmp_path, None), [], READER, print)


def test_a_port_in_use_is_refused_and_without_one_another_is_taken() -> None:
    with listen("127.0.0.1", None) as one, listen("127.0.0.1", None) as other:
        assert one.getsockname()[1] != other.getsockname()[1]
        with pytest.raises(Verdict3DError, match="--port"):
            listen("127.0.0.1", one.getsockname()[1])
    with pytest.raises(Verdict3DError, match="--host"):
        listen("203.0.113.7", None)


def test_names_that_are_answered_are_those_of_the_address() -> None:
    assert "evil.example" not in allowed_hosts("127.0.0.1")
    assert "192.0.2.1" in allowed_hosts("192.0.2.1")
    assert "*" not in allowed_hosts("0.0.0.0")
