"""The judge server of a run: there with a GPU, gone with the run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flows.chain import judge_server
from flows.chain.judge_server import serving_judges
from verdict3d.judge.served.client import connect
from verdict3d.judge.served.wire import ADDRESS


def test_it_ends_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_server, "has_gpu", lambda: True)
    state = tmp_path / ".verdict3d"
    for _ in range(2):  # the second run finds the first one's socket
        with serving_judges(state, dict(os.environ)) as variables:
            connect(variables[ADDRESS]).close()
        with pytest.raises(ConnectionRefusedError):
            connect(variables[ADDRESS])


def test_without_a_gpu_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_server, "has_gpu", lambda: False)
    with serving_judges(tmp_path / ".verdict3d", dict(os.environ)) as variables:
        assert variables == {}
    assert not list(tmp_path.iterdir())
