"""What is drawn for the judges, in a file of its own: who draws depends on nothing else of them."""

from __future__ import annotations

from verdict3d.config_judges import JudgesParams

TEXTURE_MODE = "rgb"
"""Held-out meshes are also drawn in colour: texture is judged beside shape, never for it."""
TEXTURE_VIEWS = 1
"""View sets drawn in a mode that no judge looks at: texture is judged from these."""


def list_modes(judges: JudgesParams) -> dict[str, int]:
    """Return the modes that the judges look at, with the most view sets; the training judge's first."""
    modes: dict[str, int] = {}
    for judge in judges.by_role.values():
        modes[judge.mode] = max(judge.views, modes.get(judge.mode, 0))
    return modes
