"""Lets DVC notice changes in a folder of meshes that lies outside the project.

The stage ``assets`` depends on ``data/meshes``. For another folder in ``assets.source`` a listing of it
(names, sizes, times) is kept there, as a hidden file.
"""

from __future__ import annotations

from pathlib import Path

from flows.chain.workspace import Workspace
from verdict3d.config import load_params
from verdict3d.provenance import digest_json
from verdict3d.records.files import read_json, write_json

WATCHED = Path("data/meshes")
PROCEDURAL = "procedural"


def watch_own_meshes(workspace: Workspace) -> None:
    """Refresh the listing of the folder that ``assets.source`` names, when it lies elsewhere."""
    source = load_params(workspace.root / "params.yaml").assets.source
    folder = (workspace.root / source).resolve()
    watched = (workspace.root / WATCHED).resolve()
    if source == PROCEDURAL or folder.is_relative_to(watched) or not folder.is_dir():
        return
    files = [path for path in folder.rglob("*") if path.is_file()]
    stats = {path.relative_to(folder).as_posix(): path.stat() for path in sorted(files)}
    listing = {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}
    target = watched / f".watched-{digest_json(str(folder))[:12]}.json"
    if not target.is_file() or read_json(target) != listing:
        write_json(target, listing)
