"""The last results of a workspace, as rows and as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.paths import DECISION, EVALUATE
from verdict3d.records.decisions import Decision
from verdict3d.records.numbers import Interval
from verdict3d.records.record import read_record
from verdict3d.records.results import Results
from verdict3d.view.words import say_outlook

Bounded = tuple[float, float | None, float | None]
"""A value with the low and high end of its interval; None where the interval is not defined."""


@dataclass(frozen=True)
class ShownWinRate:
    """Held-out win-rate of one arm against the base generator in one regime.

    Attributes:
        arm: Name of the arm.
        regime: Name of the degradation regime.
        decisive: Share of decisive verdicts that the arm won with its interval, or None when there were none.
        half_credit: The same with same, flips and close as one half.
        coverage: Share of verdicts that were decisive.
        same: Pairs of one mesh, or of two that look alike: not asked.
        flips: Pairs whose answer changed with the order.
        close: Pairs whose preference is within its error.
        pairs: Number of judged pairs.
        target: The decisive win-rate aimed at.
    """

    arm: str
    regime: str
    decisive: Bounded | None
    half_credit: Bounded | None
    coverage: float | None
    same: int
    flips: int
    close: int
    pairs: int
    target: float


def read_win_rates(root: Path) -> list[ShownWinRate]:
    """Return the win-rates below ``root``, by arm and regime; empty before the first evaluation."""
    rows = []
    for path in sorted((root / EVALUATE).glob("*/results.json")):
        results = read_record(path, Results)
        for regime, found in sorted(results.regimes.items()):
            summary = found.summary
            rows.append(
                ShownWinRate(
                    arm=results.arm,
                    regime=regime,
                    decisive=_find_bounded(summary.decisive),
                    half_credit=_find_bounded(summary.half_credit),
                    coverage=summary.coverage,
                    same=summary.same,
                    flips=summary.flips,
                    close=summary.close,
                    pairs=summary.pairs,
                    target=results.target,
                )
            )
    return rows


def describe_decisions(root: Path) -> list[str]:
    """Return the gate's word on each candidate; empty before the first decision."""
    path = root / DECISION
    if not path.is_file():
        return []
    decision = read_record(path, Decision)
    return [
        " ".join([f"{arm} against {decision.champion.name}: {found.decision}.", *say_outlook(found)])
        for arm, found in decision.arms.items()
    ]


def _find_bounded(found: Interval) -> Bounded | None:
    return None if found.value is None else (found.value, found.low, found.high)


HEADINGS = (
    "arm",
    "regime",
    "decisive win-rate",
    "half credit",
    "coverage",
    "same",
    "flips",
    "close",
    "pairs",
    "target",
)


def format_win_rate(rate: ShownWinRate) -> tuple[str, ...]:
    """Return the cells of a row under :data:`HEADINGS`."""

    def plain(value: float | None, digits: int = 2) -> str:
        return "none" if value is None else f"{value:.{digits}f}"

    def with_bounds(value: Bounded | None) -> str:
        return "none" if value is None else f"{value[0]:.3f} [{plain(value[1], 3)}, {plain(value[2], 3)}]"

    return (
        rate.arm,
        rate.regime,
        with_bounds(rate.decisive),
        with_bounds(rate.half_credit),
        plain(rate.coverage),
        *map(str, (rate.same, rate.flips, rate.close)),
        str(rate.pairs),
        f"{rate.target:.2f}",
    )


def describe_win_rate(rate: ShownWinRate) -> str:
    """Return a win-rate in words, for messages."""
    value = format_win_rate(rate)[3]
    return f"{rate.arm} on {rate.regime} inputs {value} with no winner as one half ({rate.pairs} pairs)"


def format_text(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of aligned columns."""
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [headings, *rows]
    ]
    return "\n".join(lines)


def format_markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    body = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in body)
