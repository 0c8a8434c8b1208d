"""Questions with known answers, and what a judge's answers to them say about it.

Everything here is arithmetic on verdict rows: whoever made the meshes and asked the judge (``tasks.controls``
and ``tasks.audit``), these are the rules by which it passes. X is the better candidate, where one is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from verdict3d.config import AuditThresholds
from verdict3d.judge.audit.panel_choice import describe_panel
from verdict3d.records.certificates import Certificate, Curve, Finding
from verdict3d.records.numbers import Interval, Summary
from verdict3d.records.verdicts import ControlVerdict
from verdict3d.stats.bootstrap import cluster_bootstrap, ratio
from verdict3d.stats.intervals import Estimate
from verdict3d.stats.psychometric import fit_curve
from verdict3d.stats.winrate import SCORES, Answered, summary

Generators = Callable[[str], np.random.Generator]
"""Gives each control a random generator of its own."""

CLEAR_GRADES = (4, 5)
"""Grades of the defect ladder that make a clear gap: nobody overlooks them."""

CONTROLS = (
    "null",
    "base_vs_base",
    "clear_gap",
    "clean_but_wrong",
    "reference_shuffled",
    "reference_removed",
    "order",
)
"""Controls that a judge must pass, in the order in which people should read them."""


@dataclass(frozen=True)
class Measuring:
    """How controls are summed up: thresholds, bootstrap and random generators."""

    thresholds: AuditThresholds
    generators: Generators
    resamples: int
    confidence: float

    def summary(self, name: str, rows: Sequence[Answered]) -> Summary:
        """Return the win-rate summary of rows, with the bounds of this control's own generator."""
        return summary(rows, self.generators(name), self.resamples, self.confidence)

    def findings(self, rows: Sequence[ControlVerdict]) -> dict[str, Finding]:
        """Return what each control of :data:`CONTROLS` says.

        Args:
            rows: All verdict rows of the configured panel and mode.
        """
        by_control = {name: select(rows, name) for name in (*CONTROLS, "ladder")}
        clear = [row for row in by_control["ladder"] if row.grade in CLEAR_GRADES]
        return {
            "null": self._null(by_control["null"]),
            "base_vs_base": self._base_vs_base(by_control["base_vs_base"]),
            "clear_gap": self._clear_gap(clear),
            "clean_but_wrong": self._clean_but_wrong(by_control["clean_but_wrong"]),
            **{
                name: self._without_reference(name, by_control["clean_but_wrong"], by_control[name])
                for name in ("reference_shuffled", "reference_removed")
            },
            "order": self._order(by_control["ladder"]),
        }

    def curves(self, rows: Sequence[ControlVerdict]) -> dict[str, Curve | None]:
        """Return the psychometric curve of each defect, and of all together, from the ladder's rows."""
        ladder = [row for row in select(rows, "ladder") if row.outcome in SCORES]
        names = sorted({row.defect for row in ladder if row.defect is not None})
        groups = {"all": ladder, **{name: [row for row in ladder if row.defect == name] for name in names}}
        curves = {
            name: fit_curve(
                [float(row.grade or 0) for row in group],
                [SCORES[row.outcome] for row in group],
                [row.object for row in group],
                self.generators(f"curve {name}"),
                min(self.resamples, 500),
                self.confidence,
            )
            for name, group in groups.items()
        }
        return {name: None if curve is None else curve.record() for name, curve in curves.items()}

    def _null(self, rows: Sequence[ControlVerdict]) -> Finding:
        """A mesh and its re-exported copy are the same: no decision, and exactly one half."""
        found = self.summary("null", rows)
        decided = found.decisive.wins + found.decisive.losses
        half = found.half_credit.value
        shortfall = ""
        if half is None:
            shortfall = "no pair could be judged"
        elif decided or half != 0.5:
            shortfall = f"{decided} of {found.pairs} pairs of equal meshes were decided"
        return _finding("no decision between a mesh and its copy, half-credit exactly 0.50", shortfall, found)

    def _base_vs_base(self, rows: Sequence[ControlVerdict]) -> Finding:
        found = self.summary("base_vs_base", rows)
        half = found.half_credit
        shortfall = ""
        if half.low is None or half.high is None:
            shortfall = f"too few objects for an interval ({found.objects})"
        elif not half.low <= 0.5 <= half.high:
            beside = half.low - 0.5 if half.low > 0.5 else 0.5 - half.high
            shortfall = (
                f"half-credit {half.value:.3f}, its interval {half.low:.3f} to {half.high:.3f} "
                f"misses 0.5 by {beside:.3f}"
            )
        return _finding(
            f"0.5 inside the {100 * self.confidence:.0f}% interval of half-credit", shortfall, found
        )

    def _clear_gap(self, rows: Sequence[ControlVerdict]) -> Finding:
        found = self.summary("clear_gap", rows)
        least, covered = self.thresholds.clear_gap_decisive, self.thresholds.clear_gap_coverage
        shortfalls = [
            below("decisive win-rate", found.decisive.value, least),
            below("coverage", found.coverage, covered),
        ]
        requirement = f"decisive win-rate at least {least:g} with coverage at least {covered:g}"
        return _finding(requirement, "; ".join(filter(None, shortfalls)), found)

    def _clean_but_wrong(self, rows: Sequence[ControlVerdict]) -> Finding:
        found = self.summary("clean_but_wrong", rows)
        least = self.thresholds.clean_but_wrong
        shortfall = below("half-credit", found.half_credit.value, least)
        return _finding(f"half-credit of the right, damaged object at least {least:g}", shortfall, found)

    def _without_reference(
        self, name: str, with_it: Sequence[ControlVerdict], rows: Sequence[ControlVerdict]
    ) -> Finding:
        """The same pairs with the reference taken away: what falls was owed to the reference."""
        found = self.summary(name, rows)
        drop = paired_drop(with_it, rows, self.generators(f"drop {name}"), self.resamples, self.confidence)
        least = self.thresholds.reference_drop
        shortfall = below("fall of half-credit", drop.value, least)
        if not shortfall and (drop.low is None or drop.low <= 0.0):
            low = "undefined" if drop.low is None else f"{drop.low:.3f}"
            shortfall = f"the lower bound of the fall of half-credit is {low}; it must be above 0"
        requirement = f"half-credit falls by at least {least:g}, lower bound above 0"
        return _finding(requirement, shortfall, found, drop.record())

    def _order(self, rows: Sequence[ControlVerdict]) -> Finding:
        found = self.summary("order", rows)
        most, share = self.thresholds.first_slot, found.first_slot_share
        shortfall = ""
        if share is None:
            shortfall = "no pair could be judged"
        elif abs(share - 0.5) > most:
            shortfall = (
                f"share of first-slot answers {share:.3f} is {abs(share - 0.5):.3f} from 0.5, "
                f"{abs(share - 0.5) - most:.3f} more than allowed"
            )
        return _finding(f"share of first-slot answers within {most:g} of 0.5", shortfall, found)


def select(rows: Sequence[ControlVerdict], control: str) -> list[ControlVerdict]:
    """Return the rows of one control."""
    return [row for row in rows if row.control == control]


def below(what: str, value: float | None, least: float) -> str:
    """Say by how much a value falls short of the least allowed; empty when it does not."""
    if value is None:
        return f"{what} is undefined; it must be at least {least:g}"
    return f"{what} {value:.3f} is {least - value:.3f} below {least:g}" if value < least else ""


def paired_drop(
    before: Sequence[ControlVerdict],
    after: Sequence[ControlVerdict],
    rng: np.random.Generator,
    resamples: int,
    confidence: float,
) -> Estimate:
    """Return by how much half-credit falls from ``before`` to ``after`` on the same pairs, over objects.

    Args:
        before: Verdicts on some pairs.
        after: The same pairs asked otherwise; pairs invalid on either side are left out.
        rng: Generator of the bootstrap.
        resamples: Bootstrap resamples.
        confidence: Two-sided level.
    """
    scores = {row.pair: SCORES[row.outcome] for row in after if row.outcome in SCORES}
    totals: dict[str, np.ndarray] = {}
    for row in before:
        if row.outcome in SCORES and row.pair in scores:
            fall = SCORES[row.outcome] - scores[row.pair]
            totals.setdefault(row.object, np.zeros(2))
            totals[row.object] += (fall, 1.0)
    if not totals:
        return Estimate()
    table = np.stack([totals[name] for name in sorted(totals)])
    bounds = cluster_bootstrap(table, ratio, rng, resamples, confidence)
    return Estimate(float(table[:, 0].sum() / table[:, 1].sum()), *(bounds or (None, None)))


def _finding(requirement: str, shortfall: str, found: Summary, drop: Interval | None = None) -> Finding:
    return Finding(
        requirement=requirement, passed=not shortfall, shortfall=shortfall, drop=drop, **dict(found)
    )


def describe(certificate: Certificate) -> list[str]:
    """Return the certificate in lines for people."""
    lines = [
        f"{certificate.role} judge {certificate.judge.model}: "
        + ("certified" if certificate.passed else "NOT certified"),
        f"  {describe_panel(certificate.panel)}",
    ]
    for name, found in certificate.controls.items():
        fate, measured = "ok  " if found.passed else "FAIL", measured_words(name, found)
        lines.append(f"  {fate} {name:19} {measured}   ({found.shortfall or found.requirement})")
    return lines


def measured_words(name: str, found: Finding) -> str:
    """Return what a control measured: the quantities that its requirement is about."""

    def number(value: float | None) -> str:
        return "undefined" if value is None else f"{value:.3f}"

    half = found.half_credit
    if name == "null":
        decided = found.decisive.wins + found.decisive.losses
        return f"half-credit {number(half.value)}, {decided} of {found.pairs} pairs decided"
    if name == "base_vs_base":
        return f"half-credit {number(half.value)}, interval {number(half.low)} to {number(half.high)}"
    if name == "clear_gap":
        decisive = number(found.decisive.value)
        return f"decisive win-rate {decisive}, coverage {number(found.coverage)}"
    if (drop := found.drop) is not None:
        return f"half-credit falls by {number(drop.value)}, lower bound {number(drop.low)}"
    if name == "order":
        return f"share of first-slot answers {number(found.first_slot_share)}"
    return f"half-credit {number(half.value)}"
