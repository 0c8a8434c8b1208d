"""The arm that a stage is run for, and its adapter on the base."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tasks.base import load_base
from tasks.manifest import TRAIN
from verdict3d.adapt.adapter import load_adapter
from verdict3d.adapt.registry import find_arm
from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.trellis.pipeline import TrellisPipeline


def arm_from_command_line(params: Params) -> str:
    """Return the one argument of ``python -m tasks.<stage> <arm>``.

    Raises:
        Verdict3DError: There is not one argument, or it is no arm.
    """
    if len(sys.argv) != 2:
        raise Verdict3DError(f"name one arm, such as {params.train.arms[0]!r}; got {sys.argv[1:]}")
    return find_arm(sys.argv[1]).name


def arm_params(params: Params, arm: str) -> Any:
    """Return the arm's own section below ``train``."""
    return getattr(params.train, arm)


def load_adapted(params: Params, root: Path, arm: str) -> TrellisPipeline:
    """Load the configured generator with the adapter that the train stage wrote for ``arm``.

    Raises:
        Verdict3DError: The adapter is missing, damaged, or belongs to another base.
    """
    base = load_base(params, root)
    adapter = load_adapter(root / TRAIN / arm, arm=arm, base_digest=base.digest)
    return find_arm(arm).wrap(base, adapter)
