"""The file ``dvc.lock``: which outputs belong to which inputs, by stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from verdict3d.errors import Verdict3DError
from verdict3d.records.yaml_files import read_yaml

LOCK = "dvc.lock"


def read_lock(root: Path) -> dict[str, Any]:
    """Return what ``dvc.lock`` holds by stage; nothing where there is none yet.

    Raises:
        Verdict3DError: It was damaged, or edited to something else.
    """
    path = root / LOCK
    if not path.exists():
        return {}
    advice = "take it from git or a copy, or remove it: what DVC's cache holds is then found again without it"
    try:
        content = read_yaml(path)
    except Verdict3DError as error:
        raise Verdict3DError(f"{error}; {advice}") from error
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(entry, dict) for entry in stages.values()):
        raise Verdict3DError(f"{path} is not what DVC wrote (no stages in it); {advice}")
    return stages
