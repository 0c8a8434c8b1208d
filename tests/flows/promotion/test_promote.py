"""`verdict3d promote` for machines: one JSON document and an exit status; then the pages of the run."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.chain import promotion_step
from flows.chain.environment import make_project_environment
from flows.chain.promotion_step import refresh_champion
from flows.promotion import promote
from support.command_line import call_command_line
from support.loopback import free_port, processes_of, wait_until
from support.rows import filled
from support.toy_chain import ARM, write_deciding_chain, write_toy_chain
from verdict3d.project import Workspace
from verdict3d.records.decisions import Champion
from verdict3d.records.promotion import Rollback

CLI = [sys.executable, "-m", "verdict3d"]


@pytest.mark.parametrize(
    ("decision", "moved", "status"),
    [
        ("PROMOTE", True, 0),
        ("PROMOTE", False, 0),
        ("HOLD", True, 0),
        ("HOLD", False, 3),
        ("REJECT", False, 4),
    ],
)
def test_what_became_of_the_candidate_is_the_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decision: str, moved: bool, status: int
) -> None:
    done = {"decision": decision, "moved": moved}
    monkeypatch.setattr(promote, "promote_candidate", lambda *arguments, **options: done)
    answer = call_command_line("promote", "--json", cwd=write_toy_chain(tmp_path / "project"))
    assert (answer.returncode, json.loads(answer.stdout)) == (status, done)


def test_a_rollback_for_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = Rollback(before=3, champion=filled(Champion, name="version 2", version=2))
    monkeypatch.setattr(promote, "call_promotion", lambda *arguments: done)
    answer = call_command_line("rollback", "--json", cwd=write_toy_chain(tmp_path / "project"))
    assert answer.returncode == 0
    assert json.loads(answer.stdout) == {"from": 3, "champion": done.champion.model_dump()}
    assert "rolled back from version 3 to version 2" in answer.stderr


def test_a_registry_that_does_not_answer_stops_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, said = write_toy_chain(tmp_path / "project"), list[str]()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    environment = make_project_environment(project)
    refresh_champion(Workspace(project, project, None), environment, None, said.append)
    assert len(said) == 1 and said[0].startswith("the champion may have moved since it was last seen: ")


def test_a_registry_that_says_nothing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, said = write_toy_chain(tmp_path / "project"), list[str]()
    monkeypatch.setattr(promotion_step, "ASK_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        environment = make_project_environment(project)
        refresh_champion(Workspace(project, project, None), environment, None, said.append)
    assert len(said) == 1 and said[0].endswith("took more than 1 s")


@pytest.mark.services
@pytest.mark.usefixtures("prefect_home")
def test_a_decision_for_machines_and_the_pages_of_its_run(tmp_path: Path) -> None:
    project = write_deciding_chain(tmp_path / "project")
    left_out = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}

    def answer(*words: str) -> tuple[int, dict[str, Any]]:
        done = subprocess.run(
            [*CLI, *words, "--json"],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    status, document = answer("promote")
    assert (status, document["decision"], document["moved"]) == (4, "REJECT", False)
    status, document = answer("run")
    assert (status, document["changed"], document["stages"]) == (0, {}, [])
    assert document["win_rates"][0]["half_credit"] == [0.7, 0.6, 0.8]
    assert document["decision"]["arms"][ARM]["decision"] == "REJECT"

    port = free_port()
    command = [*CLI, "ui", "--port", str(port), "--preset", "quick"]
    (project / "presets/quick.yaml").write_text("")
    shown = subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert shown.stdout is not None
        address = next((line.strip() for line in shown.stdout if line.startswith("http")), "")
        runs = f"http://127.0.0.1:{port}/#/experiments/1/runs?workflowType=machine_learning"
        assert address == f"{runs}&searchFilter=tags.preset%20%3D%20%27quick%27"
        assert httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).is_success
        servers = [pid for pid, words in processes_of(project).items() if "mlflow" in words]
        for pid in servers:
            assert b"MLFLOW_DISABLE_TELEMETRY=true" in Path(f"/proc/{pid}/environ").read_bytes()
        assert servers
    finally:
        shown.send_signal(signal.SIGINT)
        assert shown.wait(60) == 0
    wait_until(lambda: not processes_of(project), "every process to end", 30)
