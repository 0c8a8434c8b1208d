"""A scheduled run acts on the gate's decision: once, and also on one that a killed run has left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from flows.chain.environment import make_project_environment
from flows.chain.prefect_server import run_prefect_server
from support.loopback import processes_of, wait_until, webhook
from support.toy_chain import ARM, write_deciding_chain
from verdict3d.records.differences import Difference
from verdict3d.records.record import read_record
from verdict3d.run_keys import run_key

RETRAIN = """
from flows.service.retrain import retrain
state = retrain(return_state=True)
print(state.name, state.message)
"""


@pytest.mark.services
@pytest.mark.usefixtures("prefect_home")
def test_a_decision_left_behind_by_a_killed_run_is_acted_on_once(tmp_path: Path) -> None:
    project = write_deciding_chain(tmp_path / "project")
    command = [sys.executable, "-c", RETRAIN]
    with webhook() as (address, heard):
        environment = make_project_environment(project) | {"VERDICT3D_WEBHOOK": address}
        environment.pop("MLFLOW_TRACKING_URI", None)

        def retrained() -> str:
            done = subprocess.run(
                command, cwd=project, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout.strip()

        with run_prefect_server(tmp_path, environment, tmp_path / "server.log", print) as server:
            environment |= server.client
            with (tmp_path / "killed.log").open("wb") as log:
                killed = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)
            wait_until(
                lambda: (
                    killed.poll() is not None
                    or any(
                        "-m tasks.registry.promotion promote" in found
                        for found in processes_of(project).values()
                    )
                ),
                "the run to act on the decision",
            )
            os.kill(killed.pid, signal.SIGKILL)
            assert killed.wait() == -signal.SIGKILL, (tmp_path / "killed.log").read_text()
            wait_until(lambda: not processes_of(project), "every process to end", 30)
            assert (project / "data/gate/decision.json").exists() and heard == []

            assert retrained().startswith("Completed")
            assert [message["event"] for message in heard] == ["decision", "retrained"]
            assert (heard[0]["decision"], heard[0]["moved"]) == ("REJECT", False)
            store = f"sqlite:///{project}/mlflow.db"
            runs = MlflowClient(store).search_runs(["1"], f"tags.`decision.{ARM}` = 'REJECT'")
            assert len(runs) == 1

            assert retrained() == "Skipped no asset, parameter or code has changed"
            assert len(heard) == 2

            text = (project / "params.yaml").read_text()
            (project / "params.yaml").write_text(text.replace("\nseed: ", "\nseed: 7"))
            assert retrained().startswith("Completed")
            compared = MlflowClient(store).search_runs(["1"], f"tags.`dvc.lock` = '{run_key(project)}'")
            (whole,) = (run for run in compared if "mlflow.parentRunId" not in run.data.tags)
            kept = read_record(project / whole.info.artifact_uri / "difference/difference.json", Difference)
            assert [one.name for one in kept.parameters] == ["seed"]
            assert (project / whole.info.artifact_uri / "difference/index.html").is_file()
