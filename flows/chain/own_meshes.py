"""Lets DVC notice changes in a folder of meshes that lies outside the project.

The stage ``assets`` depends on ``data/meshes``, which presets share, and on ``data/watched``, which every
workspace has for itself: a listing (names, sizes, times) of another folder in ``assets.source``, or of links
that lead out of ``data/meshes``, which DVC does not follow.
"""

from __future__ import annotations

from flows.chain.workspace import write_if_changed
from tasks.paths import MESHES, WATCHED_LISTING
from verdict3d.config import load_params
from verdict3d.errors import Verdict3DError
from verdict3d.folders import files_below, readable
from verdict3d.project import Workspace
from verdict3d.records.files import format_json

PROCEDURAL = "procedural"


def watch_own_meshes(workspace: Workspace) -> None:
    """Refresh the listing of the folder that ``assets.source`` names; remove it when none is needed.

    Raises:
        Verdict3DError: DVC cannot take a name in ``data/meshes``.
    """
    for path in (workspace.root / MESHES).rglob("*"):
        if readable(str(path)) != str(path):
            raise Verdict3DError(
                f"the name {readable(str(path))!r} is not UTF-8, which DVC cannot take; rename it, or move "
                "the meshes to another folder and name that in assets.source"
            )
    source = load_params(workspace.root / "params.yaml").assets.source
    folder, target = (workspace.root / source).resolve(), workspace.root / WATCHED_LISTING
    meshes, files = (workspace.root / MESHES).resolve(), list(files_below(folder))
    inside = all(path.resolve().is_relative_to(meshes) for path in (folder, *files))
    if source == PROCEDURAL or inside or not folder.is_dir():
        target.unlink(missing_ok=True)
        return
    stats = {readable(path.relative_to(folder).as_posix()): path.stat() for path in files}
    listing = {name: [stats[name].st_size, stats[name].st_mtime_ns] for name in sorted(stats)}
    write_if_changed(target, format_json(listing))
