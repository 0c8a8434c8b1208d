"""What every process gets: nothing reports home, loopback is reached directly, caches stay in the project.

This module imports no package, because packages read these variables when they are imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from verdict3d.project import STATE_FOLDER

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
