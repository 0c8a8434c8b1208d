"""`verdict3d verdicts`: a real label stage's verdicts, listed, exported and explained."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from flows.products.verdict_book import combine_answers, open_book
from support.judge_examples import request
from support.rows import filled
from support.tiny_project import write_tiny_project
from verdict3d.asking.pairings import STORE, Pairing, judge_pairings
from verdict3d.cli.main import app
from verdict3d.config import load_params
from verdict3d.config_judges import JudgeParams
from verdict3d.errors import Verdict3DError
from verdict3d.judge.identity import identify
from verdict3d.judge.panel import PairRequest
from verdict3d.judge.store import VerdictStore
from verdict3d.judge.verdict import Margins
from verdict3d.records.files import write_json
from verdict3d.records.generations import Generation
from verdict3d.records.record import write_rows
from verdict3d.render.montage_files import write_montages
from verdict3d.render.rig import Rig

PLACES = "data/generate"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project whose training judge has compared three montages."""
    root = tmp_path_factory.mktemp("project")
    params = write_tiny_project(root)
    (root / "dvc.yaml").write_text("stages: {}\n")
    made = [_generation(root, number) for number in range(3)]
    write_rows(root / PLACES / "generations.jsonl", made)
    reference = "data/assets/conditions/chair-00000.png"
    pairings = [Pairing(reference, made[0], made[1]), Pairing(reference, made[1], made[2])]
    judge_pairings([("label", pairings)], params.judges.training, Rig(view_px=32), root)
    return root


def _generation(root: Path, number: int) -> Generation:
    shown = [request(place + number, 0).panel.x for place in (10, 20)]
    montage = f"{PLACES}/{number}.normal.png"
    (root / PLACES).mkdir(parents=True, exist_ok=True)
    write_montages(root / montage, np.stack(shown))
    return filled(
        Generation,
        id=f"chair-00000-high-{number}",
        asset="chair-00000",
        mesh_digest=f"{number}" * 64,
        montage=montage,
        montages={"normal": montage},
    )


def call(project: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.chdir(project)
    return CliRunner().invoke(app, ["verdicts", *arguments], catch_exceptions=False)


def test_list_filters(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [json.loads(line) for line in call(project, monkeypatch, "list", "--json").stdout.splitlines()]
    assert [(row["x_name"], row["y_name"]) for row in rows] == [
        ("chair-00000-high-0", "chair-00000-high-1"),
        ("chair-00000-high-1", "chair-00000-high-2"),
    ]
    assert {row["asset"] for row in rows} == {"chair-00000"}
    table = call(project, monkeypatch, "list", "--limit", "1").stdout
    assert "chair-00000-high-2" in table and "high-0" not in table and "2 of 2 verdicts" in table
    head, line, *_ = table.splitlines()
    assert head.split()[:2] == ["key", "outcome"] and head.endswith("shown   panel")
    assert line.startswith(rows[1]["key"][:12]) and line.endswith("normal  three_images")
    for arguments, count in (
        (("--judge", "judge-training"), 2),
        (("--judge", rows[0]["judge"][:10]), 2),
        (("--judge", "judge-evaluation"), 0),
        (("--outcome", rows[0]["outcome"]), sum(row["outcome"] == rows[0]["outcome"] for row in rows)),
        (("--outcome", "invalid"), 0),
        (("--asset", "chair-00001"), 0),
    ):
        assert f"{count} of 2 verdicts" in call(project, monkeypatch, "list", *arguments).stdout


def test_view_sets_of_a_pair_are_one_verdict(project: Path, tmp_path: Path) -> None:
    params, rig = load_params(project / "params.yaml"), Rig(view_px=32)
    store = VerdictStore(tmp_path / STORE)

    def answer(x: str, y: str, view: int, *margins: float) -> None:
        panel = request(1, 2).panel
        asked = (PairRequest(panel, "reference", x, y, rig.set_digests[view]),)
        store.ask(Answering(params.judges.training, project, Margins(*margins)), [asked])

    answer("a", "b", 0, 3.0, -1.0)
    answer("c", "d", 0, 1.0, 1.0)
    answer("b", "a", 1, -2.0, 4.0)  # asked the other way round
    first, second = combine_answers(store.rows(), rig)
    assert (first["x"], first["sets"], first["d"]) == ("a", [(3.0, -1.0), (4.0, -2.0)], 2.5)
    assert first["views"] == [one.name for one in rig.view_sets[:2]] and second["outcome"] == "flip"
    assert first["key"] == store.rows()[0]["key"]


class Answering:
    """A judge with one answer."""

    def __init__(self, params: JudgeParams, root: Path, answer: Margins) -> None:
        self.batch_size, self.identity, self.answer = 4, identify(params, root), answer

    def compare(self, requests: list[PairRequest]) -> list[Margins]:
        return [self.answer for _ in requests]


def test_export_is_read_by_pandas(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = load_params(project / "params.yaml")
    store = pd.DataFrame(open_book(project, params.judges).rows)
    assert [len(sets) for sets in store["sets"]] == [2, 2]
    for name, read in (("v.csv", pd.read_csv), ("v.jsonl", lambda path: pd.read_json(path, lines=True))):
        assert "2 verdicts" in call(project, monkeypatch, "export", str(tmp_path / name)).stdout
        table = read(tmp_path / name)
        assert list(table["key"]) == list(store["key"]) and np.allclose(table["m1"], store["m1"])
        assert list(table["x_name"]) == ["chair-00000-high-0", "chair-00000-high-1"]
    with pytest.raises(Verdict3DError, match=r"\.csv or \.jsonl"):
        call(project, monkeypatch, "export", str(tmp_path / "v.xlsx"))


def test_explain_shows_question_margins_and_pictures(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = json.loads(call(project, monkeypatch, "list", "--json").stdout.splitlines()[1])
    told = call(project, monkeypatch, "explain", stored["key"][:10], "-o", str(tmp_path / "shown.png")).stdout
    prompt = json.loads((project / "data/checkpoints/judge-training/verdict3d.json").read_text())["prompt"]
    assert prompt in told and f"m1 = {stored['m1']:+.4f}" in told and f"m2 = {stored['m2']:+.4f}" in told
    assert f"{stored['outcome']}: " in told and "chair-00000-high-2" in told
    page = np.asarray(Image.open(tmp_path / "shown.png"))
    side = page.shape[0] - 24
    montage = Image.fromarray(request(12, 0).panel.x).resize((side, side))
    assert page.shape[1] == 3 * side and np.array_equal(page[24:, 2 * side :], np.asarray(montage))
    as_json = json.loads(call(project, monkeypatch, "explain", stored["key"], "--json").stdout)
    assert as_json["question"] == prompt and as_json["d"] == stored["d"]
    monkeypatch.chdir(project / "data")
    below = CliRunner().invoke(app, ["verdicts", "explain", stored["key"], "--json"], catch_exceptions=False)
    assert json.loads(below.stdout) == as_json


def test_what_is_not_there_is_said(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Verdict3DError, match="0 verdicts have a key"):
        call(project, monkeypatch, "explain", "nothing")
    with pytest.raises(Verdict3DError, match="2 verdicts have a key"):
        call(project, monkeypatch, "explain", "")
    key = VerdictStore(project / STORE).rows()[0]["key"]
    manifest = project / PLACES / "generations.jsonl"
    kept = manifest.read_bytes()
    manifest.unlink()
    try:
        assert "asset unknown" in call(project, monkeypatch, "explain", key).stdout
        with pytest.raises(Verdict3DError, match=r"montage of X .* not among the results"):
            call(project, monkeypatch, "explain", key, "-o", str(tmp_path / "x.png"))
    finally:
        manifest.write_bytes(kept)
    own = sorted(project.glob("data/checkpoints/judge-*/verdict3d.json"))
    contents = [path.read_bytes() for path in own]
    for path in own:
        write_json(path, {"prompt": "{reference} {first} or {second} ?"})
    try:
        assert "no longer configured" in call(project, monkeypatch, "explain", key).stdout
    finally:
        for path, content in zip(own, contents, strict=True):
            path.write_bytes(content)
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in ("dvc.yaml", "params.yaml"):
        (empty / name).write_bytes((project / name).read_bytes())
    with pytest.raises(Verdict3DError, match="no verdicts in"):
        call(empty, monkeypatch, "list")
