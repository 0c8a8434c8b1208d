"""Faults: killed at many moments, a full disk, folders that may not be written, two runs at a time."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from flows.chain.environment import make_project_environment
from flows.chain.prefect_server import run_prefect_server, wait_for_server
from support.loopback import processes_of, wait_until
from support.prefect_api import PrefectApi
from support.resumable_chain import forget_results, results, write_resumable_chain
from support.toy_chain import ROOT, run_toy_stage, write_toy_chain
from verdict3d.errors import storage_problem

KILLS = 20
RUN = [sys.executable, "-m", "flows.cli.main", "run"]
ROLES = {
    "stage": "stage.py",
    "flow": "-m flows.chain.pipeline",
    "dvc": "-m dvc repro",
    "supervisor": "supervisor.py",
    "command line": "flows.cli.main run",
    "worker": "prefect worker start",
}
"""What a run consists of, and by which words of its command each is found."""
POOL = "pool-of-the-test"


def running(project: Path, role: str) -> list[int]:
    """Return the processes of one role; a supervisor names what it watches, which is not meant with it."""
    found = processes_of(project).items()
    return [
        pid
        for pid, command in found
        if ROLES[role] in command and (role == "supervisor" or "supervisor.py" not in command)
    ]


@pytest.mark.services
@pytest.mark.timeout(1200)
def test_killed_at_many_moments_it_ends_with_the_same_outputs(tmp_path: Path) -> None:
    whole = write_resumable_chain(tmp_path / "whole", pause_s=0.3, items=12)
    killed = write_resumable_chain(tmp_path / "killed", pause_s=0.3, items=12).resolve()
    environment = make_project_environment(killed) | {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    environment = {name: value for name, value in environment.items() if name != "MLFLOW_TRACKING_URI"}
    choice, kills = random.Random(6), Counter[str]()
    log_file = tmp_path / "server.log"
    with run_prefect_server(tmp_path, environment, log_file, print, key_file=tmp_path / "key") as server:
        environment |= server.client
        api = PrefectApi(server.url, server.key)
        wait_for_server(server)
        with (tmp_path / "whole.log").open("wb") as log:
            undisturbed = subprocess.Popen(RUN, cwd=whole, env=environment, stdout=log, stderr=log)
        deploy(killed, environment, api)
        while kills.total() < KILLS:
            role = list(ROLES)[kills.total() % len(ROLES)]
            kills[role] += kill_at_some_moment(killed, environment, choice, role, api)
            wait_until(lambda: processes_of(killed) == {}, f"all to end after a kill of the {role}", 60)
        done = subprocess.run(RUN, cwd=killed, env=environment, capture_output=True, text=True, check=False)
        assert undisturbed.wait(120) == 0, (tmp_path / "whole.log").read_text()
    assert done.returncode == 0, done.stdout + done.stderr
    assert results(killed) == results(whole)
    assert not list((killed / ".verdict3d/resume").glob("*/*"))
    assert not [path for path in (killed / "data").rglob(".*") if path.is_file()]


def deploy(project: Path, environment: dict[str, str], api: PrefectApi) -> None:
    """Make a work pool and put the scheduled flow on it; it runs only when it is asked for."""
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    make = [*prefect, "work-pool", "create", POOL, "--type", "process"]
    for command in (make, [*prefect, "deploy", "--name", "retrain", "--pool", POOL]):
        subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True)
    api.pause()


def kill_at_some_moment(
    project: Path, environment: dict[str, str], choice: random.Random, role: str, api: PrefectApi
) -> bool:
    """Start a run and send SIGKILL to its process of this role at a random moment; tell whether it was hit.

    A worker is killed while the run it has started is on its way; that run has to notice and crash. A run
    that is done before starts from nothing the next time.
    """
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
    with (project / "run.log").open("wb") as log:
        command = worker if role == "worker" else RUN
        run = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)
    hit = False
    try:
        scheduled = api.start_run() if role == "worker" else ""
        awaited = "stage" if scheduled else role
        wait_until(lambda: run.poll() is not None or running(project, awaited), f"a {awaited} to run")
        time.sleep(choice.uniform(0.0, 1.5))
        if victims := running(project, role):
            with contextlib.suppress(ProcessLookupError):
                os.kill(choice.choice(victims), signal.SIGKILL)
                hit = True
        run.wait(120)
        if scheduled:
            assert api.wait_for_end(scheduled)["type"] == "CRASHED"
    finally:
        run.kill()
    if run.returncode == 0:
        forget_results(project)
    return hit


@contextmanager
def mounted(root: Path, *options: str, folder: str = "data") -> Iterator[list[str]]:
    """Yield what stands before a command to give it, alone, a small or read-only folder below ``root``.

    The mount lives in a namespace of the command's own and is gone with it.
    """
    (root / folder).mkdir(parents=True, exist_ok=True)
    mount = f"mount -t tmpfs -o {','.join(options)} none {folder}"
    own = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    shell = [*own, "sh", "-c", f'{mount} && exec "$@"', "sh"]
    if subprocess.run([*shell, "true"], cwd=root, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets no test mount anything")
    yield shell


@pytest.mark.parametrize(
    ("options", "complaint"),
    [(("size=24k",), "the disk is full"), (("size=1m", "ro"), "no permission to write")],
    ids=["full", "read-only"],
)
def test_a_disk_that_takes_nothing_is_one_clear_message(
    tmp_path: Path, options: tuple[str, ...], complaint: str
) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["assets"].update(train=2, validation=1, heldout=1, condition_size_px=64)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    look = "find data -type f -size -1 -o -name '.*' -type f; ls data/assets"
    with mounted(tmp_path, *options) as inside:
        stage = f'"{sys.executable}" -m tasks.assets; code=$?; {look}; exit $code'
        done = subprocess.run(
            [*inside, "sh", "-c", stage], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1, done.stderr
    message = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(message) == 1 and complaint in message[0] and "Traceback" not in done.stderr
    assert set(done.stdout.split()) <= {"meshes", "conditions"}  # no empty file, none under a temporary name


def test_a_state_folder_that_may_not_be_written_is_one_clear_message(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    (project / ".verdict3d").mkdir()
    with mounted(project, "size=64k") as inside:
        shell = [*inside, "sh", "-c", 'mount -t tmpfs -o size=64k,ro none .verdict3d && exec "$@"', "sh"]
        done = subprocess.run([*shell, *RUN], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: no permission to write") and "run.lock" in done.stderr


@pytest.mark.services
@pytest.mark.parametrize(
    ("size", "said_of"), [("300k", "dvc status --json failed"), ("700k", "Prefect's server dies")]
)
def test_a_state_folder_without_room_is_said_in_seconds(tmp_path: Path, size: str, said_of: str) -> None:
    project = write_toy_chain(tmp_path / "project")
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "", "PREFECT_API_URL": ""}
    with mounted(project, f"size={size}", folder=".verdict3d") as inside:
        done = subprocess.run(
            [*inside, *RUN], cwd=project, env=environment, capture_output=True, text=True, check=False
        )
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in said, said
    assert said_of in said and "the disk is full" in said, said


ASSETS = """
from pathlib import Path
from flows.chain.dvc_stages import run_stage_through_dvc
from flows.chain.environment import make_project_environment
here = Path.cwd()
run_stage_through_dvc(
    "assets", root=here, environment=make_project_environment(here), say=print, log_file=here / "log"
)
"""


def test_a_cache_that_takes_nothing_fails_the_stage_and_says_so(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    command = [sys.executable, "-c", ASSETS]
    with mounted(project, "size=4k", folder=".dvc/cache") as inside:
        done = subprocess.run([*inside, *command], cwd=project, capture_output=True, text=True, check=False)
    assert "StageFailedError: assets: DVC's cache takes no results; make room for it" in done.stderr
    assert run_toy_stage(project, "assets") in ("ran", "up to date")


def test_writers_below_python_are_understood() -> None:
    class WriterError(Exception):
        """As safetensors and SQLite raise them."""

    assert "disk is full" in str(
        storage_problem(WriterError("I/O error: No space left on device (os error 28)"))
    )
    assert "disk is full" in str(storage_problem(WriterError("database or disk is full")))
    assert "no permission" in str(storage_problem(WriterError("attempt to write a readonly database")))
    assert storage_problem(WriterError("something else")) is None
    assert storage_problem(FileNotFoundError(2, "No such file", "x")) is None


@pytest.mark.services
def test_two_runs_in_one_checkout_do_not_meet(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project").resolve()
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "", "PREFECT_API_URL": ""}
    (project / "hold-assets").touch()
    with (tmp_path / "first.log").open("wb") as log:
        first = subprocess.Popen(RUN, cwd=project, env=environment, stdout=log, stderr=log)
    try:
        wait_until((project / "data/assets/whole").exists, "the stage to start")
        second = subprocess.run(
            RUN, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert second.returncode == 1
        assert f"another run holds this checkout: process {first.pid} on " in second.stderr
        (project / "hold-assets").unlink()
        assert first.wait(240) == 0, (tmp_path / "first.log").read_text()
    finally:
        first.kill()
        first.wait()
    third = subprocess.run(RUN, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert third.returncode == 0 and third.stdout.startswith("nothing changed")
