"""The promotion decision: PROMOTE, HOLD or REJECT, a pure function of a document of evidence.

Every condition is *met*, *failed* or *open*. One failed condition rejects the candidate, one open condition
holds it, and it is promoted when all are met. Not measured is open, never met.

All conditions must be met, so each is tested at the candidate's full level: the chance that it is promoted
although one of them is false is at most that level, however many they are (intersection-union test; Berger
1982). A category asks for less: for no proof that it is worse. The candidates of one run share alpha by
Holm's procedure over all their conditions, and the looks that were fixed beforehand by Bonferroni's. The
other way round, one failed condition among many rejects, so the others fail only at the level divided by
their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from verdict3d.records.decisions import ArmDecision, ConditionState, Evidence, Requirement, Rule, Word
from verdict3d.stats.claims import SMALL, state_category_claims, state_claims
from verdict3d.stats.conditions import (
    Generators,
    check_certificate,
    check_claim,
    check_holdout,
    check_primary,
    is_new,
)
from verdict3d.stats.outlook import foresee


def decide_all(
    candidates: Mapping[str, Evidence], rule: Rule, generators: Generators
) -> dict[str, ArmDecision]:
    """Decide on every candidate of a run.

    Args:
        candidates: Evidence by arm.
        rule: What was fixed beforehand.
        generators: Gives the generator for each named bootstrap.
    """
    decided: dict[str, ArmDecision] = {}
    waiting = dict(candidates)
    while waiting:
        level = rule.alpha / rule.looks / len(waiting)
        at_level = rule.model_copy(update={"alpha": level})
        found = {arm: decide(evidence, at_level, generators) for arm, evidence in waiting.items()}
        decided |= found
        held = {arm: waiting[arm] for arm, mine in found.items() if mine.decision != "PROMOTE"}
        if len(held) == len(waiting):
            for arm, mine in found.items():
                if mine.decision == "HOLD":
                    outlook = foresee(waiting[arm], at_level, mine, generators("outlook"))
                    decided[arm] = mine.model_copy(update={"outlook": outlook})
            break
        waiting = held
    return decided


def decide(evidence: Evidence, rule: Rule, generators: Generators) -> ArmDecision:
    """Decide on one candidate at the level ``rule.alpha``, without an outlook."""
    categories, small = state_category_claims(evidence, rule)
    claims = [*state_claims(evidence, rule), *categories]
    reached, word = check_primary(evidence, rule, generators)
    conditions = [
        is_new(evidence),
        reached,
        *(check_claim(claim, rule, len(claims), generators) for claim in claims),
        *(check_certificate(role, found) for role, found in sorted(evidence.certificates.items())),
        check_holdout(evidence.holdout, rule),
    ]
    states = [condition.state for condition in conditions]
    decision: Word = "REJECT" if "failed" in states else "HOLD" if "open" in states else "PROMOTE"
    speaking: ConditionState = "failed" if decision == "REJECT" else "open"
    untested = [f"{what}: {why}" for what, why in evidence.untested.items()]
    if small:
        names = ", ".join(f"{name} {size}" for name, size in small.items())
        together = ", only together" if any(claim.about == SMALL for claim in categories) else ""
        untested.append(f"categories of fewer than {rule.category_objects} objects{together}: {names}")
    return ArmDecision(
        decision=decision,
        standing=word,
        reasons=[c.words for c in conditions if c.state == speaking],
        outlook=None,
        conditions=[Requirement(**asdict(condition)) for condition in conditions],
        untested=untested,
    )


def choose_bar(decision: ArmDecision) -> Requirement:
    """Return the first condition: what the candidate has to reach against the champion."""
    return next(condition for condition in decision.conditions if condition.name == "bar")


def summarise_half_credit(decision: ArmDecision) -> float:
    """Return the half-credit against the champion; -1 where it was not measured."""
    value = choose_bar(decision).measured.get("value")
    return float(value) if isinstance(value, float) else -1.0
