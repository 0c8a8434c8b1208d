"""How many helpers a process has."""

from __future__ import annotations

import os

import pytest

from tasks.making.helpers import count_helpers
from tasks.making.machine import WORKERS


@pytest.mark.parametrize(
    ("cores", "workers", "gpus", "helpers"),
    [
        (1, None, 0, 1),
        (2, None, 0, 2),
        (2, None, 1, 1),
        (16, None, 1, 12),
        (16, "4", 4, 3),
        (16, "4", 0, 4),
        (8, "8", 8, 1),
    ],
)
def test_helpers_take_a_process_s_share_of_the_cores(
    cores: int, workers: str | None, gpus: int, helpers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.making.helpers.list_visible_gpus", lambda: [str(gpu) for gpu in range(gpus)])
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    monkeypatch.delenv(WORKERS, raising=False)
    if workers:
        monkeypatch.setenv(WORKERS, workers)
    assert count_helpers() == helpers
