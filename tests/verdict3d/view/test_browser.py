"""The report page in a real browser: it shows its numbers and pictures and fits a phone."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from support.browser import CHROMIUM, PHONE, needs_chromium, opened_browser
from support.report_project import ARM, write_project
from tasks.report import gather, run
from verdict3d.config import load_params
from verdict3d.records.files import read_json
from verdict3d.view.page import render_page
from verdict3d.view.pairs.query import parse_query
from verdict3d.view.words import say_number

pytestmark = needs_chromium

# The page runs no script, so a second page holds it in a frame of a phone's width and measures it.
HARNESS = """<!doctype html><meta charset="utf-8">
<iframe id="frame" style="width:{width}px;height:{height}px;border:0" srcdoc="{page}"></iframe>
<pre id="measured"></pre>
<script>
addEventListener("load", () => {{
  const inside = document.getElementById("frame").contentDocument, root = inside.documentElement;
  const images = [...inside.images];
  const beyond = [...inside.querySelectorAll("main *")].filter(element =>
    !element.closest(".scroll, nav, pre, svg") && element.getBoundingClientRect().right > {width} + 0.5);
  document.getElementById("measured").textContent = JSON.stringify({{
    inner_px: root.clientWidth, scroll_px: root.scrollWidth,
    beyond: beyond.map(element => element.tagName + "." + element.className),
    images: images.length, decoded: images.filter(image => image.complete && image.naturalWidth > 0).length,
    smallest_text_px: Math.min(...[...inside.querySelectorAll("p, td, th, li, dd, dt, figcaption")]
      .map(element => parseFloat(getComputedStyle(element).fontSize))),
    headline: inside.querySelector("h1").innerText,
    headline_bottom_px: inside.querySelector(".score").getBoundingClientRect().bottom,
    paper: getComputedStyle(inside.body).backgroundColor,
    ink: getComputedStyle(inside.body).color,
  }});
}});
</script>"""


def browse(tmp_path: Path, file: Path, *options: str) -> str:
    """Open a file in headless Chromium, away from any network, and return what it printed."""
    quiet = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    command = [
        str(CHROMIUM),
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-component-update", *quiet),
        f"--user-data-dir={tmp_path / 'profile'}",
        *options,
        file.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("browsed")
    write_project(root)
    run(load_params(root / "params.yaml"), root)
    return root


def measure(tmp_path: Path, project: Path, width: int, *options: str) -> dict[str, Any]:
    page = (project / "data/report/index.html").read_text(encoding="utf-8")
    harness = tmp_path / "harness.html"
    harness.write_text(HARNESS.format(width=width, height=PHONE[1], page=html.escape(page)), encoding="utf-8")
    dom = browse(tmp_path, harness, "--dump-dom", "--window-size=1400,1000", *options)
    found = re.search(r'<pre id="measured">(.*?)</pre>', dom, re.DOTALL)
    assert found and found[1], "the page did not finish loading"
    return json.loads(html.unescape(found[1]))


def luminance(color: str) -> float:
    return sum(float(value) for value in re.findall(r"[\d.]+", color)[:3]) / 3


def test_it_shows_the_result(tmp_path: Path, project: Path) -> None:
    dom = browse(tmp_path, project / "data/report/index.html", "--dump-dom")
    text = html.unescape(re.sub(r"<[^>]+>", " ", dom))
    results = read_json(project / f"data/evaluate/{ARM}/results.json")
    for part in results["regimes"].values():
        half = part["summary"]["half_credit"]
        assert say_number(half["value"]) in text
        assert f"{say_number(half['low'])} to {say_number(half['high'])}" in text
    assert "target 0.65" in text


@pytest.mark.parametrize("width", [PHONE[0], 1280])
def test_it_fits_and_every_picture_is_decoded(tmp_path: Path, project: Path, width: int) -> None:
    seen = measure(tmp_path, project, width)
    assert seen["beyond"] == []
    assert seen["scroll_px"] <= seen["inner_px"] <= width
    assert seen["images"] == seen["decoded"] >= 36
    assert "Conditioner repair" in seen["headline"]
    assert seen["headline_bottom_px"] < PHONE[1] / 2
    assert seen["smallest_text_px"] >= 12


BROKEN = """(selector => [...document.querySelectorAll(selector)].flatMap(element => {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT), broken = [];
  while (walker.nextNode()) for (const word of walker.currentNode.data.matchAll(/[A-Za-z]+/g)) {
    const range = document.createRange();
    range.setStart(walker.currentNode, word.index);
    range.setEnd(walker.currentNode, word.index + word[0].length);
    if (new Set([...range.getClientRects()].map(box => Math.round(box.top))).size > 1) broken.push(word[0]);
  }
  return broken;
}))("th, .chip, dt, figcaption, h1, h2, h3, .facts dd:not(.mono)")"""


@pytest.mark.parametrize(("medium", "width_px"), [("print", 703), ("screen", PHONE[0]), ("screen", 1280)])
def test_no_word_is_broken_in_two(tmp_path: Path, project: Path, medium: str, width_px: int) -> None:
    with opened_browser(tmp_path, (width_px, 1030)) as tab:
        tab.call("Emulation.setEmulatedMedia", media=medium, features=[])
        tab.open((project / "data/report/index.html").as_uri())
        tab.wait("document.querySelector('#provenance')")
        assert tab.run(BROKEN) == []


def test_paper_shows_every_picture_without_anybody_scrolling_there(tmp_path: Path, project: Path) -> None:
    with opened_browser(tmp_path) as tab:
        tab.open((project / "data/report/index.html").as_uri())
        tab.wait("document.readyState === 'complete'")
        assert tab.run("[...document.images].filter(one => !one.complete || !one.naturalWidth).length") == 0


NOT_OF_PAIRS = {
    "Weights norm": "of an adapter",
    "Tokens gap closed": "of conditions",
    "Velocity gap closed noise → shape": "of conditions",
    "Strength": "of a model of all arms",
    "p, Holm": "of a whole regime",
    "The paper": "of other people's pairs",
    "Should be": "a limit",
    "Credit of 2": "a sum of two others of its line",
    "Meshes": "of files",
    "Items": "of generations and verdicts",
}
UNLINKED = """[...document.querySelectorAll("section table")].flatMap(table => {
  const heads = [...table.querySelectorAll("thead th")]
    .map(one => one.innerText.replace(/\\s+/g, " ").trim());
  return [...table.querySelectorAll("tbody tr")].flatMap(row => [...row.children].flatMap((cell, place) =>
    cell.matches("td.n") && /\\d/.test(cell.innerText) && !cell.querySelector("a.pairs")
      ? [[heads[place], table.parentElement.getAttribute("aria-label")]] : []));
})"""


def test_every_number_of_pairs_leads_to_them(tmp_path: Path, project: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(render_page(gather(load_params(project / "params.yaml"), project), "index.html"))
    with opened_browser(tmp_path) as tab:
        tab.open(page.as_uri())
        tab.wait("document.querySelector('#provenance')")
        left = {tuple(one) for one in tab.run(UNLINKED)}
        links = tab.run("[...document.querySelectorAll('a.pairs')].map(one => one.getAttribute('href'))")
        first = tab.run("[...document.querySelectorAll('.score a.pairs, .card .big a.pairs')].length")
    assert {head for head, _ in left} <= NOT_OF_PAIRS.keys(), left
    assert first >= 3, "the first screen too"
    for link in set(links):
        parse_query(link.removeprefix("index.html#/?"))  # all are known words


def test_no_table_is_cut_on_paper(tmp_path: Path, project: Path) -> None:
    width_px = 703  # of A4 with margins of 12 mm
    cut = f"[...document.querySelectorAll('table')].filter(t => t.getBoundingClientRect().right > {width_px})"
    with opened_browser(tmp_path, (width_px, 1030)) as tab:
        tab.call("Emulation.setEmulatedMedia", media="print", features=[])
        tab.open((project / "data/report/index.html").as_uri())
        tab.wait("document.querySelector('#provenance')")
        assert tab.run(f"{cut}.map(t => t.parentElement.getAttribute('aria-label'))") == []


def test_it_follows_the_dark_mode(tmp_path: Path, project: Path) -> None:
    light = measure(tmp_path, project, PHONE[0], "--blink-settings=preferredColorScheme=1")
    dark = measure(tmp_path, project, PHONE[0], "--blink-settings=preferredColorScheme=0")
    for seen, sign in ((light, 1), (dark, -1)):
        assert sign * (luminance(seen["paper"]) - luminance(seen["ink"])) > 150


def test_a_phone_gets_a_picture_of_it(tmp_path: Path, project: Path) -> None:
    shot = tmp_path / "phone.png"
    size = f"--window-size={PHONE[0]},{PHONE[1]}"
    browse(tmp_path, project / "data/report/index.html", f"--screenshot={shot}", size, "--hide-scrollbars")
    with Image.open(shot) as image:
        assert image.width >= PHONE[0]
        colors = image.convert("RGB").getcolors(1 << 20)
    assert colors is not None and len(colors) > 50
