"""Two runs compared: the earlier one read from DVC's cache, the later one from the checkout."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from markupsafe import Markup
from typer.testing import CliRunner

from flows.chain.finished import find_before, keep_finished
from flows.products import run_files
from flows.products.difference_page import write_difference
from flows.products.drift import measure_distances
from flows.products.run_files import open_runs
from flows.products.run_pairs import READER
from support.browser import PHONE, needs_chromium, opened_browser
from support.cached_runs import CAME, CHANGED, WENT, keep_in_cache, write_two_runs
from support.report_project import ARM, write_project
from verdict3d.cli.main import app
from verdict3d.errors import Verdict3DError
from verdict3d.products.pair_index import list_pages, open_difference
from verdict3d.products.view import open_pairs
from verdict3d.project import Workspace
from verdict3d.records.differences import Difference
from verdict3d.records.files import read_json
from verdict3d.records.record import read_record, read_rows, write_record
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.view.difference import (
    describe_difference,
    list_drifted,
    list_worse,
    render_difference,
    say_headline,
)
from verdict3d.view.pairs.query import parse_query
from verdict3d.view.pairs.server import make_app


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return write_two_runs(tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def found(workspace: Workspace) -> Difference:
    return write_difference(workspace, "before", ".", None, None)[0]


def test_parameters_assets_and_judges_that_differ_are_named(found: Difference) -> None:
    (one,) = found.parameters
    assert one.name == f"train.{ARM}.steps" and int(str(one.after)) == int(str(one.before)) + 100
    assert found.assets is not None
    assert [asset.id for asset in found.assets.went] == [WENT]
    assert [(asset.id, asset.changed) for asset in found.assets.changed] == [(CHANGED, ["photo"])]
    assert len(found.assets.came) == CAME and found.assets.both == found.assets.before - 2
    judges = {judge.role: judge for judge in found.judges}
    assert judges["training"].certificate_before == judges["training"].certificate_after
    fell = judges["evaluation"]
    assert fell.changed == [] and fell.certified_before and fell.certified_after is False and fell.reasons


def test_win_rates_are_compared_on_the_objects_that_are_the_same(
    found: Difference, workspace: Workspace
) -> None:
    rates = {rate.regime: rate for rate in found.rates}
    severe, clean = rates["severe"], rates["clean"]
    assert {WENT, CHANGED}.isdisjoint(pair.object for pair in found.pairs)
    assert clean.objects == 18 and clean.half_credit.value == 0  # 20 without those that went and changed
    assert clean.half_credit.low is not None and clean.half_credit.low < 0 < (clean.half_credit.high or 0)
    assert severe.half_credit.value is not None and severe.half_credit.value < -0.5
    assert severe.half_credit.high is not None and severe.half_credit.high < 0
    assert list_worse(found) == [severe] and "worse on severely" in say_headline(found)
    rows = read_rows(workspace.root / f"data/evaluate/{ARM}/verdicts.jsonl", HeldoutVerdict)
    now = {(row.object, row.regime): row.outcome for row in rows}
    assert found.pairs and all(
        now[pair.object, pair.regime] == pair.after != pair.before for pair in found.pairs
    )


def test_new_assets_that_are_unlike_the_old_ones_are_found(found: Difference) -> None:
    drifted = {test.name for test in list_drifted(found)}
    assert "photo: share of the picture that the object covers" in drifted and "category" in drifted
    tests = {test.name: test for test in found.drift}
    assert tests["mesh: faces"].new == CAME + 1 and tests["mesh: faces"].old == 20
    assert any("severities" in name for name in tests) and any("conditioner" in name for name in tests)
    assert all(test.p_adjusted >= test.p_value for test in found.drift)


def test_a_run_is_the_same_from_the_cache_as_from_the_checkout(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, tmp_path, None)
    write_project(tmp_path, objects=6)
    keep_in_cache(tmp_path)
    keep_finished(workspace)
    here, _ = write_difference(workspace, ".", ".", tmp_path / "page", None)
    assert say_headline(here).startswith("Nothing changed") and not here.left_out and not here.pairs
    (tmp_path / "params.yaml").write_text((tmp_path / "params.yaml").read_text() + "\n# a note\n")
    lock = tmp_path / "dvc.lock"
    lock.write_text(f"{lock.read_text()}about: another run\n")
    cached, _ = write_difference(workspace, "before", ".", tmp_path / "page", None)
    assert not (cached.parameters or cached.pairs or cached.left_out)
    assert [rate.half_credit.value for rate in cached.rates] == [0, 0]
    keep_finished(workspace)
    params = tmp_path / "params.yaml"
    params.write_text(params.read_text().replace("\nseed: ", "\nseed: 1", 1))
    edited, _ = write_difference(workspace, "before", ".", tmp_path / "page", None)
    assert not edited.parameters, "what was edited and not run has no results yet"
    (gone,) = (tmp_path / ".dvc/cache/files/md5").glob(
        f"*/{read_listed(tmp_path, f'data/evaluate/{ARM}', 'verdicts.jsonl')[2:]}"
    )
    gone.write_text("damaged")
    damaged, _ = write_difference(workspace, "before", ".", tmp_path / "page", None)
    assert damaged.left_out == [f"the run before: data/evaluate/{ARM}/verdicts.jsonl is not kept"]
    assert [rate.pairs for rate in damaged.rates] == [0, 0]
    certificate = tmp_path / "data/certify/evaluation/certificate.json"
    certificate.write_text(
        certificate.read_text().replace("verdict3d/certificate/", "verdict3d/certificate/0")
    )
    older, page = write_difference(workspace, "before", ".", tmp_path / "page", None)
    (judge,) = (judge for judge in older.judges if judge.role == "evaluation")
    assert judge.before is not None and judge.after is None and judge.changed == []
    words = "Whether the evaluation judge is the same is not known"
    assert words in " ".join(describe_difference(older)) and "another:" not in page.read_text()


def read_listed(root: Path, folder: str, name: str) -> str:
    import yaml

    stages = yaml.safe_load((root / "dvc.lock").read_text())["stages"]
    (digest,) = (out["md5"] for one in stages.values() for out in one["outs"] if out["path"] == folder)
    rows = json.loads((root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).read_text())
    return next(str(row["md5"]) for row in rows if row["relpath"] == name)


def test_the_run_before_is_the_last_finished_one_with_other_results(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, tmp_path, None)
    (tmp_path / "params.yaml").write_text("{}")
    with pytest.raises(Verdict3DError, match="no finished run came before"):
        find_before(workspace)
    for text in ("first", "second", "second", "third"):
        (tmp_path / "dvc.lock").write_text(text)
        keep_finished(workspace)
    assert (find_before(workspace) / "dvc.lock").read_text() == "second"
    (tmp_path / "dvc.lock").write_text("not yet finished")
    kept = find_before(workspace) / "dvc.lock"
    assert kept.read_text() == "third"
    kept.write_bytes(b"damaged: \xff")
    assert (find_before(workspace) / "dvc.lock").read_text() == "second"
    keep_finished(workspace)
    assert kept.read_text() == "not yet finished"


def test_what_mlflow_knows_of_runs_so_far_is_not_waited_for(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_files, "ASK_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with open_runs(workspace, ["."]) as (runs, history):
            assert (len(runs), history) == (1, [])
    assert time.monotonic() - started < 60


def test_the_pages_of_pairs_hold_it_with_links_while_it_is_of_the_results_here(
    workspace: Workspace, found: Difference, tmp_path: Path
) -> None:
    index, changed = open_pairs(workspace, [], READER, print), found.pairs[0]
    app = make_app(index, tmp_path, ["127.0.0.1"], list_pages(workspace, index, READER))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        page = client.get("/difference.html").text
        assert 'href="difference.html">What changed' in client.get("/").text
    links = [Markup(part.split('"')[0]).unescape() for part in page.split('href="index.html#/?')[1:]]
    ours = [link for link in links if link.endswith(f"regime={changed.regime}&q={changed.object}")]
    assert ours and index.find(parse_query(ours[0])).total
    moved = Workspace(tmp_path, workspace.root, None)
    write_record(moved.difference / "difference.json", found.model_copy(update={"after": found.before}))
    assert open_difference(moved) is None and set(list_pages(moved, index, READER)) == {"report.html"}


def test_the_command_says_what_became_worse(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace.project)
    done = CliRunner().invoke(app, ["diff", "before", ".", "--json", "--output", str(tmp_path)])
    assert done.exit_code == 3
    assert json.loads(done.stdout) == read_json(tmp_path / "difference.json")
    assert read_record(tmp_path / "difference.json", Difference).rates
    assert "became worse on severely degraded inputs" in done.stderr and "drifted: category" in done.stderr
    with (
        pytest.raises(Verdict3DError, match=r"'nothing' is no run: give `\.`"),
        open_runs(workspace, ["nothing"]),
    ):
        pass


def test_an_old_embedding_is_measured_without_itself() -> None:
    import numpy as np

    old = np.array([[1.0, 0.0], [0.0, 1.0]])
    mine, theirs = measure_distances(old, np.array([[-1.0, 0.0]]))
    assert mine == [1.0, 1.0] and theirs == pytest.approx([1 + np.sqrt(0.5)])


@needs_chromium
def test_the_page_fits_a_phone_and_its_pairs_lead_to_their_page(
    workspace: Workspace, found: Difference, tmp_path: Path
) -> None:
    page = tmp_path / "index.html"
    page.write_bytes(render_difference(found, "pairs/index.html").encode())
    with opened_browser(tmp_path, PHONE) as tab:
        tab.open(page.as_uri())
        tab.wait("document.querySelector('h1')")
        assert tab.run("document.documentElement.scrollWidth") == PHONE[0]
        assert say_headline(found) in tab.text()
        link = tab.run("document.querySelector('#pairs a.pairs').href")
        assert link.startswith(f"{tmp_path.as_uri()}/pairs/index.html#/?place=evaluate")
        assert f"q={found.pairs[0].object}" in link
        assert tab.requested == [page.as_uri()] and not tab.problems
    assert "<a class=" not in render_difference(found)  # without a page of pairs, numbers lead nowhere
    hostile = found.parameters[0].model_copy(update={"after": "<script>alert(1)</script>"})
    assert "<script" not in render_difference(found.model_copy(update={"parameters": [hostile]}))
