"""What is drawn for the judges, in a file of its own: who draws depends on nothing else of them."""

from __future__ import annotations

from verdict3d.config import JudgesParams

TEXTURE_MODE = "rgb"
"""Held-out meshes are also drawn in colour: texture is judged beside shape, never for it."""


def montage_modes(judges: JudgesParams) -> tuple[str, ...]:
    """Return the modes that the judges look at, each once; the training judge's first."""
    return tuple(dict.fromkeys(judge.mode for judge in judges.by_role.values()))


def most_views(judges: JudgesParams) -> int:
    """Return from how many view sets the judge looks that looks from most."""
    return max(judge.views for judge in judges.by_role.values())
