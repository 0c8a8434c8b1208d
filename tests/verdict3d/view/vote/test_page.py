"""The voting page: what it gives away, whom it answers, and two people who vote by keys in a real browser."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from support.ballots import AGAINST, ARMS, write_pairs
from support.browser import DESKTOP, PHONE, needs_chromium, opened_browser
from support.pair_entries import entry, many, shape
from support.pair_pages import serving
from verdict3d.records.votes import PeopleReport, Vote
from verdict3d.view.content import Report
from verdict3d.view.page import render_page
from verdict3d.view.pairs.index import PairIndex
from verdict3d.view.pairs.people import with_people
from verdict3d.view.pairs.server import make_app as make_pages
from verdict3d.view.vote.server import KEY, PERSON, make_vote_app, read_static
from verdict3d.view.words import say_number, say_percent
from verdict3d.votes.ballot import Ballot
from verdict3d.votes.counted import drop_replaced
from verdict3d.votes.journal import VoteJournal
from verdict3d.votes.people import JudgedPair, report_people, view_from

HOME = "http://127.0.0.1"


def make_app(folder: Path, key: str | None = None) -> tuple[FastAPI, VoteJournal]:
    """The page of twelve pairs and four known answers below a folder."""
    pairs, known = write_pairs(folder, 12, 4)
    journal = VoteJournal(folder / "votes.jsonl")
    ballot = Ballot(pairs, known, journal, seed=1)
    return make_vote_app(ballot, folder / "kept", ["127.0.0.1"], key), journal


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    return make_app(tmp_path)[0]


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url=HOME) as made:
        made.get("/")
        yield made


def answer(question: str, **values: object) -> dict[str, object]:
    return {"question": question, "pick": "a", "left": [], "right": ["holes"], "seconds": 2.5} | values


def test_nothing_says_whose_meshes_they_are(client: TestClient) -> None:
    asked = client.get("/data/turn.json").json()["questions"]
    paths = [f"/data/mesh-{one[side]}.json" for one in asked for side in "ab"]
    bodies = [client.get(path) for path in ("/", "/data/turn.json", "/static/vote.js", *paths)]
    bodies += [client.get(f"/pictures/{asked[0]['photo']}.webp"), client.get("/data/mesh-ffff.json")]
    for one in bodies:
        said = one.content + repr(one.headers.raw).encode()
        for word in (*ARMS, AGAINST, "chair", "severe", "evaluate", ".glb"):
            assert word.encode() not in said, (one.url, word)
    assert len(set(paths)) == 4, "a mesh that comes up again has another address"
    assert all(set(client.get(path).json()) == {"glb"} for path in paths)
    assert client.get(paths[0].replace("mesh-", "mesh-..%2f")).status_code == 404


def test_an_answer_is_kept_and_the_next_questions_come(client: TestClient, tmp_path: Path) -> None:
    first, second = client.get("/data/turn.json").json()["questions"]
    made = client.post("/data/answers", json=answer(first["question"]), headers={"Origin": HOME})
    assert (made.status_code, made.json()["answered"]) == (200, 1)
    assert made.json()["questions"][0] == second, "what was loaded ahead is what comes next"
    (row,) = VoteJournal(tmp_path / "votes.jsonl").read()
    assert (
        row.person == client.cookies[PERSON] and row.seconds == 2.5 and row.x_tags + row.y_tags == ["holes"]
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": HOME, "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": HOME, "Content-Type": "text/plain"}, 415),
        ({"Origin": HOME, "Host": "evil.example"}, 400),
    ],
)
def test_answers_come_from_the_page_alone(
    client: TestClient, tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    question = client.get("/data/turn.json").json()["questions"][0]["question"]
    refused = client.post("/data/answers", json=answer(question), headers=headers)
    assert refused.status_code == status
    assert VoteJournal(tmp_path / "votes.jsonl").read() == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"pick": "x"}, 400),
        ({"left": ["ugly"]}, 400),
        ({"seconds": "long"}, 400),
        ({"more": 1}, 400),
        ({"question": "0" * 20}, 404),
        ({"question": "0" * 5000}, 413),
    ],
)
def test_wrong_answers_are_refused(client: TestClient, change: dict[str, object], status: int) -> None:
    question = client.get("/data/turn.json").json()["questions"][0]["question"]
    made = client.post("/data/answers", json=answer(question) | change, headers={"Origin": HOME})
    assert made.status_code == status


def test_a_person_is_a_cookie_that_scripts_do_not_see(app: FastAPI) -> None:
    with TestClient(app, base_url=HOME) as client:
        assert client.get("/data/turn.json").status_code == 403
        cookie = client.get("/").headers["set-cookie"]
        assert re.match(rf"{PERSON}=[0-9a-f]{{16}}; HttpOnly; .*SameSite=lax", cookie)
        assert "set-cookie" not in client.get("/").headers
        policy = client.get("/").headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';") and "http" not in policy


def test_a_shared_page_wants_its_key(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, key="a-long-key")
    with TestClient(app, base_url=HOME) as client:
        for path in ("/", "/data/turn.json", "/static/vote.js", "/?key=wrong", "/nothing"):
            assert client.get(path).status_code == 403
        opened = client.get("/?key=a-long-key", follow_redirects=False)
        assert (opened.status_code, opened.headers["location"]) == (303, "/"), "the key leaves the address"
        assert client.get("/").status_code == 200 and client.cookies[KEY] == "a-long-key"
        assert len(client.get("/data/turn.json").json()["questions"]) == 2


def test_every_file_of_the_page_is_there(client: TestClient) -> None:
    named = re.findall(r'(?:src|href)="(static/[^"]+)"', client.get("/").text)
    assert len(named) == 9 and all(client.get(f"/{name}").status_code == 200 for name in named)
    assert client.get("/static/..%2fserver.py").status_code == 404 and read_static("vote.css")


@needs_chromium
@pytest.mark.slow
def test_two_people_vote_on_ten_pairs_by_keys(tmp_path: Path) -> None:
    app, journal = make_app(tmp_path)
    bodies: list[bytes] = []

    @app.middleware("http")
    async def watch(request, answer):  # type: ignore[no-untyped-def]
        from fastapi import Response

        response = await answer(request)
        content = b"".join([part async for part in response.body_iterator])
        if "model-viewer" not in request.url.path:
            bodies.append(content)
        return Response(content, response.status_code, dict(response.headers))

    with serving(app) as address, opened_browser(tmp_path, PHONE) as page:
        for number, size in enumerate((DESKTOP, PHONE)):
            page.call("Network.clearBrowserCookies")
            page.resize(*size)
            page.open(address)
            for place in range(10):
                page.wait(f"document.getElementById('count').innerText.startsWith('{place} ')")
                page.wait("document.querySelector('[data-pick=a]').disabled === false")
                if place == 0:
                    page.wait(
                        "[...document.querySelectorAll('model-viewer')].filter(m => m.loaded).length === 2"
                    )
                    assert page.run("document.documentElement.scrollWidth") <= size[0]
                if place == 3:
                    page.press("s")
                    page.press("l")
                if place == 5:
                    page.press("z")
                    page.wait("document.getElementById('count').innerText.startsWith('Changing')")
                    page.wait("document.querySelector('[data-pick=a]').disabled === false")
                    page.press("4")
                    page.wait("document.getElementById('count').innerText.startsWith('5 ')")
                    page.wait("document.querySelector('[data-pick=a]').disabled === false")
                page.press("1" if place % 2 else "3")
            page.wait("document.getElementById('count').innerText.startsWith('10 ')")
            rows = drop_replaced(journal.read())
            assert len(rows) == 10 * (number + 1)
        outside = [one for one in page.requested if not one.startswith((address, "data:", "blob:"))]
        assert (outside, page.problems) == ([], [])
    found = check_rows(rows, journal)
    read_agreement(tmp_path, journal, found)
    for word in (*ARMS, AGAINST, "chair", "severe"):
        assert all(word.encode() not in body for body in bodies), word


def read_agreement(folder: Path, journal: VoteJournal, found: PeopleReport) -> None:
    """Read in a browser what two people said: on the page of a pair, and how far they agree on the report."""
    votes = [row.model_copy(update={"seconds": 4.0}) for row in journal.read()]
    asked = [row for row in drop_replaced(votes) if row.known is None and not row.again]
    name = next(row.object for row in asked if sum(one.object == row.object for one in asked) == 2)
    sides = {
        side: shape(side, getattr(next(row for row in asked if row.object == name), side).mesh_digest)
        for side in "xy"
    }
    others = [one.model_copy(update={"people": None}) for one in many(20)]
    pairs = with_people([entry(name, object=name, **sides), *others], votes)
    index = PairIndex.write(folder / "pairs.sqlite", pairs, {"title": "voted", "questions": {}, "views": []})
    report = render_page(Report(arms=(), target=0.65, people=found), "index.html")
    app = make_pages(index, folder / "copies", ["127.0.0.1"], {"report.html": lambda: report})
    with serving(app) as address, opened_browser(folder) as page:
        page.open(f"{address}report.html")
        page.wait("document.querySelector('#people table')")
        row = page.run("document.querySelector('#people tbody tr').innerText").split()
        assert row[:2] == ["Another", "person"] and row[2] == say_number(found.ceiling.value)
        assert row[-2:] == [say_percent(found.ceiling.observed), str(found.ceiling.pairs)]
        page.click("#people tbody a.pairs", str(found.ceiling.pairs))
        page.wait("document.querySelector('h1')?.innerText === '1 of 21 pairs'")
        page.click("a.row")
        page.wait("document.body.innerText.includes('What people said')")
        table = page.run("document.querySelector('[aria-label=\\'What people said\\'] tbody').innerText")
        said = Counter(view_from(one, sides["x"].mesh_digest) for one in asked if one.object == name)
        counts = [line.split("\t")[1] for line in table.splitlines()]
        assert counts == [str(said[outcome]) for outcome in ("win", "loss", "close", "invalid")]
        assert page.problems == []


def check_rows(rows: list[Vote], journal: VoteJournal) -> PeopleReport:
    """What two people answered: each about ten pairs, the same ones in different orders."""
    people = {row.person for row in rows}
    assert len(people) == 2 and len(journal.read()) == 22
    one, other = ([row for row in rows if row.person == person] for person in people)
    for mine in (one, other):
        assert (
            sum(row.choice == "unsure" for row in mine) == 1 and sum(row.choice == "tie" for row in mine) >= 4
        )
        assert (
            sum(row.x_tags + row.y_tags in (["floaters", "blurry"], ["blurry", "floaters"]) for row in mine)
            == 1
        )
    first = {row.object: row.first for row in one if row.known is None}
    shared = [row for row in other if row.object in first and row.known is None]
    assert len(shared) >= 8 and all(row.first != first[row.object] for row in shared)
    pairs = [JudgedPair(row.object, row.x.mesh_digest, row.y.mesh_digest) for row in rows]
    hasty = report_people(journal.read(), pairs, seed=1, resamples=20, confidence=0.95)
    assert hasty.counted == 0, "a machine is quicker than people can look"
    calm = [row.model_copy(update={"seconds": 4.0}) for row in journal.read()]
    found = report_people(calm, pairs, seed=1, resamples=20, confidence=0.95)
    assert len(shared) - 2 <= found.ceiling.pairs <= len(shared) and found.ceiling.observed is not None
    return found
