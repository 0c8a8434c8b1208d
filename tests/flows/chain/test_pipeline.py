"""The whole way, with a real temporary Prefect server: alone, killed in the middle, gone on with, at rest."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from support.loopback import processes_of
from support.toy_chain import ARM, write_toy_chain

pytestmark = pytest.mark.services

RUN = [sys.executable, "-m", "verdict3d", "run"]


def finished_runs(project: Path) -> int:
    with closing(sqlite3.connect(project / "mlflow.db")) as database:
        query = "SELECT count(*) FROM runs WHERE status = 'FINISHED' AND lifecycle_stage = 'active'"
        return int(database.execute(query).fetchone()[0])


def test_alone_killed_gone_on_with_and_at_rest(tmp_path: Path, prefect_home: Path) -> None:
    project = write_toy_chain(tmp_path / "project").resolve()
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "", "PREFECT_API_URL": ""}
    environment = {name: value for name, value in environment.items() if value}
    (project / "hold-train").touch()
    half = project / "data/train" / ARM / "whole"
    with (tmp_path / "killed.log").open("w") as log:
        killed = subprocess.Popen(RUN, cwd=project, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 150
        while not half.exists() and time.monotonic() < deadline and killed.poll() is None:
            time.sleep(0.1)
        assert half.exists(), (tmp_path / "killed.log").read_text()
        other = subprocess.run(RUN, cwd=project, env=environment, capture_output=True, text=True, check=False)
        assert other.returncode == 1
        assert f"another run holds this checkout: process {killed.pid} on " in other.stderr
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    deadline = time.monotonic() + 20
    while processes_of(project) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(project) == {}
    assert half.read_text() == "half"

    (project / "hold-train").unlink()
    second = subprocess.run(RUN, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stdout + second.stderr
    assert half.read_text() == "whole"
    rows = json.loads((project / ".verdict3d/stages/default.json").read_text())["stages"]
    assert {row["stage"]: row["outcome"] for row in rows} == {
        "assets": "up to date",
        f"train@{ARM}": "ran",
        f"evaluate@{ARM}": "ran",
    }
    said = second.stdout + second.stderr
    assert sum(f"evaluate@{ARM}" in line and "ran (" in line for line in said.splitlines()) == 1
    assert not any("Finished in state" in line and f"@{ARM}" in line for line in said.splitlines())
    assert "run:    `verdict3d ui --last` shows this one in MLflow" in said
    assert "0.700 [0.600, 0.800]" in second.stdout and "recorded in MLflow" in second.stdout + second.stderr
    assert finished_runs(project) == 2  # the run and its arm
    with closing(sqlite3.connect(prefect_home / "prefect.db")) as database:
        keys = {row[0] for row in database.execute("SELECT key FROM artifact")}
        (parameters,) = database.execute(
            "SELECT parameters FROM flow_run ORDER BY created DESC LIMIT 1"
        ).fetchone()
    assert {"win-rates", "numbers-assets"} <= keys
    assert json.loads(parameters)["parameters"]["generator"]["kind"] == "trellis"

    prefect = (prefect_home / "prefect.db").stat().st_mtime_ns
    third = subprocess.run(RUN, cwd=project, env=environment, capture_output=True, text=True, check=True)
    assert third.stdout.startswith("nothing changed") and "0.700 [0.600, 0.800]" in third.stdout
    assert finished_runs(project) == 2
    assert (prefect_home / "prefect.db").stat().st_mtime_ns == prefect
