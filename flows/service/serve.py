"""``verdict3d serve``: the scheduled flow, with a Prefect server where none is configured, until a signal."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from flows.chain.environment import make_project_environment
from flows.chain.prefect_server import ADDRESS, KEY_FILE, find_server, run_prefect_server, wait_for_server
from tasks.tracking.store import mask_uri
from verdict3d.config import load_params
from verdict3d.errors import Verdict3DError
from verdict3d.processes.commands import supervised
from verdict3d.processes.signals import ending_at_signals
from verdict3d.project import STATE_FOLDER

POLL_S = 0.5


def serve_schedule(
    project: Path, *, pool: str | None, preset: str | None, port: int, say: Callable[[str], None]
) -> None:
    """Serve the scheduled flow of ``project`` until a signal.

    Args:
        project: The checkout.
        pool: Name of a work pool: deploy ``prefect.yaml`` to it and work for it. None: this process runs it.
        preset: Preset of the runs that are made from here.
        port: Port of the Prefect server, when ``PREFECT_API_URL`` names none.
        say: Prints a line for people.

    Raises:
        Verdict3DError: The server cannot be reached or started, or the serving process ended by itself.
    """
    schedule = load_params(project / "params.yaml").schedule
    environment = make_project_environment(project)
    gone = threading.Event()
    with ending_at_signals(), contextlib.ExitStack() as stack:
        if environment.get(ADDRESS):
            open_to_all = find_server(environment)
            if open_to_all is None:
                raise Verdict3DError(
                    f"no Prefect server answers at {ADDRESS}={mask_uri(environment[ADDRESS])}"
                )
            if open_to_all:
                say("this Prefect server wants no key: whoever can reach it can run commands as you, here")
        else:
            say("starting Prefect's server")
            key_file = Path(environment["PREFECT_HOME"]) / KEY_FILE
            log_file = project / STATE_FOLDER / "logs/prefect-server.log"
            own = run_prefect_server(project, environment, log_file, say, port=port, key_file=key_file)
            server = stack.enter_context(own)
            wait_for_server(server)
            say(f"its pages ask for the key in {key_file}")
            environment |= server.client
            gone = server.gone
        say(f"Prefect: {mask_uri(environment[ADDRESS]).removesuffix('/api')}")
        say(f"retraining at {schedule.cron} ({schedule.timezone}); Ctrl-C ends it")
        command = [sys.executable, "-m", "flows.service.schedule", str(project), pool or "", preset or ""]
        serving = stack.enter_context(supervised(command, cwd=project, environment=environment))
        while serving.poll() is None and not gone.is_set():
            time.sleep(POLL_S)
        raise Verdict3DError("the serving process ended by itself; what it printed says why")
