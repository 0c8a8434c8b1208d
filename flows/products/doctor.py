"""Is this environment ready for a run? What the pipeline needs beside the library."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from verdict3d.products.doctor import Check, Checks

ASKING_S = 120.0


def list_checks(project: Path, shell: Mapping[str, str]) -> Checks:
    """Yield what a run needs beside the library.

    Args:
        project: The checkout.
        shell: The environment in which the user starts programs.
    """
    yield "packages", lambda: _check_packages(project)
    yield "telemetry", lambda: _check_telemetry(project, shell)


def _check_packages(project: Path) -> Check:
    lock = project / "requirements.lock"
    if not lock.is_file():
        return Check("packages", False, f"{lock} is missing; restore it")
    lines = lock.read_text(encoding="utf-8").splitlines()
    listed = [Requirement(line.rstrip(" \\")) for line in lines if line and not line.startswith((" ", "#"))]
    pins = [one for one in listed if one.marker is None or one.marker.evaluate()]
    wrong = []
    for pin in pins:
        try:
            have = version(pin.name).partition("+")[0]
        except PackageNotFoundError:
            have = "missing"
        if have not in pin.specifier:
            wrong.append(f"{pin.name} {have} instead of {str(pin.specifier).lstrip('=')}")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        return Check("packages", False, f"{', '.join(wrong[:5])}{more}; type `make install`")
    return Check("packages", True, f"all {len(pins)} as in requirements.lock")


def _check_telemetry(project: Path, shell: Mapping[str, str]) -> Check:
    """Ask the packages, in the user's shell: a run switches them off, a command by hand may not."""
    command = [sys.executable, "-m", "flows.products.telemetry"]
    asked = subprocess.run(
        command, cwd=project, env=dict(shell), capture_output=True, text=True, check=True, timeout=ASKING_S
    )
    reporting = json.loads(asked.stdout)
    if not reporting:
        return Check("telemetry", True, "off, also for what you start by hand", needed=False)
    names, are = ", ".join(reporting), "reports" if len(reporting) == 1 else "report"
    return Check(
        "telemetry",
        False,
        f"off in all that `verdict3d` starts, but {names} {are} usage when you start it from this shell by "
        "hand; type `export DO_NOT_TRACK=true`",
        needed=False,
    )
