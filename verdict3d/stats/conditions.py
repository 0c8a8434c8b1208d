"""What a candidate has to show before it is promoted, one condition at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from verdict3d.records.numbers import Interval, Standing, Summary
from verdict3d.records.promotion import CertificateState, ConditionState, Evidence, HoldoutUse, Rule
from verdict3d.stats.power import objects_for_mean, one_sided, pairs_to_beat
from verdict3d.stats.standing import LEAST_COVERAGE, standing
from verdict3d.stats.tally import Bounded, Tally, half_credit_against, rows_of
from verdict3d.stats.winrate import summary

Generators = Callable[[str], np.random.Generator]

_RANK: tuple[Standing, ...] = ("undefined", "loses", "undecided", "beats", "reaches", "certified")


@dataclass(frozen=True)
class Condition:
    """One condition: its state, in words, with the numbers it rests on.

    Attributes:
        name: Identifier.
        state: ``met``, ``failed`` or ``open``.
        words: One sentence.
        measured: What it rests on, JSON values.
        objects_to_decide: Objects in all that would decide it with 80% power, if what was seen is the truth;
            None when no number of objects would.
    """

    name: str
    state: ConditionState
    words: str
    measured: Mapping[str, Any]
    objects_to_decide: int | None = None


def bounded(tally: Tally, null: float, rule: Rule, alpha: float, rng: np.random.Generator) -> Bounded:
    """Test a tally by the rule's method at a level of its own."""
    return half_credit_against(tally, null, alpha=alpha, method=rule.test, rng=rng, resamples=rule.resamples)


def is_new(evidence: Evidence) -> Condition:
    """Ask whether there is anything to decide: the champion cannot challenge itself."""
    same = evidence.adapter == evidence.champion.adapter
    words = "this adapter is the champion already" if same else "this adapter is not the champion"
    return Condition("new", "open" if same else "met", words, {"adapter": evidence.adapter})


def primary(evidence: Evidence, rule: Rule, generators: Generators) -> tuple[Condition, Standing]:
    """Ask whether the candidate reaches the bar against the champion; return its standing too."""
    tally, champion = evidence.tallies.primary, evidence.champion.name
    name = {
        "beats": f"beats {champion}",
        "reaches": f"beats {champion} and reaches {rule.target:g}",
        "certified": f"is certainly above {rule.target:g} against {champion}",
    }[rule.bar] + f" on {rule.regime} inputs"
    if not tally:
        return Condition("bar", "open", f"not measured: whether it {name}", {}), "undefined"
    test = bounded(tally, 0.5, rule, rule.alpha, generators("primary"))
    counted = summary(rows_of(tally), generators("primary"), rule.resamples, 1 - 2 * rule.alpha)
    half = Interval(value=test.value, low=test.low, high=test.high)
    word = standing(counted.model_copy(update={"half_credit": half}), rule.target)
    beaten = test.p_value is not None and test.p_value <= rule.alpha
    enough = rule.test == "sequential" or test.objects >= rule.objects
    state: ConditionState = "open"
    if test.side == "below":
        state = "failed"
    elif enough and beaten and _RANK.index(word) >= _RANK.index(rule.bar):
        state = "met"
    at_target, coverage = pairs_to_beat(rule.target, rule.alpha), counted.coverage
    measured = {
        **test.as_dict(),
        "alpha": rule.alpha,
        "standing": word,
        "decisive": counted.decisive.model_dump(),
        "coverage": counted.coverage,
        "objects_at_target": math.ceil(at_target / coverage) if at_target and coverage else None,
    }
    needed = _objects_to_reach(test, counted, rule)
    if needed is not None and not enough:
        needed = max(needed, rule.objects)
    verb = {"met": "shown", "failed": "refuted", "open": "not shown"}[state]
    words = f"{verb}: it {name} ({_numbers(test)})"
    if not enough:
        words += f"; {rule.objects} objects were fixed beforehand"
    return Condition("bar", state, words, measured, needed), word


def _objects_to_reach(test: Bounded, counted: Summary, rule: Rule) -> int | None:
    """Plan with what was seen: objects in all that decide about the bar, None when no number would."""
    needed = test.objects_to_decide
    if needed is None or test.value is None or test.value < 0.5 or rule.bar == "beats":
        return needed
    decisive = counted.decisive
    assert decisive.value is not None and counted.coverage is not None  # half-credit above 1/2 takes a win
    above = decisive.value - rule.target
    if rule.bar == "reaches":
        return needed if above >= 0 and counted.coverage >= LEAST_COVERAGE else None
    if above <= 0 or test.value < rule.target:
        return None
    deviation = max(math.sqrt(decisive.value * (1 - decisive.value)), 0.05)
    pairs = objects_for_mean(above, deviation, rule.alpha)
    if pairs is None:
        return None
    return max(needed, math.ceil(pairs * test.objects / (decisive.wins + decisive.losses)))


def not_worse(
    name: str, tally: Tally | None, margin: float, rule: Rule, tests: int, generators: Generators
) -> Condition:
    """Ask whether the candidate is not worse than the champion by more than a margin (of half-credit)."""
    key = f"not worse: {name}"
    if not tally:
        return Condition(key, "open", f"not measured: {name}", {"margin": margin})
    null = 0.5 - margin
    test = bounded(tally, null, rule, rule.alpha, generators(key))
    strict = bounded(tally, null, rule, rule.alpha / tests, generators(key))
    state: ConditionState = "met" if test.side == "above" else "failed" if strict.side == "below" else "open"
    claim = {
        "met": f"at most {margin:g} worse than the champion",
        "failed": f"more than {margin:g} worse than the champion",
        "open": f"not shown to be at most {margin:g} worse than the champion, {null:.3f} required",
    }[state]
    words = f"{name}: {claim} ({_numbers(test)})"
    return Condition(key, state, words, {**test.as_dict(), "margin": margin}, test.objects_to_decide)


def certificate(role: str, found: CertificateState) -> Condition:
    """Pass on what is known of a judge's certificate; without one nothing is promoted."""
    return Condition(f"certificate: {role}", found.state, f"{role} judge: {found.words}", {})


def gap(found: Interval | None, rule: Rule, objects: int) -> Condition:
    """Ask whether the training judge likes the arm about as much as the evaluation judge does.

    Args:
        found: The gap; None when it was not measured.
        rule: Gives the limit.
        objects: Number of objects it was measured on.
    """
    if found is None or found.value is None:
        return Condition("over-optimisation", "open", "not measured: over-optimisation gap", {})
    low, high = (found.value if end is None else end for end in (found.low, found.high))
    state: ConditionState = "met" if high <= rule.gap_limit else "failed" if low > rule.gap_limit else "open"
    relation = {"met": "below", "failed": "above", "open": "not shown to be below"}[state]
    measured = f"{found.value:+.3f} [{low:+.3f}, {high:+.3f}]"
    words = f"over-optimisation gap {measured} is {relation} {rule.gap_limit:g}"
    level = one_sided(rule.confidence)
    deviation = (high - low) / 2 / float(norm.isf(level)) * math.sqrt(objects)
    needed = objects_for_mean(rule.gap_limit - found.value, deviation, level)
    return Condition("over-optimisation", state, words, found.model_dump(), needed)


def holdout(used: HoldoutUse, rule: Rule) -> Condition:
    """Ask whether the held-out objects have not been asked too often to be held out still."""
    over = used.candidates > rule.candidates_limit or used.queries > rule.queries_limit
    words = (
        f"candidate {used.candidates} of at most {rule.candidates_limit} on these held-out objects, "
        f"{used.queries} of at most {rule.queries_limit} questions"
    )
    if over:
        words = f"the held-out objects are used up ({words}); take new ones"
    return Condition("hold-out", "open" if over else "met", words, used.model_dump())


def _numbers(test: Bounded) -> str:
    if test.value is None:
        return "no valid pair"
    bounds = "no interval" if test.low is None else f"[{test.low:.3f}, {test.high:.3f}]"
    return f"half-credit {test.value:.3f} {bounds}, {test.objects} objects"
