"""Where a run takes place: the project itself, or for a preset a folder of links beside it.

DVC reads ``params.yaml``, so a preset needs a ``params.yaml`` of its own. It gets one in
``.verdict3d/presets/<name>``, next to links to the project's code, checkpoints and meshes: the project's own
parameters and results stay untouched, every preset keeps its results, and all share one DVC cache.
"""

from __future__ import annotations

import os
import re
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.paths import CHAMPION, GENERATORS, LORAS, MESHES, VOTES, WATCHED
from verdict3d.config import load_params
from verdict3d.errors import Verdict3DError
from verdict3d.project import CHECKPOINTS, STATE_FOLDER, Workspace
from verdict3d.records.files import write_bytes
from verdict3d.records.yaml_files import format_yaml, read_yaml

_NAME = r"[a-z0-9][a-z0-9_-]{0,63}"
PRESET = rf"{_NAME}(\+{_NAME})*"
"""What a preset may be called: names of files in ``presets``, joined by ``+``."""
LINKED = (
    "dvc.yaml",
    ".dvcignore",
    ".dvc/plots",
    "tasks",
    "verdict3d",
    "examples",
    str(CHECKPOINTS),
    str(MESHES),
    str(LORAS),
    str(GENERATORS),
    str(WATCHED / "README.md"),  # each preset has a source and a champion of its own
    str(CHAMPION / "README.md"),
    str(VOTES / "README.md"),
)


CHOOSING = ("kind", "method")
"""Names that say which fields a mapping has."""


def open_workspace(project: Path, preset: str | None = None) -> Workspace:
    """Return the workspace of ``preset``, making or refreshing its folder.

    Args:
        project: The checkout.
        preset: A name in ``presets``, or several joined by ``+``, laid over one another in this order.

    Raises:
        Verdict3DError: The name is none, the preset does not exist, or with it the parameters do not fit.
    """
    if preset is None:
        return Workspace(project, project, None)
    if not re.fullmatch(PRESET, preset):
        raise Verdict3DError(
            f"{reprlib.repr(preset)} is no preset: give the name of a file in presets, without .yaml and of "
            "at most 64 lower-case letters, digits, _ and -, or several joined by +"
        )
    overlays = [project / "presets" / f"{name}.yaml" for name in preset.split("+")]
    for path in overlays:
        if not path.is_file():
            known = ", ".join(sorted(path.stem for path in (project / "presets").glob("*.yaml"))) or "none"
            raise Verdict3DError(
                f"no preset {path.stem!r}: presets/{path.name} is missing; there are: {known}"
            )
    workspace = Workspace(project, project / STATE_FOLDER / "presets" / preset, preset)
    write_if_changed(workspace.root / "params.yaml", _overlay_params(project, overlays))
    load_params(workspace.root / "params.yaml")
    link_project(workspace.root, project)
    write_if_changed(workspace.root / ".dvc/config", (project / ".dvc/config").read_bytes())
    cache = os.path.relpath(project / ".dvc/cache", workspace.root / ".dvc")
    write_if_changed(workspace.root / ".dvc/config.local", f"[cache]\n    dir = {cache}\n".encode())
    return workspace


def link_project(root: Path, project: Path) -> None:
    """Link what a run in ``root`` shares with ``project``: code, checkpoints, meshes."""
    for name in LINKED:
        _link(root / name, project / name)


def overlay(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` with ``changes`` laid over them: mappings merge, everything else replaces.

    A mapping of another ``kind`` or ``method`` has other fields, and replaces too.
    """
    if any(name in changes and changes[name] != values.get(name) for name in CHOOSING):
        return changes
    merged = dict(values)
    for key, change in changes.items():
        old = merged.get(key)
        merged[key] = overlay(old, change) if isinstance(old, dict) and isinstance(change, dict) else change
    return merged


def name_uncertified(preset: str | None) -> str:
    """Return the preset that also lets judges go on which failed their audit."""
    return f"{preset}+uncertified" if preset else "uncertified"


def _overlay_params(project: Path, overlays: Sequence[Path]) -> bytes:
    values: dict[str, Any] = {}
    for path in [project / "params.yaml", *overlays]:
        changes = read_yaml(path)
        if not isinstance(changes, dict | None):
            raise Verdict3DError(f"{path} holds a {type(changes).__name__}; expected sections of parameters")
        values = overlay(values, changes or {})
    names = ", then ".join(f"presets/{path.name}" for path in overlays)
    head = f"# params.yaml with {names} laid over it; rewritten before every run"
    return f"{head}\n{format_yaml(values)}".encode()


def write_if_changed(path: Path, content: bytes) -> None:
    """Write ``content`` unless it is there already: DVC sees changes by a file's time."""
    if not path.is_file() or path.read_bytes() != content:
        write_bytes(path, content)


def _link(link: Path, target: Path) -> None:
    """Make ``link`` a relative symbolic link to ``target``, so that the project can be moved as a whole."""
    wanted = os.path.relpath(target, link.parent)
    if link.is_symlink() and str(link.readlink()) == wanted:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(wanted)
