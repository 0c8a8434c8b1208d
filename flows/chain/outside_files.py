"""Lets DVC notice changes in files of generators that are not ours, and lie outside ``data/generators``.

The stage ``identity`` depends on ``data/generators``, which presets share, and on ``data/watched``, where
every workspace has a listing (names, sizes, times) of such files elsewhere.
"""

from __future__ import annotations

from pathlib import Path

from flows.chain.workspace import write_if_changed
from tasks.paths import GENERATORS, WATCHED_GENERATORS
from tasks.scoring.champion import find_champion_generator
from verdict3d.config import load_params
from verdict3d.config_arms import OutsideArmParams
from verdict3d.config_generators import TrellisParams
from verdict3d.folders import files_below, readable
from verdict3d.generators.identity import list_visible_files
from verdict3d.project import Workspace
from verdict3d.records.files import format_json


def watch_generators(workspace: Workspace) -> None:
    """Refresh the listing of the files that generators name; remove it when none is needed.

    Raises:
        Verdict3DError: A generator names a file that is not there.
    """
    params, root = load_params(workspace.root / "params.yaml"), workspace.root
    arms = [params.train.sections[arm] for arm in params.train.arms]
    generators = [params.generator, *(arm.generator for arm in arms if isinstance(arm, OutsideArmParams))]
    if champion := find_champion_generator(root):
        generators.append(champion)
    listing: dict[str, list[int]] = {}
    for generator in generators:
        if not isinstance(generator, TrellisParams):
            for name, place in list_visible_files(generator, root):
                listing |= _list_elsewhere(name, place, (root / GENERATORS).resolve())
    target = root / WATCHED_GENERATORS
    if listing:
        write_if_changed(target, format_json(listing))
    else:
        target.unlink(missing_ok=True)


def _list_elsewhere(name: str, place: Path, watched: Path) -> dict[str, list[int]]:
    """Return size and time of each file at a place, without those that DVC looks at itself."""
    files = list(files_below(place)) if place.is_dir() else [place]
    elsewhere = [path for path in files if not path.resolve().is_relative_to(watched)]
    stats = {readable(f"{name}: {path.relative_to(place)}"): path.stat() for path in elsewhere}
    return {key: [found.st_size, found.st_mtime_ns] for key, found in stats.items()}
