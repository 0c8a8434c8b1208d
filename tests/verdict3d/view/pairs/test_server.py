from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from support.pair_pages import LOUDEST, write_pages
from verdict3d.view.pairs.index import PairIndex
from verdict3d.view.pairs.query import Query
from verdict3d.view.pairs.server import STATIC, make_app, read_static


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> PairIndex:
    return write_pages(tmp_path_factory.mktemp("pages"))


@pytest.fixture
def client(index: PairIndex, tmp_path: Path) -> Iterator[TestClient]:
    app = make_app(index, tmp_path / "kept", ["127.0.0.1"], {"report.html": lambda: "<p>report</p>"})
    with TestClient(app, base_url="http://127.0.0.1") as made:
        yield made


def test_only_the_named_hosts_are_answered(client: TestClient) -> None:
    assert client.get("/").status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost"):
        assert client.get("/data/facts.json", headers={"Host": host}).status_code == 400


def test_pages_may_load_nothing_from_elsewhere(client: TestClient) -> None:
    for path in ("/", "/data/facts.json", "/static/app.js", "/nothing"):
        policy = client.get(path).headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "http" not in policy and "unsafe-eval" not in policy
    page = client.get("/").text
    assert "<script>" not in page and 'src="http' not in page and 'href="http' not in page
    assert client.get("/report.html").headers["content-security-policy"].startswith("default-src 'none'")


def test_everything_that_a_page_names_is_there(client: TestClient) -> None:
    page = client.get("/").text
    for name in STATIC:
        assert f"static/{name}" in page
        assert client.get(f"/static/{name}").status_code == 200
    assert client.get("/static/..%2fserver.py").status_code == 404
    assert b"Apache License" in read_static("LICENSE.model-viewer.txt")


def test_the_list_is_answered_in_the_words_of_a_query(client: TestClient, index: PairIndex) -> None:
    found = client.get("/data/pairs.json?truth=contradicts&sort=loudest").json()
    assert found["rows"][0]["object"] == LOUDEST
    assert client.get("/data/ids.json?truth=contradicts&sort=loudest").json()[0] == found["rows"][0]["id"]
    for odd in ("colour=red", f"page={'9' * 5000}", f"q={'+'.join('a' * 20_000)}", "gap=1..2..3"):
        refused = client.get(f"/data/pairs.json?{odd}")
        assert (refused.status_code, len(refused.json()["error"]) < 600) == (400, True), odd
    assert client.get("/data/pairs.json?truth='+OR+1=1;--&q=%ff%00%25_'\"").json()["total"] == 0


def test_a_pair_has_meshes_and_pictures(client: TestClient, index: PairIndex) -> None:
    pair = client.get(f"/data/pair-{index.ids(Query())[0]}.json").json()
    for side in pair["sides"].values():
        mesh = client.get(f"/data/mesh-{side['mesh']}.json").json()
        assert base64.b64decode(mesh["glb"])[:4] == b"glTF"
        for number, status in ((0, 200), (1, 200), (2, 404)):
            picture = client.get(f"/pictures/{side['montages']['normal']}-{number}.webp")
            assert picture.status_code == status
    for name in (pair["photo"], pair["condition"]):
        assert client.get(f"/pictures/{name}.webp").content[8:12] == b"WEBP"


@pytest.mark.parametrize(
    "path",
    [
        "/data/pair-0000000000000000.json",
        "/data/mesh-00000000000000000000.json",
        "/data/mesh-..%2f..%2fetc%2fpasswd.json",
        "/pictures/00000000000000000000.webp",
        "/pictures/..%2f..%2fpairs.webp",
    ],
)
def test_what_no_pair_shows_is_not_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_reduced_copy_is_kept(client: TestClient, index: PairIndex, tmp_path: Path) -> None:
    key, path = index.files("mesh")[0]
    first = client.get(f"/data/mesh-{key}.json").json()
    kept = list((tmp_path / "kept").iterdir())
    assert len(kept) == 1
    assert client.get(f"/data/mesh-{key}.json").json() == first
    assert path.is_file()


def test_a_missing_report_says_what_makes_one(index: PairIndex, tmp_path: Path) -> None:
    app = make_app(index, tmp_path, ["127.0.0.1"], {"report.html": lambda: None})
    with TestClient(app, base_url="http://127.0.0.1") as client:
        answer = client.get("/report.html")
    assert (answer.status_code, "verdict3d run" in answer.text) == (404, True)
