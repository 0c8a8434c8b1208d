"""Files that get another place: linked where the disk allows it, copied where not."""

from __future__ import annotations

from pathlib import Path

import pytest

from verdict3d.records.files import link_file


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
