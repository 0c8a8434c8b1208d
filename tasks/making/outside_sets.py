"""Weights that an arm takes over: LoRA sets of others, and trained weights that it goes on from."""

from __future__ import annotations

from pathlib import Path

from tasks.paths import LORAS
from verdict3d.adapt.registry import parts_of
from verdict3d.config_arms import AnyArm, DegradedInputsParams, LoraParams
from verdict3d.project import CHECKPOINTS
from verdict3d.provenance import digest_file
from verdict3d.records.adapters import CARD, CONFIG, WEIGHTS


def digest_outside_sets(settings: AnyArm, root: Path) -> dict[str, str | None]:
    """Return a digest of each file that an arm takes over; None for one that is not there."""
    parts = parts_of(settings)
    loras = {str(LORAS / part.folder) for part in parts if isinstance(part, LoraParams)}
    starts = {
        str(CHECKPOINTS / part.start)
        for part in parts
        if isinstance(part, DegradedInputsParams) and part.start
    }
    return {
        f"{folder}/{name}": digest_file(path) if (path := root / folder / name).is_file() else None
        for folder in sorted(loras | starts)
        for name in (WEIGHTS, CONFIG, CARD)
    }
