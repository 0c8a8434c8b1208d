"""The measurement of several processes runs in one, small, on a CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import data_parallel


def test_the_benchmark_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(data_parallel.RESULT, str(tmp_path))
    data_parallel.main(["--tiny", "--batch", "2", "--steps", "4"])
    row = json.loads((tmp_path / "row.json").read_text())
    assert row["processes"] == 1
    assert row["last_loss"] != row["first_loss"]
    assert data_parallel.measure_difference(tmp_path, tmp_path)["largest_difference"] == 0
