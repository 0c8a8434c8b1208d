"""`verdict3d serve` without a pool: a Prefect server of its own, until a signal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest

from flows.chain.prefect_server import KEY_FILE
from support.loopback import free_port, processes_of, wait_until
from support.prefect_api import ASK_S, PrefectApi
from support.toy_chain import write_toy_chain


@pytest.mark.services
def test_serving_ends_quietly_and_leaves_nothing_behind(tmp_path: Path, prefect_database: Path) -> None:
    project, port = write_toy_chain(tmp_path / "project").resolve(), free_port()
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    command = [sys.executable, "-m", "verdict3d", "serve", "--port", str(port)]
    log, key_file = tmp_path / "serve.log", project / ".verdict3d/prefect" / KEY_FILE
    key_file.parent.mkdir(parents=True)
    shutil.copyfile(prefect_database, key_file.with_name("prefect.db"))

    def is_served() -> bool:
        try:
            api = PrefectApi(f"http://127.0.0.1:{port}/api", key_file.read_text())
            return any(row["status"] == "READY" for row in api.ask("/deployments/filter", {}))
        except OSError:
            return False

    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=stream, stderr=stream)
    try:
        wait_until(lambda: process.poll() is not None or is_served(), "the deployment", poll_s=ASK_S)
        api = PrefectApi(f"http://127.0.0.1:{port}/api", key_file.read_text())
        start = f"/deployments/{api.deployment()}/create_flow_run"
        # each would be a folder outside presets, whose code would run
        for preset in (f"{tmp_path}/p", "../p", "a/b", ""):
            with pytest.raises(urllib.error.HTTPError, match=r"409|422"):
                api.ask(start, {"state": {"type": "SCHEDULED"}, "parameters": {"preset": preset}})
    finally:
        process.terminate()
        process.wait(60)
    wait_until(lambda: not processes_of(project), "every process to end", 30)
    said = log.read_text()
    key = key_file.read_text()
    held = [path for path in project.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    assert held == [key_file] and key not in said
    assert (project / ".verdict3d").stat().st_mode & 0o777 == 0o700
    assert process.returncode == 0 and "retraining at" in said and "Warning" not in said, said
