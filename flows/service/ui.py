"""``verdict3d ui``: MLflow's pages of the recorded runs, on loopback, without telemetry, until a signal."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from flows.chain.environment import make_project_environment
from flows.chain.runs_page import find_runs_page
from flows.service.services import run_mlflow_server
from tasks.tracking.store import EMBEDDED_STORE
from verdict3d.errors import Verdict3DError
from verdict3d.processes.signals import ending_at_signals
from verdict3d.project import STATE_FOLDER

USUAL_PORT = 5000
POLL_S = 0.5


def show_runs(
    project: Path,
    preset: str | None,
    port: int | None,
    say: Callable[[str], None],
    open_page: Callable[[str], object] | None,
    run: str | None = None,
) -> None:
    """Serve MLflow's pages until a signal and say where the runs are; of a server that runs, only say it.

    Args:
        project: The checkout.
        preset: Show the runs of this preset; None: all runs.
        port: Port on 127.0.0.1; None: 5000, or a free one where that is in use.
        say: Prints a line for people.
        open_page: Opens an address in the browser; None: nothing is opened.
        run: Show the page of the run with this id; None: the list.

    Raises:
        Verdict3DError: Nothing has been recorded, the port is in use, or the server does not start or ends.
    """
    environment = make_project_environment(project)
    store = environment.get("MLFLOW_TRACKING_URI") or EMBEDDED_STORE

    def show(server: str) -> None:
        address = find_runs_page(server, preset, run)
        say(address)
        if open_page:
            open_page(address)

    if urlsplit(store).scheme in ("http", "https"):
        show(store.rstrip("/"))
        return
    if store == EMBEDDED_STORE and not (project / "mlflow.db").exists():
        raise Verdict3DError(
            f"no run is recorded in {project / 'mlflow.db'} yet; `verdict3d run` records one"
        )
    port = port or find_free_port()
    folder = project / STATE_FOLDER / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    with ending_at_signals(), contextlib.ExitStack() as stack:
        say("starting MLflow's pages")
        served = run_mlflow_server(
            project, port, environment, store, artifacts=project / "mlruns", log_file=folder / "mlflow-ui.log"
        )
        process = stack.enter_context(served)
        show(f"http://127.0.0.1:{port}")
        say("Ctrl-C ends it")
        while process.poll() is None:
            time.sleep(POLL_S)
        raise Verdict3DError(f"MLflow's pages ended by themselves; {folder / 'mlflow-ui.log'} says why")


def find_free_port() -> int:
    """Return the usual port, or a free one where something listens there."""
    for port in (USUAL_PORT, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Verdict3DError("no port is free on 127.0.0.1")
