"""Records on disk: a wrong one says which file, line and field."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from verdict3d.errors import Verdict3DError
from verdict3d.records.record import Record, RecordPart, read_record, read_rows, write_record, write_rows


class Size(RecordPart):
    width_px: int
    share: float


class Note(Record):
    SCHEMA: ClassVar[str] = "verdict3d/note/2"

    name: str
    kind: Literal["long", "short"]
    size: Size | None


GOOD: dict[str, Any] = {
    "schema": "verdict3d/note/2",
    "name": "a",
    "kind": "long",
    "size": {"width_px": 3, "share": 0.5},
}


def write_line(path: Path, text: str) -> None:
    path.write_text(f"{json.dumps(GOOD)}\n{text}\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "wide"}, r"field kind: 'wide' is wrong: .*'long' or 'short'"),
        ({"name": 3}, "field name: 3 is wrong: input should be a valid string"),
        ({"size": {"width_px": 3.5, "share": 1}}, r"field size\.width_px: 3\.5 is wrong: .* integer"),
        ({"size": {"width_px": True, "share": 1}}, r"field size\.width_px: True is wrong"),
        ({"size": {"width_px": 3}}, r"field size\.share is missing"),
        ({"colour": "red"}, "field colour is unknown"),
        (
            {"schema": "verdict3d/note/1"},
            "field schema: 'verdict3d/note/1' instead of 'verdict3d/note/2'",
        ),
        ({"schema": None}, "field schema: None instead of 'verdict3d/note/2'"),
        ({"name": 1, "kind": 2, "size": 3, "more": 4}, r"field name: 1.*; .*field kind: 2.*; and 1 more"),
    ],
)
def test_a_wrong_row_says_where(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    write_line(tmp_path / "notes.jsonl", json.dumps({**GOOD, **changes}))
    with pytest.raises(Verdict3DError, match=rf"notes\.jsonl, line 2, {words}"):
        read_rows(tmp_path / "notes.jsonl", Note)
    (tmp_path / "note.json").write_text(json.dumps({**GOOD, **changes}))
    with pytest.raises(Verdict3DError, match=rf"note\.json, {words}"):
        read_record(tmp_path / "note.json", Note)


@pytest.mark.parametrize("text", ["{", "[1]", "", b"\xff".decode("latin-1") + "{", '{"a": NaN}'])
def test_a_line_that_is_no_record_is_named(tmp_path: Path, text: str) -> None:
    write_line(tmp_path / "notes.jsonl", text)
    with pytest.raises(Verdict3DError, match=re.escape(f"{tmp_path / 'notes.jsonl'}, line 2")):
        read_rows(tmp_path / "notes.jsonl", Note)


def test_numbers_without_a_value_are_refused(tmp_path: Path) -> None:
    text = json.dumps({**GOOD, "size": {"width_px": 3, "share": float("nan")}})
    write_line(tmp_path / "notes.jsonl", text)
    with pytest.raises(Verdict3DError, match=r"line 2, field size\.share: nan is wrong"):
        read_rows(tmp_path / "notes.jsonl", Note)


@pytest.mark.parametrize("name", ["a\u2028b", "a\u2029b", "a\x85b", "a\x1cb", "a\r\nb", "\n"])
def test_only_a_line_feed_ends_a_row(tmp_path: Path, name: str) -> None:
    notes = [
        Note(name=name, kind="long", size=None),
        Note(name="b", kind="short", size=Size(width_px=1, share=1)),
    ]
    write_rows(tmp_path / "notes.jsonl", notes)
    assert read_rows(tmp_path / "notes.jsonl", Note) == notes
    write_record(tmp_path / "note.json", notes[0])
    assert read_record(tmp_path / "note.json", Note) == notes[0]


def test_no_rows_are_an_empty_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "notes.jsonl", [])
    assert (tmp_path / "notes.jsonl").read_bytes() == b""
    assert read_rows(tmp_path / "notes.jsonl", Note) == []
    with pytest.raises(Verdict3DError, match=r"none\.jsonl is missing; run the stage"):
        read_rows(tmp_path / "none.jsonl", Note)
