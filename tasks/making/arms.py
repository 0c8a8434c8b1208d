"""The arm that a stage is run for, and its adapter on the base."""

from __future__ import annotations

import sys
from pathlib import Path

from tasks.making.base import load_base
from tasks.paths import TRAIN
from verdict3d.adapt.adapter import Adapter, load_adapter
from verdict3d.adapt.method import Tools
from verdict3d.adapt.registry import find_method
from verdict3d.config import Params
from verdict3d.config_arms import AnyArm
from verdict3d.errors import Verdict3DError
from verdict3d.trellis.pipeline import TrellisPipeline


def read_arm(params: Params) -> str:
    """Return the one argument of ``python -m tasks.<stage> <arm>``.

    Raises:
        Verdict3DError: There is not one argument, or it is no arm.
    """
    if len(sys.argv) != 2:
        raise Verdict3DError(f"name one arm, such as {params.train.arms[0]!r}; got {sys.argv[1:]}")
    select_arm_params(params, sys.argv[1])
    return sys.argv[1]


def select_arm_params(params: Params, arm: str) -> AnyArm:
    """Return the arm's own section below ``train``.

    Raises:
        Verdict3DError: There is no such section; the known ones are named.
    """
    try:
        return params.train.sections[arm]
    except KeyError:
        known = ", ".join(sorted(params.train.sections))
        raise Verdict3DError(f"unknown arm {arm!r}; params.yaml has sections for: {known}") from None


def load_adapted(params: Params, root: Path, arm: str, tools: Tools) -> TrellisPipeline:
    """Load the configured generator with the adapter that the train stage wrote for ``arm``.

    Raises:
        Verdict3DError: The adapter is missing, damaged, or belongs to another base.
    """
    base = load_base(params, root)
    adapter = load_adapter(root / TRAIN / arm, arm=arm, base_digest=base.digest)
    return with_adapter(base, adapter, tools)


def with_adapter(base: TrellisPipeline, adapter: Adapter, tools: Tools) -> TrellisPipeline:
    """Return the base with an adapter on, put together as its card says."""
    settings = adapter.card.params
    return find_method(settings.method).wrap(base, settings, adapter.tensors, tools)
