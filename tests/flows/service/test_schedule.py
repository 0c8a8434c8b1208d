"""The schedule for real, with server, work pool and worker: runs fired, skipped, cancelled, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.chain.environment import HEARTBEAT_S, make_project_environment
from flows.chain.prefect_server import run_prefect_server, wait_for_server
from support.loopback import processes_of, wait_until, webhook
from support.places import ROOT
from support.prefect_api import ASK_S, PrefectApi
from support.toy_chain import ARM, write_toy_chain
from verdict3d.config import load_params
from verdict3d.errors import Verdict3DError

POOL = "pool-of-the-test"
EVERY_MINUTE = "* * * * *"
SERVE = ["verdict3d", "serve", "--pool", POOL]
WORK = ["prefect", "worker", "start", "--pool", POOL, "--type", "process"]


@contextmanager
def serving(
    project: Path, environment: dict[str, str], log: Path, words: list[str] = SERVE
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `verdict3d serve`, or a worker that somebody else starts, until the block ends; all ends then."""
    command = [sys.executable, "-m", *words]
    with log.open("ab") as stream:
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=stream, stderr=stream)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)
        wait_until(lambda: not processes_of(project), "every process to end", 60)


def with_ends_of(*logs: Path) -> Callable[..., None]:
    """Return an exit that adds to an error what the servers said last."""

    def add(kind: object, error: BaseException | None, trace: object) -> None:
        for log in logs:
            if error and log.exists():
                error.add_note(f"--- end of {log.name}\n{log.read_text(errors='replace')[-4000:]}")

    return add


def change(project: Path, seed: int) -> None:
    """Set the seed, and a schedule for every minute."""
    values = yaml.safe_load((project / "params.yaml").read_text())
    values["seed"] = seed
    values["schedule"]["cron"] = EVERY_MINUTE
    (project / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def stage_processes(project: Path) -> dict[int, str]:
    return {pid: command for pid, command in processes_of(project).items() if "stage.py" in command}


@pytest.mark.services
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("prefect_home")
def test_a_schedule_with_a_server_and_a_worker(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project").resolve()
    change(project, 1)
    (project / "fail-once-train").touch()
    log = tmp_path / "serve.log"
    with ExitStack() as stack:
        address, heard = stack.enter_context(webhook())
        environment = make_project_environment(project) | {"VERDICT3D_WEBHOOK": address}
        environment |= {"PREFECT_WORKER_QUERY_SECONDS": "2"}  # it looks for due runs every 10 s by default
        environment.pop("MLFLOW_TRACKING_URI", None)
        stack.push(with_ends_of(tmp_path / "server.log", log))
        own = run_prefect_server(
            tmp_path, environment, tmp_path / "server.log", print, key_file=tmp_path / "key"
        )
        server = stack.enter_context(own)
        api = PrefectApi(server.url, server.key)
        environment |= server.client
        wait_for_server(server)
        with serving(project, environment, log) as first:
            fires_and_tries_again(api, project)
            assert [message["event"] for message in heard] == ["retrained"] and "0.700" in heard[0]["text"]
            skips(api)
            ends_with_its_children(api, project, "cancel")
            ends_with_its_children(api, project, "kill")
            wait_until(lambda: len(heard) > 2, "the webhook")
            assert [message.get("state") for message in heard[1:]] == ["Cancelled", "Crashed"]
            silent = start_and_wait_for_the_stage(api, project)
            kill_processes(project, "worker start", "prefect.engine")
            assert first.wait(60) == 1  # it says that its worker has ended
            wait_until(lambda: not stage_processes(project), "the stages to end", 30)
        with serving(project, environment, log, WORK):
            state = api.wait_for_end(silent)
            assert state["type"] == "CRASHED" and "heartbeat" in state["message"], state
            (project / "hold-assets").unlink()
            assert api.wait_for_end(api.start_run())["name"] == "Completed"
            assert (project / "data/evaluate" / ARM / "whole").read_text() == "whole"
            ends_with_its_children(api, project, "kill the worker")
    assert processes_of(project) == {}


def fires_and_tries_again(api: PrefectApi, project: Path) -> None:
    """The first run is due within a minute; its stage that fails once is tried again."""
    wait_until(api.deployment, "the deployment", poll_s=ASK_S)
    fired: dict[str, Any] = wait_until(
        lambda: next(
            (run for run in api.runs() if run["state"]["type"] not in ("SCHEDULED", "PENDING")), None
        ),
        "a run to be due",
        poll_s=ASK_S,
    )
    api.pause()
    assert fired["auto_scheduled"]
    assert api.wait_for_end(fired["id"])["name"] == "Completed"
    tries = api.task_runs()
    assert tries[f"train@{ARM}"] == 2 and tries["assets"] == 1
    assert {"win-rates"} <= api.artifacts()
    assert not (project / "fail-once-train").exists()


def skips(api: PrefectApi) -> None:
    state = api.wait_for_end(api.start_run())
    assert (state["type"], state["name"]) == ("COMPLETED", "Skipped")
    assert state["message"] == "no asset, parameter or code has changed"


def start_and_wait_for_the_stage(api: PrefectApi, project: Path) -> str:
    """Start a run with something to do and return it when its first stage is in its middle."""
    (project / "hold-assets").touch()
    change(project, len(api.runs()) + 1)
    run_id = api.start_run()
    wait_until(
        lambda: stage_processes(project) and (project / "data/assets/whole").exists(), "the stage to start"
    )
    return run_id


def kill_processes(project: Path, *words: str) -> None:
    """Send SIGKILL to the processes of the project with these words; there has to be one for each."""
    for word in words:
        found = [pid for pid, command in processes_of(project).items() if word in command]
        assert found, word
        for pid in found:
            os.kill(pid, signal.SIGKILL)


def ends_with_its_children(api: PrefectApi, project: Path, how: str) -> None:
    """A run that is cancelled or killed ends, and so does one whose worker is gone."""
    run_id = start_and_wait_for_the_stage(api, project)
    if how == "cancel":
        api.set_state(run_id, "CANCELLING")
    else:
        kill_processes(project, {"kill": "prefect.engine", "kill the worker": "worker start"}[how])
    assert api.wait_for_end(run_id)["type"] == ("CANCELLED" if how == "cancel" else "CRASHED")
    wait_until(lambda: not stage_processes(project), "the stages to end", 30)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("cron", "0 3 * *", r"schedule\.cron"),
        ("timezone", "Mars/Olympus", r"timezone: unknown time zone.*'Mars/Olympus'"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(tmp_path: Path, key: str, value: str, complaint: str) -> None:
    project = write_toy_chain(tmp_path / "project")
    values = yaml.safe_load((project / "params.yaml").read_text())
    values["schedule"][key] = value
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(Verdict3DError, match=complaint):
        load_params(project / "params.yaml")


def test_prefect_yaml_takes_its_times_from_the_parameters() -> None:
    root = ROOT
    (deployment,) = yaml.safe_load((root / "prefect.yaml").read_text())["deployments"]
    assert deployment["schedules"][0]["cron"] == "{{ schedule.cron }}"
    assert deployment["concurrency_limit"]["limit"] == 1
    variables = deployment["work_pool"]["job_variables"]["env"]
    assert variables["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(HEARTBEAT_S)
