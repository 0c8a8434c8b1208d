"""Is this machine ready? One line for each thing a run needs."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from verdict3d.config import load_params
from verdict3d.errors import Verdict3DError
from verdict3d.products.doctor_models import examine_memory, examine_models
from verdict3d.project import Workspace

FREE_GIB = 5.0


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


Checks = Iterator[tuple[str, Callable[[], Check]]]
"""Names of checks, and what makes them."""


def list_checks(workspace: Workspace) -> Checks:
    """Yield what the library needs: Python, models, memory, a renderer.

    Args:
        workspace: Whose parameters and models.
    """
    yield "python", _check_python
    yield "parameters", lambda: _check_parameters(workspace)
    yield "checkpoints", lambda: _check_checkpoints(workspace)
    yield "memory", lambda: _check_memory(workspace)
    yield "opengl", _check_opengl
    yield "gpu", _check_gpu
    yield "disk", lambda: _check_disk(workspace.project)


def examine(checks: Iterable[tuple[str, Callable[[], Check]]]) -> Iterator[Check]:
    """Yield one finding after the other; none of them raises."""
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
