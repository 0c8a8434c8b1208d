"""The report: what it says, what it escapes, what it says is missing."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from support.report_project import ARM, write_project
from support.rows import filled
from tasks.report import gather, run
from verdict3d.config import Params, load_params
from verdict3d.errors import Verdict3DError
from verdict3d.records.decisions import Decision
from verdict3d.records.files import read_json, read_jsonl, write_bytes, write_json
from verdict3d.records.numbers import Interval, Summary
from verdict3d.records.record import read_record, read_rows, write_rows
from verdict3d.records.results import RegimeResults, Results
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.view.arms import find_control, make_control_rows
from verdict3d.view.content import LossCurve, Report
from verdict3d.view.figures import ForestLine, draw_forest, draw_losses
from verdict3d.view.gallery import order_gallery
from verdict3d.view.page import render_page
from verdict3d.view.pictures import embed_picture
from verdict3d.view.words import say_headline, say_number, say_percent, say_signed, say_typeset


class Outline(HTMLParser):
    """Text, tags, ids and what elements refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags, self.ids, self.references = "", [], [], []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                self.references.append(value)

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    return parser


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    return root


@pytest.fixture(scope="module")
def params(project: Path) -> Params:
    return load_params(project / "params.yaml")


@pytest.fixture(scope="module")
def page(project: Path, params: Params) -> str:
    run(params, project)
    return (project / "data/report/index.html").read_text(encoding="utf-8")


def test_the_page_loads_nothing_and_runs_nothing(page: str) -> None:
    seen = outline(page)
    assert not {"script", "link", "iframe", "object", "form"} & set(seen.tags)
    assert all(reference.startswith(("data:image/", "#")) for reference in seen.references)
    assert "default-src 'none'" in page
    assert not re.search(r"url\((?!#)", page)
    assert len(seen.ids) == len(set(seen.ids))
    assert len(page) < 6_000_000


def test_the_page_shows_the_numbers(page: str, project: Path) -> None:
    text = outline(page).text
    results = read_json(project / f"data/evaluate/{ARM}/results.json")
    for part in results["regimes"].values():
        for estimate in (part["summary"]["half_credit"], part["summary"]["decisive"]):
            assert say_number(estimate["value"]) in text
            assert f"{say_number(estimate['low'])} to {say_number(estimate['high'])}" in text
        assert say_percent(part["summary"]["coverage"]) in text
        assert say_number(part["kappa_judge_truth"]["value"]) in text
    for row in read_json(project / "data/label/metrics.json")["kinds"].values():
        assert say_number(row["flip_rate"]) in text
    for paper in ("0.94", "0.89", "target 0.65"):
        assert paper in text
    assert "Conditioner repair" in text and "severely degraded inputs" in text


def test_the_gallery_shows_both_margins(page: str, project: Path) -> None:
    seen = outline(page)
    assert seen.tags.count("img") == page.count("data:image/webp") >= 36
    assert "12 of 40 pairs" in " ".join(seen.text.split())
    shown = order_gallery(
        [(ARM, one) for one in read_rows(project / f"data/evaluate/{ARM}/verdicts.jsonl", HeldoutVerdict)]
    )[:12]
    for _, row in shown:
        assert row.object in seen.text
        if row.m1 is not None:
            assert f"Adapted shown first: {say_signed(row.m1)}" in seen.text
            assert f"Base shown first: {say_signed(row.m2)}" in seen.text


def test_the_gates_word_and_its_conditions_are_shown(project: Path, page: str) -> None:
    text = " ".join(outline(page).text.split())
    decision = read_json(project / "data/gate/decision.json")["arms"][ARM]
    assert f"Conditioner repair {decision['decision']}" in text
    for condition in decision["conditions"]:
        assert say_typeset(condition["words"]) in text
    assert "[-" not in text, "numbers below zero have a minus sign"
    assert any(sentence.startswith("categories of fewer than") for sentence in decision["untested"])
    assert all(sentence in text for sentence in decision["untested"])
    assert "not measured: texture" in text and "it has no certificate" in text


def test_foreign_text_is_escaped(page: str) -> None:
    assert "<b>big</b>" not in page
    assert "sofas/&lt;b&gt;big&lt;/b&gt;.glb" in page
    bad = '"><script>alert(1)</script>'
    curve = LossCurve(bad, bad, (1.0, 2.0), {bad + " loss": (2.0, 1.0)})
    text = render_page(
        Report(
            arms=(bad,), target=0.65, curves=(curve,), provenance={bad: bad}, parameters=bad, warnings=(bad,)
        )
    )
    assert "<script" not in text
    assert "alert(1)" in text


def test_same_inputs_same_bytes(project: Path, params: Params, page: str) -> None:
    run(params, project)
    assert (project / "data/report/index.html").read_text(encoding="utf-8") == page


def test_a_commit_changes_no_byte(project: Path, params: Params, page: str, tmp_path: Path) -> None:
    """DVC knows no commit, so a page that shows one would be out of date without being made again."""
    copied = tmp_path / "copy"
    shutil.copytree(project, copied)
    git = ["git", "-C", str(copied), "-c", "user.name=n", "-c", "user.email=n@localhost"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "some commit"], check=True)
    run(params, copied)
    assert (copied / "data/report/index.html").read_text(encoding="utf-8") == page


def test_metrics(project: Path, page: str) -> None:
    metrics = read_json(project / "data/report/metrics.json")
    assert metrics["missing"] == []
    assert metrics["page_bytes"] == len(page.encode())
    assert (metrics["quarantined"], metrics["failed"], metrics["exhibits"]) == (2, 2, 12)
    assert set(metrics["arms"][ARM]) == {"clean", "severe"}
    rates = read_json(project / f"data/report/rates/{ARM}.json")  # a line of `dvc metrics show`
    assert list(rates) == ["clean", "high", "low", "severe"]
    losses = f"losses/{ARM}.csv"  # a plot of `dvc plots show`
    trained = (project / f"data/train/{ARM}/losses.csv").read_bytes()
    assert (project / "data/report" / losses).read_bytes() == trained
    assert rates["severe"] == round(metrics["arms"][ARM]["severe"]["half_credit"]["value"], 3)


def test_the_first_screen_says_what_the_decision_means(page: str, project: Path) -> None:
    decision = read_record(project / "data/gate/decision.json", Decision).arms[ARM]
    first = " ".join(outline(page.partition('<div class="cards">')[0]).text.split())
    wanting = [row for row in decision.conditions if row.state == "open"]
    said, numbers = wanting[0].words.partition(" (")[0], wanting[0].measured
    assert decision.decision == "HOLD" and "HOLD: Conditioner repair" in first
    assert "Nothing changes: the base stays in use." in first
    assert f"{len(wanting)} of {len(decision.conditions)} conditions are open, the first: {said};" in first
    other = f"[{numbers['low']:.3f}, {numbers['high']:.3f}]"
    assert other not in first, "one number on the first screen: the gate's counts single view sets"
    assert other in page and "count the verdict of every view set" in page
    assert '<b class="even">' in page.partition('<div class="cards">')[0]
    for word in ("Half-credit (win-rate)", "Decisive win-rate, coverage", "Base, arm", "arXiv 2606.20364"):
        assert word in page.partition('id="words"')[2]


def test_what_is_no_pair_is_counted_and_named(page: str, project: Path, params: Params) -> None:
    names = [row["id"] for row in read_jsonl(project / "data/assets/assets.jsonl")]
    assert len(names) == 20, "a line names no more"
    row = f'<th scope="row">Untextured</th><td class="n">20</td><td class="text">{", ".join(names)}</td>'
    assert row in page
    assert '<td>generate</td><td>Empty structure</td><td class="n">1</td><td class="text">b</td>' in page
    linked = render_page(gather(params, project), "index.html")
    assert 'href="index.html#/?q=b">b</a>' in linked and f'q={names[0]}">{names[0]}</a>' in linked


def test_an_empty_project_says_what_is_missing(tmp_path: Path, params: Params) -> None:
    run(params, tmp_path)
    text = " ".join(outline((tmp_path / "data/report/index.html").read_text(encoding="utf-8")).text.split())
    for words in (
        "No arm has been evaluated yet",
        f"arm {ARM} has not been evaluated",
        f"arm {ARM} has no loss curve",
        "the label stage has not run",
        "No DVC lock file",
        "No training left a loss curve",
    ):
        assert words in text
    assert len(read_json(tmp_path / "data/report/metrics.json")["missing"]) >= 6


def test_missing_pictures_and_parts_of_results(tmp_path: Path, params: Params) -> None:
    write_project(tmp_path, objects=10)
    for picture in (tmp_path / "data").rglob("*-severe-arm.png"):
        picture.unlink()
    report = gather(params, tmp_path)
    assert any(item.adapted is None and item.regime == "severe" for item in report.exhibits)
    assert "no mesh" in outline(render_page(report)).text


def test_broken_records_are_named(tmp_path: Path, params: Params) -> None:
    write_project(tmp_path, objects=2)
    write_bytes(tmp_path / f"data/train/{ARM}/losses.csv", b"step,train_loss\n1,much\n")
    with pytest.raises(Verdict3DError, match=r"losses\.csv, line 2, is not a row"):
        run(params, tmp_path)
    write_bytes(tmp_path / "broken.png", b"not a picture")
    with pytest.raises(Verdict3DError, match=r"broken\.png cannot be read as a picture"):
        embed_picture(tmp_path / "broken.png", 100, "x")


def test_pictures_are_downsized_and_keep_transparency(tmp_path: Path) -> None:
    Image.new("RGBA", (900, 300), (255, 0, 0, 0)).save(tmp_path / "a.png")
    picture = embed_picture(tmp_path / "a.png", 320, "red")
    assert picture is not None
    assert (picture.width_px, picture.height_px) == (320, 107)
    assert embed_picture(tmp_path / "none.png", 320, "x") is None


def test_gallery_order_ignores_results() -> None:
    rows = [
        ("a", filled(HeldoutVerdict, object=f"{c}-{n}", category=c, regime=r, seed=s, outcome="loss"))
        for c in ("bed", "chair")
        for n in range(3)
        for r in ("clean", "severe")
        for s in (0, 1)
    ]
    order = [(one.object, one.regime) for _, one in order_gallery(rows)]
    better = [(arm, one.model_copy(update={"outcome": "win"})) for arm, one in reversed(rows)]
    won = [one for _, one in order_gallery(better)]
    assert [(one.object, one.regime) for one in won] == order
    assert len(set(order)) == len(order) == 12
    assert len({name for name, _ in order[:6]}) == 6  # every object once before any comes again
    assert order[:2] == [("bed-0", "severe"), ("chair-0", "clean")]
    assert all(one.seed == 0 for one in won)


def test_the_target_stands_where_it_should() -> None:
    """The dashed line of the figure is at 0.65 of the axis, the solid one at one half."""
    figure = draw_forest([ForestLine("Arm, severe", 0.7, 0.6, 0.8, 0.9, "good")], 0.65)
    spans = re.findall(r"M ([\d.]+) [\d.]+ \nL ([\d.]+) [\d.]+ \n\"[^>]*var\(--(line|muted|goal)", figure)
    left, right = next((float(a), float(b)) for a, b, color in spans if color == "line" and a != b)
    verticals = {color: float(a) for a, b, color in spans if a == b and color in ("muted", "goal")}
    assert (verticals["goal"] - left) / (right - left) == pytest.approx(0.65, abs=1e-3)
    assert (verticals["muted"] - left) / (right - left) == pytest.approx(0.5, abs=1e-3)
    assert "Arm, severe: 0.70, interval 0.60 to 0.80" in figure


def test_loss_figure_bears_gaps_and_nothing() -> None:
    gaps = LossCurve("a", "step", (1.0, 2.0, 3.0), {"loss": (1.0, float("nan"), 0.5)})
    assert "loss: from 1 to 0.5" in draw_losses(gaps)
    assert "<svg" in draw_losses(LossCurve("a", "step", (), {}))
    long = LossCurve("a", "step", tuple(range(20_000)), {"loss": tuple(1 / (i + 1) for i in range(20_000))})
    assert len(draw_losses(long)) < 40_000


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        ("clears", "clears the 0.65 target"),
        ("loses", "loses to the base"),
        ("undecided", "no clear difference"),
    ],
)
def test_headline(standing: str, words: str) -> None:
    assert words in say_headline("conditioner_repair", "severe", standing, 0.65)
    assert (say_number(None), say_signed(-0.5), say_percent(0.125)) == ("–", "−0.50", "12%")


def test_the_audit_shows_who_passed_and_what_failed(page: str) -> None:
    text = page[page.index('<section id="audit"') : page.index('<section id="labels"')]
    assert "✓ certified" in text and "✗ not certified" in text
    assert (
        "An object against a visibly damaged copy: lower bound of half-credit" in text
        and "below 0.75" in text
    )
    assert "This judge was taught 1 of the kinds" in text and "No colour is judged" in text
    for words in ("Image overload", "Splats hide geometry", "Clean but wrong", "Missing parts"):
        assert words in text
    assert "Reference and two montages <small>(chosen)</small>" in text
    assert "Reference and two montages (chosen by this audit)" in text and "Credit of 2" in text
    assert "trained from scratch for this judge" in text


def section(page: str, name: str) -> str:
    part = page[page.index(f'<section id="{name}"') :]
    return " ".join(outline(part[: part.index("</section>")].replace("<", " <")).text.split())


def test_it_says_where_the_change_went_and_what_the_controls_say(page: str) -> None:
    text = section(page, "arms")
    assert "Conditioner repair, severe ▲ better 16.5 0.13 0.04→0.21→0.11→0.10 0.80 0.029 0.024" in text
    assert "Conditioner repair, clean = no change 16.5 – – 0.80" in text
    assert "+0.14 −0.03 to 0.30" in text and "78 answers of the evaluation judge" in text
    assert "κ third" in text and "0.34 0.11 to 0.55" in text and "0.41 0.21 to 0.62" in text
    assert "Two seeds of the base, clean" in text and "No oracle arm" in text
    assert "All arms in one model" not in text  # there is one arm
    assert "right in 0.87 (0.80 to 0.93) of the cases" in text and "Raise assets.heldout by 37" in text
    truth = section(page, "truth")
    assert "0.623 → 0.618" in truth and "0.043 → 0.027" in truth


def test_several_arms_are_ranked_together_and_controls_are_told_apart(tmp_path: Path, params: Params) -> None:
    write_project(tmp_path)
    results = read_json(tmp_path / f"data/evaluate/{ARM}/results.json")
    rows = read_rows(tmp_path / f"data/evaluate/{ARM}/verdicts.jsonl", HeldoutVerdict)
    for arm, turned in (
        ("oracle", rows),
        ("twin", [one.model_copy(update={"m1": one.m2, "m2": one.m1}) for one in rows]),
    ):
        write_json(tmp_path / f"data/evaluate/{arm}/results.json", results | {"arm": arm})
        write_rows(tmp_path / f"data/evaluate/{arm}/verdicts.jsonl", turned)
    values = params.model_dump()
    oracle = {"method": "control", "structure_input": "clean", "latents_input": "clean"}
    values["train"] |= {"oracle": oracle, "twin": values["train"][ARM], "arms": [ARM, "oracle", "twin"]}
    report = gather(Params.model_validate(values), tmp_path)
    assert report.controls == {"oracle": "oracle"}
    severe = report.rankings["severe"]
    strengths = {arm: found["value"] for arm, found in severe["strengths"].items()}
    assert strengths[ARM] == pytest.approx(strengths["oracle"], abs=1e-3) and strengths[ARM] > 0.5
    assert strengths["twin"] == pytest.approx(
        -strengths[ARM], abs=0.35
    )  # its margins are the negated ones' orders
    p_value = results["regimes"]["severe"]["summary"]["p_value"]
    assert severe["holm"] == {ARM: min(1.0, 2 * p_value), "twin": min(1.0, 2 * p_value)}
    values["evaluate"]["confidence"] = 0.6
    narrow = gather(Params.model_validate(values), tmp_path).rankings["severe"]["strengths"]["twin"]
    wide = severe["strengths"]["twin"]
    assert wide["low"] < narrow["low"] < narrow["value"] < narrow["high"] < wide["high"]
    text = section(render_page(report), "arms")
    assert "All arms in one model, severe" in text and "Oracle (control)" in text
    assert "Holm over 2 arms" in text and "No oracle arm" not in text


def test_controls_say_whether_they_hold(tmp_path: Path, params: Params) -> None:
    def arm(value: float, low: float, high: float) -> Results:
        summary = filled(Summary, half_credit=Interval(value=value, low=low, high=high))
        return filled(Results, regimes={"severe": filled(RegimeResults, summary=summary)})

    report = Report(
        arms=("oracle", "random_pick", "base_again"),
        target=0.65,
        evaluations={
            "oracle": arm(0.69, 0.6, 0.8),
            "random_pick": arm(0.5, 0.4, 0.6),
            "base_again": arm(0.7, 0.6, 0.8),
        },
        controls={"oracle": "oracle", "random_pick": "random_pick", "base_again": "base_again"},
    )
    assert [(row.name, row.chip) for row in make_control_rows(report)] == [
        ("Two seeds of the base", "no interval"),
        ("Oracle", "no headroom"),
        ("Random pick", "✓ holds"),
        ("Base again", "✗ off"),
    ]
    assert find_control({"method": "search", "pick": "random"}) == "random_pick"
    assert find_control({"method": "search", "pick": "judge"}) is None
    one = {"method": "control", "structure_input": "clean", "latents_input": "given"}
    assert find_control(one) == "oracle_stage"
