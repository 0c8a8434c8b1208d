"""How many helpers a process has."""

from __future__ import annotations

import os

import pytest

from tasks.making.helpers import count_helpers
from tasks.making.machine import WORKERS


@pytest.mark.parametrize(
    ("cores", "workers", "helpers"), [(1, None, 1), (2, None, 1), (16, None, 12), (16, "4", 3), (8, "8", 1)]
)
def test_helpers_take_a_process_s_share_of_the_cores(
    cores: int, workers: str | None, helpers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    monkeypatch.delenv(WORKERS, raising=False)
    if workers:
        monkeypatch.setenv(WORKERS, workers)
    assert count_helpers() == helpers
