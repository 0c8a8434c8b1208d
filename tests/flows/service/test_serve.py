"""`verdict3d serve` without a pool: a Prefect server of its own, until a signal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from support.loopback import free_port, processes_of, wait_until
from support.toy_chain import write_toy_chain


@pytest.mark.services
def test_serving_ends_quietly_and_leaves_nothing_behind(tmp_path: Path) -> None:
    project, port = write_toy_chain(tmp_path / "project").resolve(), free_port()
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    command = [sys.executable, "-m", "flows.cli.main", "serve", "--port", str(port)]
    log = tmp_path / "serve.log"

    def is_served() -> bool:
        try:
            found = httpx.post(f"http://127.0.0.1:{port}/api/deployments/filter", json={}, trust_env=False)
        except httpx.HTTPError:
            return False
        return found.is_success and any(row["status"] == "READY" for row in found.json())

    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=stream, stderr=stream)
    try:
        wait_until(lambda: process.poll() is not None or is_served(), "the deployment")
    finally:
        process.terminate()
        process.wait(60)
    wait_until(lambda: not processes_of(project), "every process to end", 30)
    said = log.read_text()
    assert process.returncode == 0 and "retraining at" in said and "Warning" not in said, said
