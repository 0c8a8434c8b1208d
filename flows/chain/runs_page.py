"""Addresses of MLflow's pages of runs."""

from __future__ import annotations

import json
from urllib.parse import quote, urlsplit

import httpx

from flows.chain.asking import ask_within
from flows.chain.tracking_step import find_recorded
from tasks.tracking.outbox import EXPERIMENT
from tasks.tracking.store import read_tracking_uri
from verdict3d.errors import Verdict3DError
from verdict3d.processes.environment import LOOPBACK
from verdict3d.project import Workspace

ANSWER_S = 30.0
MOST_BYTES = 2**20


def find_runs_page(server: str, preset: str | None, run: str | None = None) -> str:
    """Return the address of the runs on a server: past the view for language models that MLflow opens first.

    Args:
        server: Address of the server.
        preset: Show the runs of this preset only.
        run: Show the page of the run with this id instead.

    Raises:
        Verdict3DError: The server does not answer, or not as MLflow's does.
    """
    parts = urlsplit(server)
    here = parts.hostname in LOOPBACK  # never through a proxy
    question = f"{server}/api/2.0/mlflow/experiments/get-by-name"
    server = parts._replace(
        netloc=parts.netloc.rpartition("@")[2]
    ).geturl()  # the browser asks for a password
    try:
        status, content = ask_within(
            ANSWER_S,
            "GET",
            question,
            params={"experiment_name": EXPERIMENT},
            trust_env=not here,
            most_bytes=MOST_BYTES,
        )
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise Verdict3DError(f"MLflow at {server} does not answer ({type(error).__name__})") from error
    if not 200 <= status < 300:
        return f"{server}/#/experiments"
    try:
        experiment = json.loads(content)["experiment"]["experiment_id"]
    except (ValueError, KeyError, TypeError) as error:
        raise Verdict3DError(f"{server} does not answer as MLflow does; is it MLflow's server?") from error
    if run is not None:
        return f"{server}/#/experiments/{experiment}/runs/{run}?workflowType=machine_learning"
    wanted = f"tags.preset = '{preset}'"
    only = f"&searchFilter={quote(wanted)}" if preset else ""
    return f"{server}/#/experiments/{experiment}/runs?workflowType=machine_learning{only}"


def find_page_of_results(workspace: Workspace) -> str | None:
    """Return the address of the run of the results here; None where no server shows it."""
    store = read_tracking_uri()
    if urlsplit(store).scheme not in ("http", "https"):
        return None
    try:
        return find_runs_page(store.rstrip("/"), workspace.preset, find_recorded(workspace))
    except Verdict3DError:  # it has not arrived, or the server has gone meanwhile
        return None
