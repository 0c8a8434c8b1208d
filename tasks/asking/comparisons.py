"""The same control pairs shown otherwise, and how all of them are summed up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from verdict3d.config import Params
from verdict3d.judge.audit.controls import Measuring, select
from verdict3d.judge.identity import JudgeIdentity
from verdict3d.judge.rubric import SLOTS
from verdict3d.randomness import numpy_generator
from verdict3d.records.certificates import (
    Comparisons,
    Overload,
    PanelScores,
    SplatScores,
)
from verdict3d.records.numbers import Summary
from verdict3d.records.verdicts import ControlVerdict


def compare_panels(measuring: Measuring, rows: Sequence[ControlVerdict], mode: str) -> dict[str, PanelScores]:
    """Return two controls on the pairs that were asked with every panel, by kind.

    Args:
        measuring: How rows are summed up.
        rows: All verdict rows of the judge.
        mode: Mode of the judge's montages.
    """
    splats = select(rows, "splat")
    compared = {row.pair for row in splats}
    grades = {row.grade for row in splats}
    same = [row for row in rows if row.pair in compared and row.mode == mode]
    clear = [row for row in same if row.control == "ladder" and row.grade in grades]
    wrong = [row for row in same if row.control == "clean_but_wrong"]

    def shown(kind: str, part: Sequence[ControlVerdict], name: str) -> Summary:
        return measuring.summarise(f"panel {kind} {name}", [row for row in part if row.panel == kind])

    return {
        kind: PanelScores(
            clear_gap=shown(kind, clear, "clear_gap"),
            clean_but_wrong=shown(kind, wrong, "clean_but_wrong"),
        )
        for kind in SLOTS
    }


def compare_views(
    measuring: Measuring,
    rows: Sequence[ControlVerdict],
    own: JudgeIdentity,
    panels: Mapping[str, PanelScores],
) -> Comparisons:
    """Return what changes when the same pairs are shown otherwise.

    Args:
        measuring: How rows are summed up.
        rows: All verdict rows of the judge.
        own: The judge, with its panel.
        panels: What :func:`compare_panels` gave.
    """
    splats = select(rows, "splat")
    mine = panels[own.panel].clear_gap
    return Comparisons(
        panels=dict(panels),
        overload=Overload(own=mine, seven_images=panels["seven_images"].clear_gap),
        splat=SplatScores(own=mine, splat=measuring.summarise("splat", splats)),
    )


def make_measuring(params: Params, role: str) -> Measuring:
    """Return how the controls of a role are summed up."""
    return Measuring(
        params.audit.thresholds,
        lambda name: numpy_generator(params.seed, "audit", role, name),
        params.evaluate.bootstrap,
        params.evaluate.confidence,
    )
