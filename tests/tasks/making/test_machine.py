"""How many processes share the work of a stage."""

from __future__ import annotations

import os

import pytest

from tasks.making.machine import WORKERS, count_workers
from verdict3d.errors import Verdict3DError


@pytest.mark.parametrize("value", ["abc", "", "0", "-1", " 2", "1.5", "²", "1000000000", "9" * 5000])
def test_what_is_no_number_of_processes_is_one_short_message(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKERS, value)
    with pytest.raises(Verdict3DError, match=f"{WORKERS} is .*; give a whole number from 1 to ") as refused:
        count_workers()
    assert len(str(refused.value)) < 200


def test_one_process_unless_the_environment_says_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WORKERS, raising=False)
    assert count_workers() == 1
    monkeypatch.setenv(WORKERS, str(os.cpu_count() or 1))
    assert count_workers() == (os.cpu_count() or 1)
