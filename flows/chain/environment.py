"""The environment of a run, which adds to that of every process what the pipeline's packages read.

Everything that a run writes lies in the project, with one exception: models from the Hugging Face hub, which
other projects share, go where ``HF_HOME`` says (``~/.cache/huggingface``).

This module imports no package, because Prefect, MLflow and DVC read these variables when they are imported.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from verdict3d.errors import Verdict3DError
from verdict3d.processes.environment import TELEMETRY_OFF, exempt_loopback, place_caches
from verdict3d.project import STATE_FOLDER

HEARTBEAT_S = 30
"""How often a run tells the server that it lives; ``prefect.yaml`` says the same to a pool's workers."""

DEFAULTS = {
    # Prefect starts no server by itself: it would answer everybody on this machine
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
    # a run that stops sending these was killed; flows/service/schedule.py tells the server what to do then
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_FORMATTERS_STANDARD_FORMAT": "%(message)s",
    "PREFECT_LOGGING_FORMATTERS_STANDARD_FLOW_RUN_FMT": "%(message)s",
    "PREFECT_LOGGING_FORMATTERS_STANDARD_TASK_RUN_FMT": "%(task_run_name)-28s %(message)s",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # an unreachable tracking server is noticed in seconds instead of minutes; the run is kept and sent later
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Values that a user's own environment overrides."""


def make_project_environment(project: Path) -> dict[str, str]:
    """Return a copy of the environment for the processes of a run of ``project``.

    The interpreter's own folder comes first on PATH: ``python`` in ``dvc.yaml`` is this environment's.

    Raises:
        Verdict3DError: Another user works in this checkout.
    """
    state = project / STATE_FOLDER
    if state.exists() and os.geteuid() not in (0, state.stat().st_uid):
        raise Verdict3DError(f"{state} belongs to another user; use a checkout of your own")
    environment = {
        **DEFAULTS,
        "VERDICT3D_PROJECT": str(project),
        "PREFECT_HOME": str(state / "prefect"),
        "DVC_SITE_CACHE_DIR": str(state / "dvc"),
        **place_caches(project),
        **os.environ,
        **TELEMETRY_OFF,
        **exempt_loopback(os.environ),
        "PYTHONUNBUFFERED": "1",
        "SHELL": "/bin/sh",  # DVC runs stages with it; a service user's shell may refuse
    }
    binaries = str(Path(sys.executable).parent)
    path = environment.get("PATH", os.defpath)
    if path.split(os.pathsep)[0] != binaries:
        environment["PATH"] = os.pathsep.join([binaries, path])
    return environment
