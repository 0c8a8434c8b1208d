"""A real Prefect server: its empty database, its API over HTTP, and the scheduled flow's deployment on it."""

from __future__ import annotations

import base64
import json
import sqlite3
import time
import urllib.error
import urllib.request
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from flows.chain.environment import make_project_environment
from flows.chain.prefect_server import run_prefect_server, wait_for_server
from support.loopback import wait_until
from support.places import ROOT

ANSWER_S = 30.0
ASK_S = 1.0
"""Between questions to a server that is waited for: asked five times a second it does little else."""
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def make_prefect_database(folder: Path) -> None:
    """Make ``folder`` with ``empty.db`` in it, the database of a server that has only been started."""
    folder.mkdir()
    environment = make_project_environment(folder) | {"PREFECT_HOME": str(folder)}
    with run_prefect_server(folder, environment, folder / "server.log", print) as server:
        wait_for_server(server)
    with (
        closing(sqlite3.connect(folder / "prefect.db")) as used,
        closing(sqlite3.connect(folder / "empty.db")) as empty,
    ):
        used.backup(empty)


class PrefectApi:
    """Asks the server at ``url`` (with ``/api``) with its key, again where Prefect's own client would.

    All that is asked may be asked twice.
    """

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.headers = {"Content-Type": "application/json"}
        self.headers |= {"Authorization": f"Basic {base64.b64encode(key.encode()).decode()}"}

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self.headers, method=method)
        for tries_left in reversed(range(10)):
            try:
                with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
                    text = answer.read()
                return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                if error.code != 503 or not tries_left:  # 503: its database is locked, "try again"
                    raise
            except TimeoutError:
                if not tries_left:
                    raise
            time.sleep(1.0)

    def deploy(self) -> None:
        """Put the scheduled flow on the server as ``prefect.yaml`` says, without schedule and pool."""
        (told,) = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
        flow = self.ask("/flows/", {"name": "retrain"})["id"]
        chosen = {name: told[name] for name in ("name", "entrypoint", "parameters")}
        self.ask("/deployments/", {"flow_id": flow, "path": ".", **chosen})

    def deployment(self) -> str | None:
        found = self.ask("/deployments/filter", {"deployments": {"name": {"any_": ["retrain"]}}})
        return found[0]["id"] if found else None

    def pause(self) -> None:
        """End the schedule and take back runs that have not started."""
        self.ask(f"/deployments/{self.deployment()}/pause_deployment", {})

    def start_run(self) -> str:
        once = {"state": {"type": "SCHEDULED"}, "idempotency_key": uuid.uuid4().hex}
        return str(self.ask(f"/deployments/{self.deployment()}/create_flow_run", once)["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(f"/flow_runs/{run_id}")
        return found

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs of the deployment, the earliest first."""
        where = {"deployments": {"name": {"any_": ["retrain"]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found: list[dict[str, Any]] = self.ask("/flow_runs/filter", where)
        return found

    def wait_for_end(self, run_id: str, limit_s: float = 240.0) -> dict[str, Any]:
        """Return the state in which a run ended."""

        def ended() -> dict[str, Any] | None:
            state: dict[str, Any] = self.run(run_id)["state"]
            return state if state["type"] in ENDED else None

        found: dict[str, Any] = wait_until(ended, f"run {run_id} to end", limit_s, ASK_S)
        return found

    def set_state(self, run_id: str, kind: str) -> None:
        self.ask(f"/flow_runs/{run_id}/set_state", {"state": {"type": kind}, "force": False})

    def task_runs(self) -> dict[str, int]:
        """Return how often each stage of the last chain was tried, by name."""
        found = self.ask("/task_runs/filter", {"sort": "EXPECTED_START_TIME_ASC"})
        return {run["name"]: run["run_count"] for run in found}

    def artifacts(self) -> set[str]:
        return {found["key"] for found in self.ask("/artifacts/latest/filter", {})}
