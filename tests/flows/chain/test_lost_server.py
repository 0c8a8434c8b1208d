"""Prefect's server is killed: while it starts, in the middle of a run, and for good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.chain.environment import make_project_environment
from flows.chain.lost_server import LOST
from flows.chain.prefect_server import ADDRESS, KEY, run_prefect_server, wait_for_server
from support.loopback import free_port, processes_of, wait_until, webhook
from support.prefect_api import PrefectApi
from support.toy_chain import ARM, write_deciding_chain, write_toy_chain
from tasks.registry.promotion_record import has_waiting_decision

RUN = [sys.executable, "-m", "verdict3d", "run"]
LEFT_OUT = ("MLFLOW_TRACKING_URI", ADDRESS, KEY)


def servers(project: Path) -> list[int]:
    """Return the processes of Prefect's server, without their supervisors."""
    found = processes_of(project).items()
    return [pid for pid, line in found if "prefect_app" in line and "supervisor.py" not in line]


def is_held(project: Path) -> bool:
    path = project / "data/train" / ARM / "whole"
    return path.is_file() and path.read_text() == "half"


@pytest.mark.services
@pytest.mark.usefixtures("prefect_home")
def test_a_temporary_server_that_dies_is_started_again(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project").resolve()
    environment = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    (project / "hold-train").touch()
    log = tmp_path / "run.log"
    with log.open("wb") as stream:
        run = subprocess.Popen(RUN, cwd=project, env=environment, stdout=stream, stderr=stream)
    try:
        (starting,) = wait_until(lambda: servers(project), "a server")
        os.kill(starting, signal.SIGKILL)
        wait_until(lambda: run.poll() is not None or is_held(project), "a stage")
        (used,) = servers(project)
        os.kill(used, signal.SIGKILL)
        (project / "hold-train").unlink()
        assert run.wait(200) == 0, log.read_text()
    finally:
        run.kill()
    said = log.read_text()
    assert said.count("Prefect's server has died; it is started again") == 2 and "Traceback" not in said, said
    assert "recorded in MLflow" in said


@pytest.mark.services
@pytest.mark.usefixtures("prefect_home")
def test_a_server_of_others_that_goes_away_is_not_waited_for(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project").resolve()
    environment = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    (project / "hold-train").touch()
    log = tmp_path / "run.log"
    server_environment = make_project_environment(tmp_path)
    with run_prefect_server(tmp_path, server_environment, tmp_path / "server.log", print) as server:
        wait_for_server(server)
        environment |= server.client
        with log.open("wb") as stream:
            run = subprocess.Popen(RUN, cwd=project, env=environment, stdout=stream, stderr=stream)
        try:
            wait_until(lambda: run.poll() is not None or is_held(project), "a stage")
        except BaseException:
            run.kill()
            raise
    try:
        (project / "hold-train").unlink()
        assert run.wait(100) == 0, log.read_text()
    finally:
        run.kill()
    said = log.read_text()
    assert "Prefect's server went away" in said and "Traceback" not in said, said
    assert "recorded in MLflow" in said


WATCHED = """
import sys, threading, time
from concurrent.futures import Future
from flows.chain import lost_server
lost_server.LOOK_S, lost_server.GONE_S = 0.1, 0.5
url, begun, outcome = sys.argv[1:]
started, ended = threading.Event(), Future()
if begun:
    started.set()
if outcome:
    ended.set_result(outcome == "succeeded")
with lost_server.leaving_lost_server(url, started, ended, lambda whole: print("the rest of", whole)):
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("begun", "outcome", "status", "said"),
    [
        ("", "", 1, ["Prefect's server went away; nothing has been run"]),
        ("begun", "failed", 1, ["the rest of False", LOST]),
        ("begun", "succeeded", 0, ["the rest of True", LOST]),
    ],
)
def test_what_ends_without_its_server_says_how_far_it_came(
    begun: str, outcome: str, status: int, said: list[str]
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/api"
    command = [sys.executable, "-c", WATCHED, nobody, begun, outcome]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert (done.returncode, done.stdout.splitlines()) == (status, said), done.stderr


@pytest.mark.services
@pytest.mark.usefixtures("prefect_home")
def test_a_scheduled_run_acts_on_its_decision_and_ends_without_its_server(tmp_path: Path) -> None:
    project = write_deciding_chain(tmp_path / "project")
    (project / "hold-train").touch()
    log, command = tmp_path / "run.log", [sys.executable, "-m", "prefect.engine"]
    with webhook() as (address, heard):
        environment = make_project_environment(project) | {"VERDICT3D_WEBHOOK": address}
        environment.pop("MLFLOW_TRACKING_URI", None)
        with run_prefect_server(tmp_path, environment, tmp_path / "server.log", print) as server:
            wait_for_server(server)
            environment |= server.client
            api = PrefectApi(server.url, server.key)
            api.deploy()
            environment["PREFECT__FLOW_RUN_ID"] = api.start_run()
            with log.open("wb") as stream:
                run = subprocess.Popen(command, cwd=project, env=environment, stdout=stream, stderr=stream)
            try:
                wait_until(lambda: run.poll() is not None or is_held(project), "a stage")
            except BaseException:
                run.kill()
                raise
        try:
            (project / "hold-train").unlink()
            assert run.wait(150) == 0, log.read_text()
        finally:
            run.kill()
        said = log.read_text()
        assert said.count("Prefect's server went away") == 1, said
        assert [message["event"] for message in heard] == ["decision", "retrained"]
    assert not has_waiting_decision(project, project, "")
