"""Problems of users are one message, bugs keep their traceback: in stages and on the command line."""

from __future__ import annotations

import errno

import pytest

from verdict3d.errors import ItemFailure, Verdict3DError, one_message


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Verdict3DError("give a folder"), "error: give a folder\n"),
        (ItemFailure("no_faces", "the mesh has no faces"), "error: the mesh has no faces\n"),
        (OSError(errno.ENOSPC, "full", "x.json"), "error: the disk is full (x.json): make room"),
    ],
)
def test_what_a_user_can_mend_is_one_message(
    capsys: pytest.CaptureFixture[str], error: Exception, message: str
) -> None:
    with pytest.raises(SystemExit, match="1"), one_message():
        raise error
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith(message) and captured.err.count("\n") == 1


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(KeyError), one_message():
        raise KeyError("a bug")
