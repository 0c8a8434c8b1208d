"""The environment every run starts from: nothing reports home, nothing is written outside the project.

This module imports the standard library only, because Prefect, MLflow and DVC read these variables when they
are imported.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

STATE_FOLDER = ".verdict3d"

TELEMETRY_OFF = {
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Every switch against phoning home of the packages in use; these win over what the shell has set."""

DEFAULTS = {
    # a fresh server migrates its database first, which takes most of the default 20 s on two busy cores
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    # a run that stops sending these was killed; flows/service/schedule.py tells the server what to do then
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
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


def project_environment(project: Path) -> dict[str, str]:
    """Return a copy of the environment for the processes of a run of ``project``.

    The interpreter's own folder comes first on PATH: ``python`` in ``dvc.yaml`` is this environment's.
    """
    state = project / STATE_FOLDER
    environment = {
        **DEFAULTS,
        "VERDICT3D_PROJECT": str(project),
        "PREFECT_HOME": str(state / "prefect"),
        "DVC_SITE_CACHE_DIR": str(state / "dvc"),
        **os.environ,
        **TELEMETRY_OFF,
        "PYTHONUNBUFFERED": "1",
        "SHELL": "/bin/sh",  # DVC runs stages with it; a service user's shell may refuse
    }
    binaries = str(Path(sys.executable).parent)
    path = environment.get("PATH", os.defpath)
    if path.split(os.pathsep)[0] != binaries:
        environment["PATH"] = os.pathsep.join([binaries, path])
    return environment
