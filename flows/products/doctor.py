"""Is this machine ready? One line for each thing a run needs."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from flows.chain.workspace import Workspace
from flows.products.doctor_models import examine_memory, examine_models
from verdict3d.config import load_params
from verdict3d.errors import Verdict3DError

FREE_GIB = 5.0
ASKING_S = 120.0
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^;\s]+)")


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: What was looked at.
        ok: Whether it is as it should be.
        detail: What was found, and where it is not well what to do.
        needed: Whether a run needs it to be.
    """

    name: str
    ok: bool
    detail: str
    needed: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return asdict(self)


def examine(workspace: Workspace, shell: Mapping[str, str]) -> Iterator[Check]:
    """Yield one finding after the other; none of them raises.

    Args:
        workspace: Where a run would take place.
        shell: The environment in which the user starts programs.
    """
    project = workspace.project
    checks: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("python", _check_python),
        ("packages", lambda: _check_packages(project)),
        ("parameters", lambda: _check_parameters(workspace)),
        ("checkpoints", lambda: _check_checkpoints(workspace)),
        ("memory", lambda: _check_memory(workspace)),
        ("opengl", _check_opengl),
        ("gpu", _check_gpu),
        ("disk", lambda: _check_disk(project)),
        ("telemetry", lambda: _check_telemetry(project, shell)),
    )
    unreadable = False
    for name, check in checks:
        if unreadable and name in ("checkpoints", "memory"):
            continue  # they are about params.yaml, and what is wrong with it has been said
        try:
            found = check()
        except Exception as error:  # a broken package must not hide the other findings
            found = Check(name, False, f"{type(error).__name__}: {error}")
        unreadable |= name == "parameters" and not found.ok
        yield found


def _check_python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    return Check("python", sys.version_info >= (3, 11), f"{found}; 3.11 or newer is needed")


def _check_packages(project: Path) -> Check:
    lock = project / "requirements.lock"
    if not lock.is_file():
        return Check("packages", False, f"{lock} is missing; restore it")
    wrong = []
    lines = lock.read_text(encoding="utf-8").splitlines()
    pins = [match.groups() for line in lines if (match := _PIN.match(line))]
    for name, wanted in pins:
        try:
            have = version(name).partition("+")[0]
        except PackageNotFoundError:
            have = "missing"
        if have != wanted:
            wrong.append(f"{name} {have} instead of {wanted}")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        return Check("packages", False, f"{', '.join(wrong[:5])}{more}; type `make install`")
    return Check("packages", True, f"all {len(pins)} as in requirements.lock")


def _check_parameters(workspace: Workspace) -> Check:
    try:
        load_params(workspace.root / "params.yaml")
    except Verdict3DError as error:
        return Check("parameters", False, str(error))
    return Check("parameters", True, "params.yaml fits")


def _check_checkpoints(workspace: Workspace) -> Check:
    findings = examine_models(load_params(workspace.root / "params.yaml"), workspace.root)
    detail = "; ".join(f"{finding.role} {finding.detail}" for finding in findings)
    return Check("checkpoints", all(finding.ok for finding in findings), detail)


def _check_memory(workspace: Workspace) -> Check:
    findings = examine_models(load_params(workspace.root / "params.yaml"), workspace.root)
    return Check("memory", *examine_memory(findings))


def _check_opengl() -> Check:
    from verdict3d.render.context import shared_context

    info = shared_context().info
    return Check("opengl", True, f"{info['GL_RENDERER']}, OpenGL {info['GL_VERSION']}")


def _check_gpu() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check(
            "gpu", True, f"none, the {os.cpu_count()} CPU cores are used (torch {torch.__version__})"
        )
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30
    return Check("gpu", True, f"{torch.cuda.get_device_name()}, {memory:.0f} GiB (torch {torch.__version__})")


def _check_disk(project: Path) -> Check:
    free = shutil.disk_usage(project).free / 2**30
    return Check("disk", free >= FREE_GIB, f"{free:.0f} GiB free, {FREE_GIB:.0f} are enough")


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
