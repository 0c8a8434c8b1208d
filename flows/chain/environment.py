"""The environment of a run: nothing reports home, loopback is reached directly, caches stay in the project.

Everything that a run writes lies in the project, with one exception: models from the Hugging Face hub, which
other projects share, go where ``HF_HOME`` says (``~/.cache/huggingface``).

This module imports no package, because Prefect, MLflow and DVC read these variables when they are imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from verdict3d.errors import Verdict3DError

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

CACHES = {
    "U2NET_HOME": "rembg",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    "CUDA_CACHE_PATH": "cuda",
    "MESA_SHADER_CACHE_DIR": "mesa",
    "MPLCONFIGDIR": "matplotlib",
}
"""Folders below ``.verdict3d/cache`` for packages that would write to the home folder or ``/tmp``."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


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


def protect_state(project: Path) -> None:
    """Make the folder for state, or take it back from others: it holds keys, logs and pickles of packages."""
    state = project / STATE_FOLDER
    state.mkdir(mode=0o700, exist_ok=True)
    (state / "cache").mkdir(exist_ok=True)  # Mesa makes the last folder of its place only, and complains
    if state.stat().st_mode & 0o077:
        state.chmod(0o700)


def place_caches(project: Path) -> dict[str, str]:
    """Return the variables that keep the caches of packages in ``project``."""
    return {name: str(project / STATE_FOLDER / "cache" / folder) for name, folder in CACHES.items()}


def exempt_loopback(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that keep loopback off any proxy, beside what ``environment`` exempts already."""
    exempt = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    named = [name.strip() for name in exempt.split(",") if name.strip()]
    value = ",".join(dict.fromkeys([*named, *LOOPBACK]))
    return {"no_proxy": value, "NO_PROXY": value}
