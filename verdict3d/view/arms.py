"""The section on arms: how far a change propagates, the controls, and all arms in one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from verdict3d.records.names import Regime
from verdict3d.records.numbers import Interval
from verdict3d.records.results import Washout
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.stats.bradley_terry import collect_answers, fit
from verdict3d.stats.multiplicity import holm
from verdict3d.view.content import REGIMES, Control, Report
from verdict3d.view.words import say_title

T = TypeVar("T")
DIAGNOSES = {
    "better": ("▲", "good"),
    "worse": ("▼", "bad"),
    "no change": ("=", "even"),
    "changed, not told apart": ("◆", "even"),
}


@dataclass(frozen=True)
class Way:
    """An arm's change under one regime, from its weights to the montage.

    Attributes:
        arm: The arm.
        regime: Degradation regime of the inputs.
        diagnosis: Effect of the change, with a symbol.
        tone: "good", "even" or "bad".
        washout: What :mod:`tasks.scoring.washout` measured.
    """

    arm: str
    regime: str
    diagnosis: str
    tone: str
    washout: Washout

    @property
    def velocities(self) -> list[float]:
        """Return the gap closed in velocity from noise to shape; empty where there is no gap."""
        times = self.washout.velocities or {}
        ordered = (times[key] for key in sorted(times, key=float, reverse=True))
        return [value for value in ordered if value is not None]


@dataclass(frozen=True)
class ControlLine:
    """One control under one regime, with its expected value.

    Attributes:
        name: Which control.
        regime: Degradation regime of the inputs.
        estimate: Half-credit with its interval.
        wanted: Expected value, in words.
        chip: Whether the control holds, with a symbol.
        tone: "good", "even" or "bad".
        filters: What leaves its pairs on the page of pairs.
    """

    name: str
    regime: str
    estimate: Interval
    wanted: str
    chip: str
    tone: str
    filters: Mapping[str, str]


def find_control(section: Mapping[str, Any]) -> Control | None:
    """Return which control an arm's parameters make it; None for an arm that is meant to win."""
    if section.get("method") == "search" and section.get("pick") == "random":
        return "random_pick"
    if section.get("method") != "control":
        return None
    shown = {section["structure_input"], section["latents_input"]}
    return "oracle" if shown == {"clean"} else "base_again" if shown == {"given"} else "oracle_stage"


def rank_arms(
    verdicts: Mapping[str, Sequence[HeldoutVerdict]],
    p_values: Mapping[str, Mapping[str, float | None]],
    family: Sequence[str],
    generator_for: Callable[[str], np.random.Generator],
    confidence: float,
) -> dict[str, Any]:
    """Return, by regime, all arms in one Bradley-Terry model, and Holm's p-values; nothing for a single arm.

    Args:
        verdicts: Verdict rows of the held-out pairs, by evaluated arm.
        p_values: p-values of the decisive win-rates, by arm and regime.
        family: Arms that share the significance level: those that are no controls.
        generator_for: Gives a random generator for a regime.
        confidence: Two-sided level of the intervals.
    """
    if len(verdicts) < 2:
        return {}
    ranked = {}
    for regime in dict.fromkeys(name for arm in verdicts for name in p_values[arm]):
        answers = [
            answer
            for arm, rows in verdicts.items()
            for answer in collect_answers([row for row in rows if row.regime == regime], arm, "base")
        ]
        if answers:
            known = {arm: p for arm in family if (p := p_values[arm].get(regime)) is not None}
            fitted = fit(answers, "base", generator_for(regime), confidence=confidence)
            ranked[regime] = {**fitted, "holm": holm(known)}
    return ranked


def make_ways(report: Report) -> list[Way]:
    """Return how far each arm's change propagates, regimes from severe to clean."""
    found = []
    for arm, results in report.evaluations.items():
        for regime, part in _sort_severe_first(results.washout):
            symbol, tone = DIAGNOSES[part.diagnosis]
            found.append(Way(arm, regime, f"{symbol} {part.diagnosis}", tone, part))
    return found


def make_control_rows(report: Report) -> list[ControlLine]:
    """Return the controls of the evaluation: those that must stay at 1/2, and those that show headroom."""
    found: list[ControlLine] = []
    for arm, results in report.evaluations.items():
        if not found:
            base = results.controls.base_vs_base
            twice = {"place": "controls", "regime": "clean"}
            found.append(_make_half(base.half_credit, "Two seeds of the base", "clean", twice))
        kind = report.controls.get(arm)
        for regime, part in _sort_severe_first(results.regimes) if kind else ():
            half, here = part.summary.half_credit, {"place": "evaluate", "arm": arm, "regime": regime}
            if kind in ("base_again", "random_pick"):
                found.append(_make_half(half, say_title(arm), regime, here))
            else:
                found.append(_make_oracle(half, say_title(arm), regime, report.least_headroom, here))
    return found


def _make_half(half: Interval, name: str, regime: str, filters: Mapping[str, str]) -> ControlLine:
    low, high = half.low, half.high
    if low is None or high is None:
        return ControlLine(name, regime, half, "0.50", "no interval", "even", filters)
    holds = low <= 0.5 <= high
    words = ("✓ holds", "good") if holds else ("✗ off", "bad")
    return ControlLine(name, regime, half, "0.50", *words, filters)


def _make_oracle(
    half: Interval, name: str, regime: str, least: float, filters: Mapping[str, str]
) -> ControlLine:
    value = half.value
    enough = value is not None and value >= least
    chip, tone = ("✓ headroom", "good") if enough else ("no headroom", "even")
    wanted = "no gain to expect" if regime == "clean" else f"at least {least:.2f}"
    return ControlLine(name, regime, half, wanted, chip, tone, filters)


def _sort_severe_first(regimes: Mapping[Regime, T]) -> list[tuple[Regime, T]]:
    order = [*reversed(REGIMES)]
    return sorted(regimes.items(), key=lambda item: order.index(item[0]) if item[0] in order else -1)
