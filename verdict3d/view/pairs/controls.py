"""Control pairs of an audit in words: what is known of them, and what their two sides are."""

from __future__ import annotations

from typing import Literal

from verdict3d.records.pairs import ControlPair
from verdict3d.view.pairs.entry import Known

SAME_BY_MAKING = "null"
"""The control of two equal meshes."""
WITH_ANOTHER_OBJECT = ("clean_but_wrong", "reference_shuffled", "reference_removed")
"""Controls of a damaged right object and a perfect wrong one."""
BLIND = ("reference_removed", "reference_shuffled", "splat")
"""Controls in which what the judge is shown hides which side is better."""


def find_known(pair: ControlPair) -> Known | None:
    """Return what is known of a control pair by how it was made; None where only the meshes can tell."""
    if pair.control == SAME_BY_MAKING:
        return "same"
    return None if pair.control in BLIND or pair.x.truth is not None else "x"


def name_side(pair: ControlPair, side: Literal["x", "y"]) -> str:
    """Return what a side of a control pair is."""
    changed = (pair.defect or "").replace("_", " ")
    damaged = f"{changed}, grade {pair.grade}"
    if pair.control == SAME_BY_MAKING:
        return "the object" if side == "x" else f"the object, {changed}"
    if pair.control == "colour":
        return "right colours" if side == "x" else "wrong colours"
    if pair.control in WITH_ANOTHER_OBJECT:
        return damaged if side == "x" else "another object"
    return "undamaged" if side == "x" else damaged
