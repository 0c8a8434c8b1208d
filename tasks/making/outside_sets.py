"""LoRA sets of others: the files that an arm takes over from ``data/loras``."""

from __future__ import annotations

from pathlib import Path

from tasks.paths import LORAS
from verdict3d.adapt.registry import parts_of
from verdict3d.config_arms import AnyArm, LoraParams
from verdict3d.provenance import digest_file
from verdict3d.records.adapters import CARD, CONFIG, WEIGHTS


def digest_outside_sets(settings: AnyArm, root: Path) -> dict[str, str | None]:
    """Return a digest of each file of each set that an arm takes over; None for one that is not there."""
    folders = {part.folder for part in parts_of(settings) if isinstance(part, LoraParams)}
    return {
        f"{folder}/{name}": digest_file(path) if (path := root / LORAS / folder / name).is_file() else None
        for folder in sorted(folders)
        for name in (WEIGHTS, CONFIG, CARD)
    }
