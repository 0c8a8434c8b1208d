"""The stages in the order of ``dvc.yaml``. ``dvc.lock`` has them in the order in which they ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.dvc_lock import read_lock
from verdict3d.records.yaml_files import read_yaml


def list_stages(root: Path, values: Mapping[str, Any]) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    """Yield stage, item (None where it stands for itself) and entry of each stage of ``dvc.yaml``.

    Args:
        root: Folder of ``dvc.yaml``.
        values: All parameters, which say for which items there is a stage.
    """
    for stage, entry in read_yaml(root / "dvc.yaml")["stages"].items():
        each = entry.get("foreach")
        for item in [None] if each is None else look_up(values, each.removeprefix("${").removesuffix("}")):
            yield stage, None if item is None else str(item), entry.get("do", entry)


def name_stage(stage: str, item: str | None) -> str:
    """Return what DVC calls the stage of an item."""
    return stage if item is None else f"{stage}@{item}"


def look_up(values: Mapping[str, Any], name: str) -> Any:
    """Return the value of a dotted name."""
    found: Any = values
    for key in name.split("."):
        found = found[key]
    return found


def read_locked_stages(root: Path) -> dict[str, Any]:
    """Return what ``dvc.lock`` holds by stage, in the order of ``dvc.yaml``; nothing where there is none.

    Stages that ``dvc.yaml`` no longer has come last, by name: all of them where it is not there.

    Raises:
        Verdict3DError: It was damaged, or edited to something else.
    """
    if not (locked := read_lock(root)):
        return {}
    known: list[str] = []
    if (root / "dvc.yaml").is_file():
        values = read_yaml(root / "params.yaml")
        known = [name_stage(stage, item) for stage, item, _ in list_stages(root, values)]
    return {name: locked[name] for name in (*known, *sorted(set(locked) - set(known))) if name in locked}
