"""What a judge orders among generations whose true meshes are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verdict3d.judge.audit.controls import Measuring
from verdict3d.records.certificates import Finding, Ordering, Stratum
from verdict3d.records.generations import Truth
from verdict3d.records.names import Outcome
from verdict3d.records.verdicts import ControlVerdict, HeldoutVerdict
from verdict3d.stats.agreement import class_by_truth, measure_agreement
from verdict3d.stats.winrate import SCORES, Answered, turn

TRUTH = {"f_score": 1.0, "normal_consistency": 1.0, "chamfer_distance": -1.0}
"""Measures against the true mesh, and whether more is better."""
LARGE_GAP = 0.15
"""Difference of F-score above which two generations should not be taken for each other."""
STRATA = ((0.0, 0.02), (0.02, 0.05), (0.05, 0.15), (0.15, 0.3), (0.3, 1.01))
"""Gaps of F-score between which agreement is reported."""


@dataclass(frozen=True)
class Known:
    """A verdict on two generations whose true meshes are known."""

    row: ControlVerdict
    x: Truth
    y: Truth

    @property
    def gap(self) -> float:
        """How far apart their F-scores are."""
        return abs(self.x.f_score - self.y.f_score)

    @property
    def from_the_better(self) -> Answered:
        """The verdict, turned so that X is the mesh with the higher F-score."""
        return self.row if self.x.f_score >= self.y.f_score else turn(self.row)


def select_known(rows: Sequence[ControlVerdict]) -> list[Known]:
    """Return the verdicts on generations whose true meshes are known."""
    return [Known(row, x, y) for row in rows for x, y in [row.truth or (None, None)] if x and y]


def find_on_generations(measuring: Measuring, rows: Sequence[ControlVerdict]) -> dict[str, Finding]:
    """Return what each control on generations says, from all verdict rows on generations."""
    far_apart = [one.from_the_better for one in select_known(rows) if one.gap >= LARGE_GAP]
    return measuring.measure_generations(rows, far_apart)


def order_generations(measuring: Measuring, rows: Sequence[ControlVerdict]) -> Ordering:
    """Return what a judge orders among generations: agreement with each measure, and right answers by gap."""
    known = select_known(rows)
    kappas = {
        measure: measure_agreement(
            [one.row.outcome for one in known],
            [_compare(one.x, one.y, measure, sign) for one in known],
            [one.row.object for one in known],
            measuring.generators(f"truth {measure}"),
            measuring.resamples,
            measuring.confidence,
        ).record()
        for measure, sign in TRUTH.items()
    }
    apart = [one for one in known if round(one.gap, 2) > 0 and one.row.outcome in SCORES]
    answers = [one.from_the_better for one in apart]
    return Ordering(
        kappa=kappas,
        by_f_score_gap=group_by_gap(measuring, "truth", [(one.from_the_better, one.gap) for one in known]),
        curve=measuring.fit_curve("gap", answers, [round(one.gap, 2) for one in apart]),
        generations=len(known),
    )


def _compare(x: Truth, y: Truth, measure: str, sign: float) -> Outcome:
    mine, theirs = (
        None if value is None else sign * value for value in (getattr(x, measure), getattr(y, measure))
    )
    return class_by_truth(mine, theirs)


def group_by_gap(measuring: Measuring, name: str, answers: Sequence[tuple[Answered, float]]) -> list[Stratum]:
    """Return right answers by gap of F-score.

    Args:
        measuring: How rows are summed up.
        name: Keys the bootstraps' generators.
        answers: Pairs whose X is the better mesh, each with its gap.
    """
    return [
        Stratum(
            gap=(low, min(high, 1.0)),
            **dict(measuring.summarise(f"{name} {low}", [row for row, gap in answers if low <= gap < high])),
        )
        for low, high in STRATA
    ]


def group_arms_by_gap(measuring: Measuring, rows: Sequence[HeldoutVerdict]) -> list[Stratum]:
    """Return right answers about arms against their base, by gap of F-score; equal meshes are left out.

    Args:
        measuring: How rows are summed up.
        rows: A judge's verdicts on arms.
    """
    answers = []
    for row in rows:
        mine, theirs = row.arm.f_score, row.base.f_score
        if mine is not None and theirs is not None and row.arm.mesh_digest != row.base.mesh_digest:
            answers.append((row if mine >= theirs else turn(row), abs(mine - theirs)))
    return group_by_gap(measuring, "arms", answers)
