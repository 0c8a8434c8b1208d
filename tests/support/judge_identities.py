"""Identities of judges that do not exist."""

from __future__ import annotations

from typing import Any

from verdict3d.judge.identity import JudgeIdentity


def make_identity(**fields: Any) -> JudgeIdentity:
    """An identity with these fields, and one letter or so in the others."""
    values = {
        "model": "somewhere",
        "weights": "w",
        "settings": "s",
        "model_class": "Class",
        "prompt": "p",
        "panel": "three_images",
        "mode": "normal",
        "dtype": "float32",
        "views": 1,
        "view_sets": "sets",
    }
    return JudgeIdentity.model_validate(values | fields)
