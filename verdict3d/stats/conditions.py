"""What a candidate has to show before it is promoted, one condition at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from verdict3d.records.decisions import CertificateState, ConditionState, Evidence, Rule
from verdict3d.records.holdout import HoldoutUse
from verdict3d.records.numbers import Interval, Standing
from verdict3d.stats.claims import Claim
from verdict3d.stats.power import count_pairs_to_beat
from verdict3d.stats.standing import standing
from verdict3d.stats.tally import Bounded, BoundSide, average_against, count_half_credit, rows_of
from verdict3d.stats.winrate import summarise

Generators = Callable[[str], np.random.Generator]

_RANK: tuple[Standing, ...] = ("undefined", "loses", "undecided", "beats", "reaches", "clears")


@dataclass(frozen=True)
class Condition:
    """One condition: its state, in words, with the numbers it rests on.

    Attributes:
        name: Identifier.
        state: ``met``, ``failed`` or ``open``.
        words: One sentence.
        measured: What it rests on, JSON values.
        by_objects: Whether more objects can change its state.
    """

    name: str
    state: ConditionState
    words: str
    measured: Mapping[str, Any]
    by_objects: bool = False


def is_new(evidence: Evidence) -> Condition:
    """Ask whether there is anything to decide: the champion cannot challenge itself."""
    same = evidence.adapter == evidence.champion.adapter
    words = "this adapter is the champion already" if same else "this adapter is not the champion"
    return Condition("new", "open" if same else "met", words, {"adapter": evidence.adapter})


def check_primary(evidence: Evidence, rule: Rule, generators: Generators) -> tuple[Condition, Standing]:
    """Ask whether the candidate reaches the bar against the champion; return its standing too."""
    champion = evidence.champion.name
    tally = [(row.object, *row.primary) for row in evidence.objects if any(row.primary)]
    name = {
        "beats": f"beats {champion}",
        "reaches": f"beats {champion} and reaches {rule.target:g}",
        "clears": f"clears {rule.target:g} against {champion}",
    }[rule.bar] + f" on {rule.regime} inputs"
    if not tally:
        return Condition("bar", "open", f"not measured: whether it {name}", {}), "undefined"
    test = count_half_credit(
        tally, 0.5, alpha=rule.alpha, method=rule.test, rng=generators("primary"), resamples=rule.resamples
    )
    counted = summarise(rows_of(tally), generators("primary"), rule.resamples, 1 - 2 * rule.alpha)
    half = Interval(value=test.value, low=test.low, high=test.high)
    word = standing(counted.model_copy(update={"half_credit": half}), rule.target)
    beaten = test.p_value is not None and test.p_value <= rule.alpha
    # an object that neither generator made a mesh of was asked about; only its verdict is missing
    enough = rule.test == "sequential" or len(evidence.objects) >= rule.objects
    state: ConditionState = "open"
    if test.side == "below":
        state = "failed"
    elif enough and beaten and _RANK.index(word) >= _RANK.index(rule.bar):
        state = "met"
    at_target, coverage = count_pairs_to_beat(rule.target, rule.alpha), counted.coverage
    measured = {
        **test.as_dict(),
        "alpha": rule.alpha,
        "standing": word,
        "decisive": counted.decisive.model_dump(),
        "coverage": counted.coverage,
        "objects_at_target": math.ceil(at_target / coverage) if at_target and coverage else None,
    }
    verb = {"met": "shown", "failed": "refuted", "open": "not shown"}[state]
    words = f"{verb}: it {name} ({_format_numbers(test)})"
    if not enough:
        words += f"; {rule.objects} objects were fixed beforehand"
    return Condition("bar", state, words, measured, by_objects=True), word


def check_claim(claim: Claim, rule: Rule, tests: int, generators: Generators) -> Condition:
    """Ask whether a claim holds.

    Args:
        claim: The claim.
        rule: Gives level and method.
        tests: Number of claims; each is refuted only at the level divided by it.
        generators: Gives the generator for the claim's bootstrap.
    """

    def test(alpha: float, null: float) -> Bounded:
        return average_against(
            claim.totals if claim.order is None else claim.totals[list(claim.order)],
            null,
            alpha=alpha,
            method=rule.test if claim.order is None else "sequential",
            rng=generators(claim.name),
            resamples=rule.resamples,
            span=claim.span,
            counted=claim.counted,
        )

    found, strict = test(rule.alpha, claim.bound), test(rule.alpha / tests, claim.bound)
    if found.value is None:
        return Condition(claim.name, "open", f"not measured: {claim.about}", {"bound": claim.bound})
    met = found.side == "above" if claim.asks == "bound" else found.value >= claim.bound
    if claim.asks == "doubt":
        met = met or strict.high is None or strict.high >= 0.5
    state: ConditionState = "failed" if strict.side == "below" else "met" if met else "open"
    shown = _describe_turned(found) if claim.kind == "gap" else found
    measured = {**shown.as_dict(), "bound": abs(claim.bound) if claim.kind == "gap" else claim.bound}
    return Condition(claim.name, state, _describe_claim(claim, shown, state), measured, by_objects=True)


def _describe_turned(found: Bounded) -> Bounded:
    value, low, high = (None if end is None else -end for end in (found.value, found.high, found.low))
    turned: dict[BoundSide, BoundSide] = {"above": "below", "below": "above"}
    side = turned.get(found.side, found.side)
    return replace(found, null=-found.null, value=value, low=low, high=high, side=side)


def _describe_claim(claim: Claim, found: Bounded, state: ConditionState) -> str:
    if claim.kind == "credit":
        margin = f"{0.5 - claim.bound:g} worse than the champion"
        said = {
            "met": f"at most {margin}",
            "failed": f"more than {margin}",
            "open": f"not shown to be at most {margin}, {claim.bound:.3f} required",
        }
        if claim.asks == "doubt":
            said |= {
                "met": f"not shown to be {margin}",
                "open": f"worse, as far as seen {margin}",
            }
        return f"{claim.about}: {said[state]} ({_format_numbers(found)})"
    limit = f"{abs(claim.bound):g}"
    if claim.kind == "gap":
        said = {"met": f"below {limit}", "failed": f"above {limit}", "open": f"not shown to be below {limit}"}
    elif claim.bound >= 0:
        rises = f"rise by more than {limit}" if claim.bound else "rise"
        said = {"met": f"shown to {rises}", "failed": f"does not {rises}", "open": f"not shown to {rises}"}
    else:
        margin = f"{limit} below the champion's"
        said = {
            "met": f"at most {margin}",
            "failed": f"more than {margin}",
            "open": f"not shown to be at most {margin}",
        }
    bounds = "no interval" if found.low is None else f"[{found.low:+.3f}, {found.high:+.3f}]"
    return f"{claim.about}: {said[state]} ({found.value:+.3f} {bounds}, {found.objects} objects)"


def check_certificate(role: str, found: CertificateState) -> Condition:
    """Pass on what is known of a judge's certificate; without one nothing is promoted."""
    return Condition(f"certificate: {role}", found.state, f"{role} judge: {found.words}", {})


def check_holdout(used: HoldoutUse, rule: Rule) -> Condition:
    """Ask whether the held-out objects have not been asked too often to be held out still."""
    words = (
        f"candidate {used.candidates} of at most {rule.candidates_limit} on these held-out objects, "
        f"{used.queries} of at most {rule.queries_limit} questions"
    )
    if used.candidates > rule.candidates_limit or used.queries > rule.queries_limit:
        return Condition(
            "hold-out",
            "open",
            f"the held-out objects are used up ({words}); take new ones",
            used.model_dump(),
        )
    if rule.test == "fixed" and used.looks > rule.looks:
        words = (
            f"decision {used.looks} as objects were added, {rule.looks} fixed beforehand; "
            "take new held-out objects"
        )
        return Condition("hold-out", "open", words, used.model_dump())
    return Condition("hold-out", "met", words, used.model_dump())


def _format_numbers(test: Bounded) -> str:
    if test.value is None:
        return "no valid pair"
    bounds = "no interval" if test.low is None else f"[{test.low:.3f}, {test.high:.3f}]"
    return f"half-credit {test.value:.3f} {bounds}, {test.objects} objects"
