from __future__ import annotations

from pathlib import Path

import pytest

from support.pair_entries import entry, many, shape, word
from verdict3d.errors import Verdict3DError
from verdict3d.view.pairs.fields import FIELDS, list_values, write_search_text
from verdict3d.view.pairs.index import PairIndex
from verdict3d.view.pairs.query import parse_query

QUERIES = (
    "",
    "outcome=win",
    "outcome=flip&outcome=close&regime=severe",
    "size=2..5&arm=flow",
    "gap=0.3..&truth=contradicts",
    "grade=2..3",
    "q=chair 01",
    "judges=contradicts&category=chair",
    "people=contradicts&outcome=loss",
    "cameras=split&defect=dented&defect=floaters",
    "outcome=nothing",
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> PairIndex:
    path = tmp_path_factory.mktemp("index") / "pairs.sqlite"
    return PairIndex.write(path, many(600), {"title": "made up"})


@pytest.mark.parametrize("text", QUERIES)
def test_a_filter_leaves_what_the_columns_say(index: PairIndex, text: str) -> None:
    query = parse_query(text)
    entries = many(600)

    def fits(columns: dict, words: str) -> bool:
        return (
            all(columns[name] in allowed for name, allowed in query.choices.items())
            and all(
                columns[name] is not None
                and (low is None or columns[name] >= low)
                and (high is None or columns[name] <= high)
                for name, (low, high) in query.ranges.items()
            )
            and all(one in words for one in query.search)
        )

    wanted = [one.id for one in entries if fits(list_values(one), write_search_text(one))]
    assert bool(wanted) == (text != "outcome=nothing")
    found = index.find(query)
    assert index.ids(query) == wanted
    assert found.total == len(wanted)
    assert [row.id for row in found.rows] == wanted[:50]
    for field in FIELDS:
        if field.kind == "choice" and field.name not in query.choices:
            named = [
                value for one in entries if one.id in set(wanted) and (value := list_values(one)[field.name])
            ]
            assert found.counts[field.name] == {value: named.count(value) for value in set(named)}


def test_counts_of_a_chosen_field_say_what_other_choices_would_leave(index: PairIndex) -> None:
    found = index.find(parse_query("outcome=win"))
    assert sum(found.counts["outcome"].values()) == len(index)


@pytest.mark.parametrize("name", ["loudest", "faintest", "wrong", "gap", "split", "bias", "object"])
def test_orders_put_what_has_no_value_last(index: PairIndex, name: str) -> None:
    query = parse_query(f"sort={name}")
    assert query.sort is not None
    columns = {one.id: list_values(one)[query.sort.column] for one in many(600)}
    values = [columns[one] for one in index.ids(query)]
    there = [value for value in values if value is not None]
    assert values == there + [None] * (len(values) - len(there))
    assert there == sorted(there, reverse=query.sort.descending)


def test_pages_cover_the_list_once(index: PairIndex) -> None:
    pages = [index.find(parse_query(f"sort=loudest&rows=100&page={page}")).rows for page in range(1, 8)]
    assert [len(rows) for rows in pages] == [100] * 6 + [0]
    assert [row.id for rows in pages for row in rows] == index.ids(parse_query("sort=loudest"))


def test_an_index_that_was_made_anew_is_read_anew(tmp_path: Path) -> None:
    index = PairIndex.write(tmp_path / "pairs.sqlite", many(20), {})
    assert index.find(parse_query("")).total == 20
    PairIndex.write(tmp_path / "pairs.sqlite", many(8), {})
    assert index.find(parse_query("")).total == len(index.ids(parse_query(""))) == 8
    PairIndex.write(tmp_path / "pairs.sqlite", [], {})
    assert index.find(parse_query("q=chair&size=1..&outcome=win&sort=object")).total == 0


def test_a_pair_names_the_other_pairs_of_its_meshes(tmp_path: Path) -> None:
    one, other = shape("repair", "m1"), shape("base", "m2")
    entries = [
        entry("a", x=one, y=other),
        entry("b", x=other, y=one, place="challenge"),
        entry("c", x=one, y=shape("base", "m3")),
        entry("d", x=one, y=shape("base", None, failure="empty")),
    ]
    index = PairIndex.write(tmp_path / "pairs.sqlite", entries, {})
    document = index.document(entries[0].id)
    assert document is not None
    assert [row.id for row in document.elsewhere] == [entries[1].id]
    last = index.document(entries[3].id)
    assert last is not None and last.elsewhere == []
    assert index.document("0" * 16) is None


def test_only_files_that_a_pair_shows_are_known(tmp_path: Path) -> None:
    side = shape("repair", "m1", mesh="/data/a.glb", montages={"normal": "/data/a.png"})
    index = PairIndex.write(tmp_path / "pairs.sqlite", [entry(x=side, reference="/data/photo.png")], {})
    document = index.document(entry(x=side).id)
    assert document is not None
    x = document.sides["x"]
    assert index.file(x.mesh or "", "mesh") == Path("/data/a.glb")
    assert index.file(x.montages["normal"] or "", "montage") == Path("/data/a.png")
    assert index.file(document.photo or "", "photo") == Path("/data/photo.png")
    assert index.file(document.photo or "", "mesh") is None
    assert index.file("../../etc/passwd", "photo") is None
    assert [path for _, path in index.files("mesh")] == [Path("/data/a.glb")]


def test_a_damaged_index_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "pairs.sqlite").write_bytes(b"no database" * 400)
    with pytest.raises(Verdict3DError, match="remove it, it is made again"):
        len(PairIndex(tmp_path / "pairs.sqlite"))


def test_a_verdict_stands_to_truth_and_judges() -> None:
    wrong = entry(x_score=0.2, y_score=0.5, word=word("win", 3.0), others=[word("loss", -1.0, "training")])
    columns = list_values(wrong)
    assert (columns["truth"], columns["judges"]) == ("contradicts", "contradicts")
    assert columns["wrong"] == pytest.approx(0.3)
    assert list_values(entry(x_score=0.5, y_score=0.2))["truth"] == "agrees"
    assert list_values(entry(x_score=0.5, y_score=0.2, word=word("flip", 0.1)))["truth"] == "undecided"
    assert list_values(entry(x_score=0.5, y_score=0.501))["truth"] == "even"
    assert list_values(entry(x_score=0.5))["truth"] == "unknown"
    known = entry(known="x", grade=3, place="audit", word=word("loss", -2.0))
    assert (list_values(known)["truth"], list_values(known)["wrong"]) == ("contradicts", 0.3)
    assert list_values(entry(known="same"))["truth"] == "even"


def test_view_sets_that_disagree_are_counted() -> None:
    split = word("win", 1.0, sets=[(1.0, -1.0), (1.0, -2.0), None, (-1.0, 1.0)])
    columns = list_values(entry(word=split))
    assert (columns["cameras"], columns["split"]) == ("split", pytest.approx(1 / 3))
    assert list_values(entry(word=word(sets=[(1.0, -1.0)])))["cameras"] == "single"
