"""The pages of pairs in a real browser: from a server, from files of a web server, and from disk."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.browser import DESKTOP, PHONE, Page, needs_chromium, opened_browser
from support.pair_entries import entry, shape, word
from support.pair_pages import LOUDEST, QUESTION, serving, serving_files, write_pages
from verdict3d.view.pairs.bundle import write_bundle
from verdict3d.view.pairs.index import PairIndex
from verdict3d.view.pairs.query import parse_query
from verdict3d.view.pairs.server import make_app
from verdict3d.view.words import say_number, say_signed

pytestmark = [needs_chromium, pytest.mark.slow]
WAYS = ("server", "files", "disk")
QUERIES = (
    "",
    "truth=contradicts&sort=loudest",
    "outcome=win&outcome=loss&size=0.05..&q=chair 01",
    "sort=gap&page=2",
    "sort=object&rows=20",
)
FRAME = """(() => {
  const box = document.querySelector("model-viewer").getBoundingClientRect();
  return [box.x, box.y, box.width];
})()"""
COUNT_LOADS = """V3D.loads = 0; document.querySelectorAll("model-viewer").forEach(
  one => one.addEventListener("load", () => V3D.loads++, { once: true }))"""
SMALLEST_TEXT = """Math.min(...[...document.querySelectorAll("main *")]
  .filter(one => one.innerText && !one.children.length)
  .map(one => parseFloat(getComputedStyle(one).fontSize)))"""
LIGHTNESS = """["color", "backgroundColor"].map(name => getComputedStyle(document.body)[name]
  .match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3)"""
UNNAMED = """[...document.querySelectorAll("button, a, input, select, img, model-viewer")].filter(one =>
  !(one.textContent || one.alt !== undefined || one.ariaLabel || one.labels?.length))
  .map(one => one.outerHTML)"""
CUT = """[...document.querySelectorAll("table")]
  .filter(one => one.getBoundingClientRect().right > innerWidth).length"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> PairIndex:
    return write_pages(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def bundle(index: PairIndex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundled") / "bundle"
    write_bundle(index, out, 64_000_000, {}, print)
    return out


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with opened_browser(tmp_path_factory.mktemp("browser")) as made:
        yield made


@contextmanager
def shown(way: str, index: PairIndex, bundle: Path, tmp_path: Path) -> Iterator[str]:
    if way == "server":
        with serving(make_app(index, tmp_path / "kept", ["127.0.0.1"], {})) as address:
            yield address
    elif way == "files":
        with serving_files(bundle) as address:
            yield f"{address}index.html"
    else:
        yield (bundle / "index.html").as_uri()


def go(page: Page, address: str) -> None:
    """Open an address in a tab that has seen nothing."""
    page.open("about:blank")
    page.requested.clear()
    page.problems.clear()
    page.open(address)
    page.wait("document.querySelector('#main').children.length")


@pytest.mark.parametrize("way", WAYS)
def test_the_loudest_wrong_verdict_is_found_and_both_meshes_turn(
    way: str, index: PairIndex, bundle: Path, page: Page, tmp_path: Path
) -> None:
    with shown(way, index, bundle, tmp_path) as address:
        go(page, address)
        page.click("button", "Loudest wrong verdicts")
        page.wait("location.hash.includes('truth=contradicts')")
        page.click("ol.pairs a.row")
        page.wait(f"document.querySelector('h1').innerText.startsWith({LOUDEST!r})")
        text = page.text()
        for words in (
            "Contradicts the truth: base is better",
            "+8.75",
            "−8.25",
            "+8.50",
            "0.300",
            "0.600",
            QUESTION,
        ):
            assert words in text
        assert "null" not in text and "undefined" not in text
        page.wait("[...document.querySelectorAll('model-viewer')].filter(one => one.loaded).length === 2")
        assert "96 faces" in page.text() and "24 faces" in page.text()
        images = "[...document.images].filter(one => one.checkVisibility())"
        page.wait(f"{images}.every(one => one.complete && one.naturalWidth > 0)")  # nothing moves any more
        page.run("document.querySelector('model-viewer').scrollIntoView({ block: 'center' })")
        x, y, width = page.run(FRAME)
        angles = "[...document.querySelectorAll('model-viewer')].map(one => one.getCameraOrbit().theta)"
        before = page.run(angles)
        start = (x + width / 3, y + width / 3)  # its very middle belongs to model-viewer's mark of panning
        for _ in range(5):  # a page that is still busy takes no notice of a drag
            page.drag(start, (start[0] + width / 4, start[1]))
            if page.becomes(f"Math.abs({angles}[0] - {before[0]}) > 0.1", 10):
                break
        page.wait(f"Math.abs({angles}[0] - {before[0]}) > 0.1")
        page.wait(f"Math.abs({angles}[0] - {angles}[1]) < 1e-3")
        for mode in ("Clay", "Colour", "Wireframe", "Normals"):
            page.run(COUNT_LOADS)
            page.click(".modes button", mode)
            page.wait("V3D.loads >= 2")
        assert page.run(f"{images}.length") >= 6
        place = urlsplit(address)
        elsewhere = [
            one
            for one in page.requested
            if not one.startswith((f"{place.scheme}://{place.netloc}", "data:", "blob:"))
        ]
        assert (elsewhere, page.problems) == ([], [])


def test_names_that_are_html_are_shown_as_text(page: Page, tmp_path: Path) -> None:
    bad = "<img src=x onerror=alert(1)><b>big</b>"
    names = dict.fromkeys(("object", "category", "arm", "against", "regime", "group", "defect"), bad)
    sides = {"x": shape(bad, failure=bad), "y": shape(bad)}
    said = word("invalid", None, model=bad, reason=bad, message=bad)
    facts = {"state": "s", "title": bad, "questions": {"q": bad}, "views": [bad]}
    index = PairIndex.write(tmp_path / "pairs.sqlite", [entry(bad, word=said, **names, **sides)], facts)
    write_bundle(index, tmp_path / "bundle", 64_000_000, {}, print)
    for place in ("", f"#/pair/{index.ids(parse_query(''))[0]}"):
        go(page, f"{(tmp_path / 'bundle/index.html').as_uri()}{place}")
        assert bad in page.text()
        assert page.run("document.querySelectorAll('img[src=x]').length") == 0
        assert page.problems == []


@pytest.mark.parametrize("text", QUERIES)
def test_index_and_bundle_answer_alike(text: str, index: PairIndex, bundle: Path, page: Page) -> None:
    found = index.find(parse_query(text))
    go(page, (bundle / "index.html").as_uri())
    answer = page.run(f"V3D.find(new URLSearchParams({text!r}))")
    assert answer["total"] == found.total
    assert [row["id"] for row in answer["rows"]] == [row.id for row in found.rows]
    assert answer["counts"] == found.counts
    assert page.run(f"V3D.ids(new URLSearchParams({text!r}))") == index.ids(parse_query(text))


def test_the_address_holds_the_state_and_keys_walk_through_the_list(
    index: PairIndex, bundle: Path, page: Page, tmp_path: Path
) -> None:
    with shown("server", index, bundle, tmp_path) as address:
        wanted = index.ids(parse_query("category=chair&sort=gap"))
        go(page, f"{address}#/?category=chair&sort=gap")
        page.wait(f"document.querySelector('h1').innerText === '{len(wanted)} of 123 pairs'")
        assert (
            page.run(
                "document.getElementById('f-category-chair').checked && document.getElementById('sort').value"
            )
            == "gap"
        )
        page.press("j")
        page.press("j")
        assert page.run("document.activeElement.href").split("/pair/")[1].startswith(wanted[1])
        go(page, f"{address}#/pair/{wanted[0]}?category=chair&sort=gap")
        page.wait(f"document.getElementById('place').innerText === '1 of {len(wanted)}'")
        page.press("j")
        page.wait(f"location.hash.startsWith('#/pair/{wanted[1]}')")
        page.wait(f"document.getElementById('place').innerText === '2 of {len(wanted)}'")
        page.press("k")
        page.wait(f"location.hash.startsWith('#/pair/{wanted[0]}')")
        page.wait("document.querySelector('.modes')")
        page.press("m")
        page.wait("document.querySelector('.modes [aria-pressed=true]').innerText === 'Clay'")
        page.press("u")
        page.wait("location.hash === '#/?category=chair&sort=gap'")
        page.wait("document.getElementById('search')")
        page.press("/")
        assert page.run("document.activeElement.id") == "search"


def test_what_is_not_there_is_said(index: PairIndex, bundle: Path, page: Page, tmp_path: Path) -> None:
    with shown("server", index, bundle, tmp_path) as address:
        go(page, f"{address}#/pair/0000000000000000")
        page.wait("document.querySelector('[role=alert]').innerText.includes('no pair 0000000000000000')")
        go(page, f"{address}#/?colour=red")
        page.wait("document.querySelector('[role=alert]').innerText.includes('filtered by')")
        go(page, f"{address}#/?q=nothing-like-this")
        page.wait("document.body.innerText.includes('No pair fits')")


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_their_window_and_can_be_read(
    size: tuple[int, int], dark: bool, index: PairIndex, bundle: Path, page: Page
) -> None:
    page.resize(*size, dark=dark)
    try:
        for name in ("", f"pair/{index.ids(parse_query('q=' + LOUDEST))[0]}"):
            go(page, f"{(bundle / 'index.html').as_uri()}#/{name}")
            page.wait("document.querySelector('a.row') || document.querySelector('.sets img')")
            assert page.run("document.documentElement.scrollWidth") <= size[0]
            assert page.run(SMALLEST_TEXT) >= 12
            ink, paper = page.run(LIGHTNESS)
            assert (ink - paper > 150) if dark else (paper - ink > 150)
            assert page.run(UNNAMED) == []
    finally:
        page.resize(*DESKTOP)


INKED = """[...document.querySelectorAll("canvas.still")].map(one => {
  const pixels = one.width ? one.getContext("2d").getImageData(0, 0, one.width, one.height).data : [];
  return pixels.some((value, place) => place % 4 === 3 && value);
})"""


def test_paper_gets_a_picture_of_each_mesh(index: PairIndex, bundle: Path, page: Page) -> None:
    go(page, f"{(bundle / 'index.html').as_uri()}#/pair/{index.ids(parse_query('q=' + LOUDEST))[0]}")
    page.wait("[...document.querySelectorAll('model-viewer')].filter(one => one.loaded).length === 2")
    page.wait(f"(dispatchEvent(new Event('beforeprint')), {INKED}.every(Boolean))")
    page.call("Emulation.setEmulatedMedia", media="print")
    seen = "[...document.querySelectorAll('canvas.still, model-viewer')].map(one => one.checkVisibility())"
    assert page.run(seen).count(True) == 2, "the pictures instead of the viewers"
    made = base64.b64decode(page.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert len(re.findall(rb"/Type /Page\b", made)) == 2, "no sheet is left empty to keep things together"
    page.resize(*DESKTOP)


def test_numbers_are_written_as_in_the_report(bundle: Path, page: Page) -> None:
    go(page, (bundle / "index.html").as_uri())
    cases = [(-0.004, 2), (0.004, 2), (-1.2345, 2), (3.0, 0), (None, 2)]
    for value, digits in cases:
        said = json.dumps(value)
        assert page.run(f"V3D.signed({said}, {digits})") == say_signed(value, digits)
        assert page.run(f"V3D.number({said}, {digits})") == say_number(value, digits)
    assert page.run("[V3D.count(1, 'pair'), V3D.count(2, 'pair')]") == ["1 pair", "2 pairs"]
    names = "['repair_and_majority', 'june-2', 'bed-80068-heldout_control-clean-0', 'bent, grade 5']"
    assert page.run(f"{names}.map(V3D.heading)") == [
        *("Repair and majority", "june-2", "bed-80068-heldout_control-clean-0", "Bent, grade 5"),
    ]


def test_printing_cuts_no_table(index: PairIndex, bundle: Path, page: Page) -> None:
    go(page, f"{(bundle / 'index.html').as_uri()}#/pair/{index.ids(parse_query('q=' + LOUDEST))[0]}")
    page.wait("document.querySelector('.scroll table')")
    page.resize(700, 990)
    page.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert page.run(CUT) == 0
    finally:
        page.resize(*DESKTOP)
