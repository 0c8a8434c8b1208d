"""Names with a fixed set of values that records share."""

from __future__ import annotations

from typing import Literal

Split = Literal["train", "validation", "heldout"]
Regime = Literal["clean", "mild", "medium", "severe"]
Outcome = Literal["win", "loss", "tie", "invalid"]
"""Class of a verdict, seen from X."""
PairKind = Literal["contrastive", "same_base"]
Side = Literal["x", "y"]
