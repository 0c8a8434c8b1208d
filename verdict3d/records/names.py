"""Names with a fixed set of values that records share."""

from __future__ import annotations

from typing import Literal

Split = Literal["train", "validation", "heldout"]
Regime = Literal["clean", "mild", "medium", "severe"]
Outcome = Literal["win", "loss", "same", "flip", "close", "invalid"]
"""Class of a verdict, seen from X; :attr:`verdict3d.judge.verdict.Verdict.outcome` says which is which."""
TIES: tuple[Outcome, ...] = ("same", "flip", "close")
"""Valid verdicts that name no winner."""
PairKind = Literal["contrastive", "same_base"]
Side = Literal["x", "y"]
