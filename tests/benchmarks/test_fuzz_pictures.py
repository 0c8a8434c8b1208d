"""The fuzz of the picture readers, in a short form."""

from __future__ import annotations

import pytest

from benchmarks import fuzz_pictures


def test_damaged_pictures_are_read_or_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_pictures.main(["--cases", "600"]) == 0, capsys.readouterr().err
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:-1]]
    assert {row[0] for row in rows} == {kind for kind, _ in fuzz_pictures.write_pictures()}
    read, refused, other = (sum(int(row[place]) for row in rows) for place in (2, 3, 4))
    assert read + refused == 2 * 600 and read > 60 and refused > 60 and other == 0


def test_an_error_that_is_not_ours_is_told_apart() -> None:
    def broken() -> None:
        raise AssertionError("of a decoder")

    assert fuzz_pictures.try_picture(broken) == "AssertionError: of a decoder"
    assert fuzz_pictures.try_picture(lambda: None) == "read"
