"""MLflow and Prefect on a real PostgreSQL: used, lost in the middle of a run, and there again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.chain.prefect_server import KEY, KEY_FILE
from flows.service.services import find_postgres
from support.loopback import answers, free_port, processes_of, wait_until
from support.prefect_api import PrefectApi
from support.toy_chain import ARM, write_toy_chain
from verdict3d.errors import Verdict3DError

CLI = [sys.executable, "-m", "verdict3d"]


class Services:
    """`verdict3d services` with ports of its own, started and stopped as often as wanted."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.project, self.folder = project, folder
        self.ports = [free_port() for _ in range(3)]
        self.mlflow = f"http://127.0.0.1:{self.ports[1]}"
        self.prefect = f"http://127.0.0.1:{self.ports[2]}/api"
        self.environment = {**os.environ, "MLFLOW_TRACKING_URI": self.mlflow, "PREFECT_API_URL": self.prefect}
        # without a server a run gives up in seconds, as it would by default in minutes
        self.environment |= {"PREFECT_CLIENT_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}

    def take_key(self) -> None:
        """Put the key that the services have made into the environment."""
        key_file = self.folder / KEY_FILE
        assert key_file.stat().st_mode & 0o777 == 0o600
        self.environment[KEY] = key_file.read_text()

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        names = ("--postgres-port", "--mlflow-port", "--prefect-port")
        options = [word for name, port in zip(names, self.ports, strict=True) for word in (name, str(port))]
        with (self.folder / "services.log").open("ab") as log:
            process = subprocess.Popen(
                [*CLI, "services", "--folder", str(self.folder), *options],
                cwd=self.project,
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(
                lambda: (
                    process.poll() is not None
                    or (answers(f"{self.prefect}/health") and answers(f"{self.mlflow}/health"))
                ),
                "the services",
                300,
            )
            said = (self.folder / "services.log").read_text()
            assert process.poll() is None, said
            self.take_key()
            assert self.environment[KEY] not in said
            yield process
        finally:
            process.terminate()
            process.wait(60)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CLI, *arguments],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )

    def mlflow_runs(self) -> list[dict[str, Any]]:
        """Return the runs that MLflow holds, without those of arms."""

        def ask(path: str, body: Any = None) -> Any:
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(
                f"{self.mlflow}/api/2.0/mlflow/{path}", data, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())

        found = ask("experiments/get-by-name?experiment_name=verdict3d")["experiment"]
        runs = ask("runs/search", {"experiment_ids": [found["experiment_id"]]}).get("runs", [])
        assert all(run["info"]["status"] == "FINISHED" for run in runs)
        tags = [{tag["key"]: tag["value"] for tag in run["data"]["tags"]} for run in runs]
        parents = [tag for tag in tags if "mlflow.parentRunId" not in tag]
        assert len(tags) == 2 * len(parents)  # every run has the one of its arm
        return parents


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    project = write_toy_chain(tmp_path / "project").resolve()
    folder = Path(tempfile.mkdtemp(prefix="verdict3d-services-"))
    folder.chmod(0o711)  # root runs PostgreSQL as another user, who must get through
    try:
        find_postgres()
    except Verdict3DError as error:
        pytest.skip(str(error))
    yield Services(project, folder)
    shutil.rmtree(folder)


def half_done(project: Path) -> bool:
    path = project / "data/assets/whole"
    return path.is_file() and path.read_text() == "half"


def set_seed(project: Path, seed: int) -> None:
    values = yaml.safe_load((project / "params.yaml").read_text())
    (project / "params.yaml").write_text(yaml.safe_dump(values | {"seed": seed}, sort_keys=False))


@pytest.mark.services
@pytest.mark.timeout(1200)
def test_a_team_s_servers_are_used_lost_and_made_up_for(services: Services) -> None:
    project = services.project
    with services.running():
        done = services.call("run")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"recorded in MLflow ({services.mlflow})" in done.stdout + done.stderr
        page = re.search(r"^run:    (\S+)/#/experiments/(\d+)/runs/(\w+)", done.stdout, re.MULTILINE)
        assert page is not None and page[1] == services.mlflow
        assert f"recorded in MLflow ({services.mlflow}) as run {page[3]}" in done.stdout + done.stderr
        assert len(services.mlflow_runs()) == 1
        assert list((services.folder / "artifacts").rglob("adapter_model.safetensors"))
        api = PrefectApi(services.prefect, services.environment[KEY])
        (flow_run,) = api.ask("/flow_runs/filter", {})
        assert flow_run["state"]["type"] == "COMPLETED" and api.task_runs()[f"train@{ARM}"] == 1
        assert not (project / "mlflow.db").exists()

        set_seed(project, 2)
        (project / "hold-assets").touch()
        log = (services.folder / "run.log").open("wb")
        lost = subprocess.Popen([*CLI, "run"], cwd=project, env=services.environment, stdout=log, stderr=log)
        try:
            wait_until(lambda: half_done(project), "the stage to start")
        except BaseException:
            lost.kill()
            raise
    (project / "hold-assets").unlink()  # both servers are gone in the middle of the run
    assert lost.wait(400) == 0, (services.folder / "run.log").read_text()
    log.close()
    spool = project / ".verdict3d/spool"
    assert len(list(spool.glob("*/record.json"))) == 1

    with services.running():
        assert len(services.mlflow_runs()) == 1
        assert services.call("sync").returncode == 0
        keys = [tags["dvc.lock"] for tags in services.mlflow_runs()]
        assert len(keys) == len(set(keys)) == 2
    assert not list(spool.glob("*/record.json")) and processes_of(project) == {}


def test_services_say_what_is_in_the_way(tmp_path: Path) -> None:
    import socket

    from flows.service.services import Ports, run_services

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = Ports(postgres=taken.getsockname()[1])
        try:
            find_postgres()
        except Verdict3DError:
            expected = "PostgreSQL is missing"
        else:
            expected = "choose another one for PostgreSQL"
        with pytest.raises(Verdict3DError, match=expected):
            run_services(tmp_path, tmp_path / "services", ports, lambda line: None)
