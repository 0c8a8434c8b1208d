"""Files that get another place: linked where the disk allows it, copied where not."""

from __future__ import annotations

from pathlib import Path

import pytest

from verdict3d.errors import Verdict3DError
from verdict3d.records.files import link_file, read_json, read_jsonl


def refuse(source: Path, target: Path) -> None:
    raise OSError("another disk")


@pytest.mark.parametrize("linked", [True, False])
def test_a_file_gets_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool) -> None:
    if not linked:
        monkeypatch.setattr("verdict3d.records.files.os.link", refuse)
    source, target = tmp_path / "made.bin", tmp_path / "out" / "here.bin"
    source.write_bytes(b"content")
    link_file(source, target)
    assert target.read_bytes() == b"content" and target.samefile(source) == linked
    assert [path.name for path in target.parent.iterdir()] == ["here.bin"]


def test_what_lies_there_already_is_replaced(tmp_path: Path) -> None:
    source, target = tmp_path / "made.bin", tmp_path / "here.bin"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    link_file(source, target)
    assert target.read_bytes() == b"new" and source.read_bytes() == b"new"


@pytest.mark.parametrize(
    "damage", [b"{", b"\xff", b"[" * 100_000, b'{"a":' * 5000, b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_what_is_no_json_is_one_message(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(damage)
    with pytest.raises(Verdict3DError, match=r"record\.json is not JSON"):
        read_json(path)
    with pytest.raises(Verdict3DError, match=r"record\.json, line 1 is not JSON"):
        read_jsonl(path)
