"""The same control pairs shown otherwise: other panels, splats, texture, and the true geometry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from verdict3d.judge.audit.controls import Measuring, select
from verdict3d.judge.identity import JudgeIdentity
from verdict3d.judge.rubric import SLOTS
from verdict3d.records.certificates import (
    Comparisons,
    Overload,
    PanelResults,
    SplatResults,
    Stratum,
    TruthComparison,
)
from verdict3d.records.generations import Truth
from verdict3d.records.names import Outcome
from verdict3d.records.numbers import Summary
from verdict3d.records.verdicts import ControlVerdict
from verdict3d.stats.agreement import agreement, class_by_truth
from verdict3d.stats.winrate import Answered, turned

TRUTH = {"f_score": 1.0, "normal_consistency": 1.0, "chamfer_distance": -1.0}
"""Measures against the true mesh, and whether more is better."""
STRATA = ((0.0, 0.05), (0.05, 0.15), (0.15, 0.3), (0.3, 1.01))
"""Gaps of F-score between which agreement is reported."""


def compare_panels(
    measuring: Measuring, rows: Sequence[ControlVerdict], mode: str
) -> dict[str, PanelResults]:
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
        return measuring.summary(f"panel {kind} {name}", [row for row in part if row.panel == kind])

    return {
        kind: PanelResults(
            clear_gap=shown(kind, clear, "clear_gap"),
            clean_but_wrong=shown(kind, wrong, "clean_but_wrong"),
        )
        for kind in SLOTS
    }


def compare_views(
    measuring: Measuring,
    rows: Sequence[ControlVerdict],
    own: JudgeIdentity,
    panels: Mapping[str, PanelResults],
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
        splat=SplatResults(own=mine, splat=measuring.summary("splat", splats)),
        texture=measuring.summary("texture", select(rows, "texture")),
        truth=compare_with_truth(measuring, select(rows, "truth")),
    )


def compare_with_truth(measuring: Measuring, rows: Sequence[ControlVerdict]) -> TruthComparison | None:
    """Return agreement with measures against the true mesh, as kappa and by gap; None without true meshes."""
    known = [(row, *sides) for row in rows if (sides := _both(row.truth)) is not None]
    if not known:
        return None
    kappas = {
        measure: agreement(
            [row.outcome for row, _, _ in known],
            [_outcome(x, y, measure, sign) for _, x, y in known],
            [row.object for row, _, _ in known],
            measuring.generators(f"truth {measure}"),
            measuring.resamples,
            measuring.confidence,
        ).record()
        for measure, sign in TRUTH.items()
    }
    strata = []
    for low, high in STRATA:
        mine = [
            _seen_from_the_better(row, x, y)
            for row, x, y in known
            if low <= abs(x.f_score - y.f_score) < high
        ]
        strata.append(Stratum(gap=(low, min(high, 1.0)), **dict(measuring.summary(f"truth {low}", mine))))
    return TruthComparison(kappa=kappas, by_f_score_gap=strata)


def _both(truth: tuple[Truth | None, Truth | None] | None) -> tuple[Truth, Truth] | None:
    """Return the truth about both sides, if it is known."""
    x, y = truth or (None, None)
    return None if x is None or y is None else (x, y)


def _outcome(x: Truth, y: Truth, measure: str, sign: float) -> Outcome:
    mine, theirs = (
        None if value is None else sign * value for value in (getattr(x, measure), getattr(y, measure))
    )
    return class_by_truth(mine, theirs)


def _seen_from_the_better(row: ControlVerdict, x: Truth, y: Truth) -> Answered:
    """Return the verdict turned so that X is the mesh with the higher F-score."""
    return row if x.f_score >= y.f_score else turned(row)
