"""The folder for state is closed to other users."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flows.chain.environment import make_project_environment
from support.command_line import call_command_line
from support.toy_chain import write_toy_chain
from verdict3d.errors import Verdict3DError
from verdict3d.processes.environment import protect_state


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_state_folder_is_its_owner_s_whatever_the_mask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        protect_state(tmp_path)
    finally:
        os.umask(before)
    assert mode(tmp_path / ".verdict3d") == 0o700


def test_the_next_command_takes_an_open_folder_back(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    state = project / ".verdict3d"
    (state / "dvc/repo").mkdir(parents=True)
    for folder in (state, state / "dvc", state / "dvc/repo"):
        folder.chmod(0o777)
    call_command_line("verdicts", "list", cwd=project)
    assert mode(state) == 0o700


def test_a_checkout_belongs_to_one_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    protect_state(tmp_path)
    assert make_project_environment(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path / ".verdict3d").stat().st_uid + 1)
    with pytest.raises(Verdict3DError, match="belongs to another user; use a checkout of your own"):
        make_project_environment(tmp_path)
