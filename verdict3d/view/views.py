"""Rows for the template, in which every number is already looked up, worded and classed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from verdict3d.records.numbers import Standing, Summary
from verdict3d.records.results import RegimeResults
from verdict3d.stats.gate import summarise_half_credit
from verdict3d.stats.standing import standing
from verdict3d.view.content import REGIMES, Report
from verdict3d.view.words import (
    KINDS,
    PAPER,
    SHORT,
    SYMBOLS,
    say_decision,
    say_headline,
    say_inputs,
    say_interval,
    say_number,
    say_outlook,
    say_title,
    say_typeset,
)

DECIDED = {"PROMOTE": "good", "HOLD": "even", "REJECT": "bad"}
TONES: dict[Standing, str] = {
    "clears": "good",
    "reaches": "good",
    "beats": "good",
    "undecided": "even",
    "loses": "bad",
    "undefined": "even",
}


@dataclass(frozen=True)
class ArmInRegime:
    """One arm under one regime: what was found and which claim it supports."""

    arm: str
    regime: str
    found: RegimeResults
    standing: Standing
    texture: Summary | None

    @property
    def summary(self) -> Summary:
        """Return the evaluation judge's word."""
        return self.found.summary

    @property
    def tone(self) -> str:
        """Return "good", "even" or "bad"."""
        return TONES[self.standing]

    @property
    def chip(self) -> str:
        """Return the standing in a few words, with a symbol so that colour is not needed."""
        return f"{SYMBOLS[self.standing]} {SHORT[self.standing]}"


@dataclass(frozen=True)
class CategoryTable:
    """Half-credit of one arm by category: ``cells[category][regime]`` is a summary or None."""

    arm: str
    regimes: tuple[str, ...]
    cells: Mapping[str, Mapping[str, Summary | None]]


@dataclass(frozen=True)
class LabelLine:
    """One pair kind of the label stage beside the paper's number."""

    kind: str
    name: str
    summary: Summary
    paper_flip_rate: float | None
    paper_decisive: float | None


def collect_results(report: Report) -> list[ArmInRegime]:
    """Return every evaluated arm and regime: arms as configured, regimes from severe to clean."""
    found = []
    for arm in [*report.arms, *sorted(set(report.evaluations) - set(report.arms))]:
        evaluation = report.evaluations.get(arm)
        regimes = evaluation.regimes if evaluation else {}
        for regime in sorted(regimes, key=_rank_severity, reverse=True):
            part = regimes[regime]
            found.append(
                ArmInRegime(
                    arm=arm,
                    regime=regime,
                    found=part,
                    standing=standing(part.summary, report.target),
                    texture=evaluation.texture.get(regime) if evaluation else None,
                )
            )
    return found


def find_leading(report: Report, found: list[ArmInRegime]) -> ArmInRegime | None:
    """Return the result the headline is about: the decided arm's, or else the best on the hardest inputs."""
    defined = [result for result in found if result.summary.half_credit.value is not None]
    if report.promotion and (arm := find_decided(report)) is not None:
        about = arm, report.promotion.rule.regime
        decided = [result for result in defined if (result.arm, result.regime) == about]
        if decided:
            return decided[0]
    if not defined:
        return None
    hardest = max(_rank_severity(result.regime) for result in defined)
    rivals = [result for result in defined if _rank_severity(result.regime) == hardest]
    return max(rivals, key=lambda result: result.summary.half_credit.value or 0.0)


def find_decided(report: Report) -> str | None:
    """Return the candidate that the page is about: the chosen one, or the best; None without a decision."""
    if not (report.promotion and report.promotion.arms):
        return None
    arms = report.promotion.arms
    return report.promotion.chosen or max(sorted(arms), key=lambda name: summarise_half_credit(arms[name]))


def say_first(report: Report, lead: ArmInRegime | None) -> str:
    """Return the page's first sentence: the decision, what the leading arm shows, or where a run stopped."""
    if report.promotion and (arm := find_decided(report)) is not None:
        return say_decision(arm, report.promotion)
    if lead is None:
        return report.stopped.partition(". ")[0] or "No arm has been evaluated yet"
    return say_headline(lead.arm, lead.regime, lead.standing, report.target)


def say_reason(report: Report) -> str:
    """Return what the decision means and what it rests on, in one or two sentences; "" without one."""
    arm = find_decided(report)
    if arm is None or report.promotion is None:
        return ""
    found, champion = report.promotion.arms[arm], report.promotion.champion.name
    state = "failed" if found.decision == "REJECT" else "open"
    wanting = [_omit_numbers(row.words) for row in found.conditions if row.state == state]
    if found.decision == "PROMOTE":
        return f"It may replace {champion}: all {len(found.conditions)} conditions are met."
    kept = f"Nothing changes: {champion} stays in use."
    if not wanting:
        return kept
    some = (
        f"{len(wanting)} of {len(found.conditions)} conditions {'fail' if state == 'failed' else 'are open'}"
    )
    return f"{kept} {some}, the first: {wanting[0]}."


def _omit_numbers(words: str) -> str:
    """Return a condition's sentence without its numbers: they are of single view sets, and stand below."""
    return re.sub(r" \([^()]*\d[^()]*\)", "", words)


def choose_decided_tone(report: Report, lead: ArmInRegime | None) -> str:
    """Return the tone of the page's number: that of the decision, or else of the result."""
    arm = find_decided(report)
    if arm is not None and report.promotion is not None:
        return DECIDED[report.promotion.arms[arm].decision]
    return lead.tone if lead else "even"


def say_others(found: list[ArmInRegime], lead: ArmInRegime | None) -> list[str]:
    """Return a sentence for every other result of the leading arm."""
    if lead is None:
        return []
    verbs: dict[Standing, str] = {
        "clears": "it clears the target",
        "reaches": "it beats the base and reaches the target",
        "beats": "it beats the base",
        "undecided": "there is no clear difference from the base",
        "loses": "it loses to the base",
        "undefined": "there is no verdict",
    }
    sentences = []
    for other in found:
        if other.arm == lead.arm and other is not lead:
            half = other.summary.half_credit
            sentences.append(
                f"On {say_inputs(other.regime)}, {verbs[other.standing]}: {say_number(half.value)} "
                f"({say_interval(half.low, half.high)})."
            )
    return sentences


def make_category_tables(found: list[ArmInRegime]) -> list[CategoryTable]:
    """Return one table an arm; arms without categories are left out."""
    tables = []
    for arm in dict.fromkeys(result.arm for result in found):
        mine = [result for result in found if result.arm == arm]
        categories = sorted({category for result in mine for category in result.found.by_category})
        if categories:
            cells = {
                category: {result.regime: result.found.by_category.get(category) for result in mine}
                for category in categories
            }
            tables.append(CategoryTable(arm, tuple(result.regime for result in mine), cells))
    return tables


def make_label_lines(report: Report) -> list[LabelLine]:
    """Return the pair kinds with the paper's numbers."""
    rows = []
    for kind, summary in sorted(report.labels.items()):
        measure, value = PAPER.get(kind, ("", None))
        rows.append(
            LabelLine(
                kind=kind,
                name=KINDS.get(kind, say_title(kind)),
                summary=summary,
                paper_flip_rate=value if measure == "flip_rate" else None,
                paper_decisive=value if measure == "decisive" else None,
            )
        )
    return rows


def name_missing(report: Report) -> list[str]:
    """Return what the page cannot show, one sentence fragment each."""
    gaps = [f"arm {arm} has not been evaluated" for arm in report.arms if arm not in report.evaluations]
    trained = {curve.arm for curve in report.curves}
    gaps += [f"arm {arm} has no loss curve" for arm in report.arms if arm not in trained]
    parts = {
        "the judges have not been audited": report.audits,
        "preflight has not run": report.preflight,
        "the label stage has not run": report.labels,
        "the gallery is empty: no held-out verdicts": report.exhibits,
        "the assets stage left no quarantine record": report.quarantine is not None,
        "no stage left a record of failures": report.failures is not None,
        "no DVC lock file: outputs are not identified": report.stages,
        "the gate has not decided on promotion": report.promotion,
    }
    return gaps + [words for words, there in parts.items() if not there]


@dataclass(frozen=True)
class PromotionView:
    """The gate's decision on one candidate.

    Attributes:
        arm: The candidate.
        decision: PROMOTE, HOLD or REJECT.
        tone: "good", "even" or "bad".
        outlook: What would decide it, a sentence each.
        conditions: (symbol, tone, sentence) of each condition.
        untested: What was not tested, a sentence each.
    """

    arm: str
    decision: str
    tone: str
    outlook: tuple[str, ...]
    conditions: tuple[tuple[str, str, str], ...]
    untested: tuple[str, ...]


def collect_promotions(report: Report) -> list[PromotionView]:
    """Return the gate's decision on every candidate."""
    marks = {"met": ("✓", "good"), "open": ("?", "even"), "failed": ("✗", "bad")}
    return [
        PromotionView(
            arm=arm,
            decision=found.decision,
            tone=DECIDED[found.decision],
            outlook=tuple(say_outlook(found)),
            conditions=tuple((*marks[row.state], say_typeset(row.words)) for row in found.conditions),
            untested=tuple(found.untested),
        )
        for arm, found in (report.promotion.arms if report.promotion else {}).items()
    ]


def _rank_severity(regime: str) -> int:
    return REGIMES.index(regime) if regime in REGIMES else len(REGIMES)
