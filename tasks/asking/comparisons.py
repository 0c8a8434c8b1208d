"""The same control pairs shown otherwise: other panels, splats, texture, and the true geometry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from verdict3d.judge.audit.controls import Measuring, Row, select
from verdict3d.judge.identity import JudgeIdentity
from verdict3d.judge.rubric import SLOTS
from verdict3d.stats.agreement import agreement, class_by_truth

TRUTH = {"f_score": 1.0, "normal_consistency": 1.0, "chamfer_distance": -1.0}
"""Measures against the true mesh, and whether more is better."""
STRATA = ((0.0, 0.05), (0.05, 0.15), (0.15, 0.3), (0.3, 1.01))
"""Gaps of F-score between which agreement is reported."""


def compare_panels(
    measuring: Measuring, rows: Sequence[Row], mode: str
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return ``clear_gap`` and ``clean_but_wrong`` on the pairs that were asked with every panel, by kind.

    Args:
        measuring: How rows are summed up.
        rows: All verdict rows of the judge.
        mode: Of the judge's montages.
    """
    splats = select(rows, "splat")
    compared = {row["pair"] for row in splats}
    grades = {row["grade"] for row in splats}
    same = [row for row in rows if row["pair"] in compared and row["mode"] == mode]
    clear = [row for row in same if row["control"] == "ladder" and row["grade"] in grades]
    wrong = [row for row in same if row["control"] == "clean_but_wrong"]

    def shown(kind: str, part: Sequence[Row], name: str) -> dict[str, Any]:
        return measuring.summary(f"panel {kind} {name}", [row for row in part if row["panel"] == kind])

    return {
        kind: {
            "clear_gap": shown(kind, clear, "clear_gap"),
            "clean_but_wrong": shown(kind, wrong, "clean_but_wrong"),
        }
        for kind in SLOTS
    }


def compare_views(
    measuring: Measuring, rows: Sequence[Row], own: JudgeIdentity, panels: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what changes when the same pairs are shown otherwise.

    Args:
        measuring: How rows are summed up.
        rows: All verdict rows of the judge.
        own: The judge, with its panel.
        panels: What :func:`compare_panels` gave.

    Returns:
        ``panels``, ``overload`` (own panel and seven images), ``splat`` (own mode and splats), ``texture``
        and ``truth``.
    """
    splats = select(rows, "splat")
    return {
        "panels": panels,
        "overload": {
            "own": panels[own.panel]["clear_gap"],
            "seven_images": panels["seven_images"]["clear_gap"],
        },
        "splat": {"own": panels[own.panel]["clear_gap"], "splat": measuring.summary("splat", splats)},
        "texture": measuring.summary("texture", select(rows, "texture")),
        "truth": compare_with_truth(measuring, select(rows, "truth")),
    }


def compare_with_truth(measuring: Measuring, rows: Sequence[Row]) -> dict[str, Any] | None:
    """Return agreement with measures against the true mesh, as kappa and by gap; None without true meshes."""
    rows = [row for row in rows if all(side is not None for side in row["truth"])]
    if not rows:
        return None
    kappas = {
        measure: agreement(
            [row["outcome"] for row in rows],
            [_outcome(row["truth"], measure, sign) for row in rows],
            [row["object"] for row in rows],
            measuring.generators(f"truth {measure}"),
            measuring.resamples,
            measuring.confidence,
        ).as_dict()
        for measure, sign in TRUTH.items()
    }
    strata = []
    for low, high in STRATA:
        mine = [
            _seen_from_the_better(row)
            for row in rows
            if low <= abs(row["truth"][0]["f_score"] - row["truth"][1]["f_score"]) < high
        ]
        strata.append({"gap": [low, min(high, 1.0)], **measuring.summary(f"truth {low}", mine)})
    return {"kappa": kappas, "by_f_score_gap": strata}


def _outcome(truth: Sequence[Mapping[str, Any]], measure: str, sign: float) -> str:
    values = [side.get(measure) for side in truth]
    x, y = (None if value is None else sign * value for value in values)
    return class_by_truth(x, y)


def _seen_from_the_better(row: Row) -> Row:
    """Return the row turned so that X is the mesh with the higher F-score."""
    if row["truth"][0]["f_score"] >= row["truth"][1]["f_score"]:
        return row
    turned = {"win": "loss", "loss": "win"}.get(row["outcome"], row["outcome"])
    return {**row, "outcome": turned, "m1": row["m2"], "m2": row["m1"]}
