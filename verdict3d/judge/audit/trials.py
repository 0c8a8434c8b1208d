"""What a judge can do on meshes that it was not certified on: a few controls, summed up and in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from verdict3d.judge.audit.controls import repeat_word
from verdict3d.records.comparisons import Trial
from verdict3d.records.names import Outcome
from verdict3d.records.pairs import CLEAR_GRADES
from verdict3d.records.verdicts import ControlVerdict
from verdict3d.stats.winrate import SCORES, Answered, Scored, measure_win_rate

COPIES, TURNED, DAMAGE, OTHERS = "copy", "turned", "damage", "other_object"
COLOUR, CAMERA = "colour", "camera"
EQUAL = {
    COPIES: ("copies of themselves", "it sees what is not there"),
    TURNED: ("themselves turned round", "the way that a mesh faces decides"),
}
"""Trials on two meshes that are equally good: what they are, and what it means that they are told apart."""
MOST_DECIDED = 0.1
"""Share of equal meshes that may be told apart."""
_SAME_WORD: dict[float, Outcome] = {1.0: "win", 0.5: "flip", 0.0: "loss"}


def sum_up(
    rows: Sequence[ControlVerdict],
    generators: Callable[[str], np.random.Generator],
    resamples: int,
    confidence: float,
    certain: float,
) -> list[Trial]:
    """Return what each control says: damage from gross to slight, other objects, colours, cameras, equals.

    Args:
        rows: Verdicts on the controls; X is the better mesh where one is.
        generators: Gives each control a generator for its bootstrap.
        resamples: Bootstrap resamples.
        confidence: Level of the intervals.
        certain: What the lower bound on right colours must reach, as for a certificate: a judge that is not
            sure of them is not asked about any.
    """
    grades = sorted({row.grade for row in rows if row.control == DAMAGE and row.grade}, reverse=True)
    groups: dict[str, list[Answered]] = {
        f"{DAMAGE}_{grade}": [row for row in rows if row.control == DAMAGE and row.grade == grade]
        for grade in grades
    }
    groups[OTHERS] = [row for row in rows if row.control == OTHERS]
    groups[COLOUR] = [row for row in rows if row.control == COLOUR]
    said = [
        (row.object, repeat_word(row)) for row in rows if row.control == DAMAGE and row.grade in CLEAR_GRADES
    ]
    groups[CAMERA] = [Scored(name, _SAME_WORD[share]) for name, share in said if share is not None]
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
            right = low is not None and (low >= certain if name == COLOUR else low > 0.5)
            right = value <= MOST_DECIDED if name in EQUAL else right
            pairs = rate.pairs - rate.invalid
            share = rate.half_credit.record()
            found.append(Trial(name=name, pairs=pairs, objects=rate.objects, share=share, tells=right))
    return found


def describe_trials(trials: Sequence[Trial]) -> list[str]:
    """Return what the judge can do on these meshes and what it cannot, a sentence each."""
    abilities = [trial for trial in trials if trial.name not in (*EQUAL, CAMERA)]
    told = [_say_ability(trial) for trial in abilities if trial.tells]
    not_told = [_say_ability(trial) for trial in abilities if not trial.tells]
    sentences = []
    if told:
        sentences.append(f"On your meshes this judge tells {'; '.join(told)}.")
    if not_told:
        sentences.append(f"It is not shown to tell {'; '.join(not_told)}.")
    for trial in trials:
        if trial.name == CAMERA:
            share = f"in {trial.share.value:.2f}{_say_bounds(trial)} of {trial.pairs} clearly damaged meshes"
            sentences.append(
                f"Seen by other cameras it says the same {share}."
                if trial.tells
                else f"Its word follows the camera: seen by others it says the same only {share}."
            )
        if trial.name in EQUAL and trial.share.value is not None:
            what, fault = EQUAL[trial.name]
            decided = round(trial.share.value * trial.pairs)
            words = f"Of {trial.pairs} meshes against {what} it decides {decided}"
            sentences.append(f"{words}, as it should." if trial.tells else f"{words}: {fault}.")
    if trials and not any(trial.tells for trial in abilities if trial.name != COLOUR):
        sentences.append("Do not believe the numbers of this comparison: the judge cannot see these meshes.")
    return sentences


def _say_ability(trial: Trial) -> str:
    return f"{name_trial(trial)} in {trial.share.value:.2f}{_say_bounds(trial)} of {trial.pairs}"


def name_trial(trial: Trial) -> str:
    """Return what a trial asks, in words."""
    kind, _, grade = trial.name.partition("_")
    if kind == DAMAGE:
        return f"damage of grade {grade} (of 5) from the original"
    names = {
        OTHERS: "the mesh of a photo from that of another photo",
        COLOUR: "right colours from wrong ones",
        CAMERA: "the same word from other cameras",
        COPIES: "a mesh and its copy, decided",
        TURNED: "a mesh and itself turned round, decided",
    }
    return names[trial.name]


def _say_bounds(trial: Trial) -> str:
    share = trial.share
    return "" if share.low is None or share.high is None else f" [{share.low:.2f}, {share.high:.2f}]"
