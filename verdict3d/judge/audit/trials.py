"""What a judge can do on meshes that it was not certified on: a few controls, summed up and in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from verdict3d.records.comparisons import Trial
from verdict3d.records.verdicts import ControlVerdict
from verdict3d.stats.winrate import SCORES, Answered, Scored, measure_win_rate

COPIES, TURNED, DAMAGE, OTHERS = "copy", "turned", "damage", "other_object"
EQUAL = {
    COPIES: ("copies of themselves", "it sees what is not there"),
    TURNED: ("themselves turned round", "the way that a mesh faces decides"),
}
"""Trials on two meshes that are equally good: what they are, and what it means that they are told apart."""
MOST_DECIDED = 0.1
"""Share of equal meshes that may be told apart."""


def sum_up(
    rows: Sequence[ControlVerdict],
    generators: Callable[[str], np.random.Generator],
    resamples: int,
    confidence: float,
) -> list[Trial]:
    """Return what each control says, damage from gross to slight, then other objects, then equal meshes.

    Args:
        rows: Verdicts on the controls; X is the better mesh where one is.
        generators: Gives each control a generator for its bootstrap.
        resamples: Bootstrap resamples.
        confidence: Level of the intervals.
    """
    grades = sorted({row.grade for row in rows if row.control == DAMAGE and row.grade}, reverse=True)
    groups: dict[str, list[Answered]] = {
        f"{DAMAGE}_{grade}": [row for row in rows if row.control == DAMAGE and row.grade == grade]
        for grade in grades
    }
    groups[OTHERS] = [row for row in rows if row.control == OTHERS]
    for name in EQUAL:
        groups[name] = [
            Scored(row.object, "win" if row.outcome in ("win", "loss") else "loss")
            for row in rows
            if row.control == name and row.outcome in SCORES
        ]
    found = []
    for name, group in groups.items():
        rate = measure_win_rate(group, generators(name), resamples, confidence)
        value, low = rate.half_credit.value, rate.half_credit.low
        if value is not None:
            right = value <= MOST_DECIDED if name in EQUAL else low is not None and low > 0.5
            pairs = rate.pairs - rate.invalid
            share = rate.half_credit.record()
            found.append(Trial(name=name, pairs=pairs, objects=rate.objects, share=share, tells=right))
    return found


def describe_trials(trials: Sequence[Trial]) -> list[str]:
    """Return what the judge can do on these meshes and what it cannot, a sentence each."""
    told = [_describe_ability(trial) for trial in trials if trial.tells and trial.name not in EQUAL]
    not_told = [_describe_ability(trial) for trial in trials if not trial.tells and trial.name not in EQUAL]
    sentences = []
    if told:
        sentences.append(f"On your meshes this judge tells {'; '.join(told)}.")
    if not_told:
        sentences.append(f"It is not shown to tell {'; '.join(not_told)}.")
    for trial in trials:
        if trial.name in EQUAL and trial.share.value is not None:
            what, fault = EQUAL[trial.name]
            decided = round(trial.share.value * trial.pairs)
            words = f"Of {trial.pairs} meshes against {what} it decides {decided}"
            sentences.append(f"{words}, as it should." if trial.tells else f"{words}: {fault}.")
    if trials and not told:
        sentences.append("Do not believe the numbers of this comparison: the judge cannot see these meshes.")
    return sentences


def _describe_ability(trial: Trial) -> str:
    kind, _, grade = trial.name.partition("_")
    what = (
        f"damage of grade {grade} (of 5) from the original"
        if kind == DAMAGE
        else "the mesh of a photo from that of another photo"
    )
    share = trial.share
    interval = "" if share.low is None or share.high is None else f" [{share.low:.2f}, {share.high:.2f}]"
    return f"{what} in {share.value:.2f}{interval} of {trial.pairs}"
