"""The promotion decision: PROMOTE, HOLD or REJECT, a pure function of a document of evidence.

Every condition is *met*, *failed* or *open*. One failed condition rejects the candidate, one open condition
holds it, and it is promoted when all are met. Not measured is open, never met.

All conditions must be met, so each is tested at the full alpha: the chance that a candidate is promoted
although one of them is false is at most alpha, however many they are (intersection-union test; Berger 1982).
Several candidates of one run share the alpha of the first condition by Holm's procedure. The other way round,
one failed condition among many rejects, so the others fail only at alpha divided by their number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from verdict3d.records.promotion import (
    ArmDecision,
    ConditionState,
    Evidence,
    Requirement,
    Rule,
    TallyRow,
    Word,
)
from verdict3d.stats.conditions import (
    Condition,
    Generators,
    bounded,
    certificate,
    gap,
    holdout,
    is_new,
    not_worse,
    primary,
)
from verdict3d.stats.multiplicity import holm_levels
from verdict3d.stats.tally import Tally

SMALL_CATEGORIES = "small categories, pooled"


def decide_all(
    candidates: Mapping[str, Evidence], rule: Rule, generators: Generators
) -> dict[str, ArmDecision]:
    """Decide on every candidate of a run.

    Args:
        candidates: Evidence by arm.
        rule: What was fixed beforehand.
        generators: Gives the generator for each named bootstrap.
    """
    levels = _holm_levels(candidates, rule, generators)
    return {
        arm: _decide(evidence, rule.model_copy(update={"alpha": levels[arm]}), rule.alpha, generators)
        for arm, evidence in candidates.items()
    }


def _holm_levels(candidates: Mapping[str, Evidence], rule: Rule, generators: Generators) -> dict[str, float]:
    """Return the level of each candidate's first condition."""
    p_values = {}
    for arm, evidence in candidates.items():
        tally = evidence.tallies.primary
        found = bounded(tally, 0.5, rule, rule.alpha, generators("holm")).p_value if tally else None
        p_values[arm] = 1.0 if found is None else found
    return holm_levels(p_values, rule.alpha)


def _decide(evidence: Evidence, first: Rule, alpha: float, generators: Generators) -> ArmDecision:
    rule = first.model_copy(update={"alpha": alpha})
    tallies, margins = evidence.tallies, rule.margins
    seen = len(tallies.primary or ())
    groups = category_groups(tallies.primary or (), evidence.categories, rule.category_objects)
    tests = {
        "clean inputs": (tallies.clean, margins.clean),
        "texture": (tallies.texture, margins.texture),
        "valid meshes": (tallies.validity, margins.validity),
        **{
            name if name == SMALL_CATEGORIES else f"category {name}": (tally, margins.category)
            for name, tally in groups.items()
        },
    }
    reached, word = primary(evidence, first, generators)
    conditions = [
        is_new(evidence),
        reached,
        *(not_worse(name, *test, rule, len(tests), generators) for name, test in tests.items()),
        *(certificate(role, found) for role, found in sorted(evidence.certificates.items())),
        gap(evidence.gap, rule, seen),
        holdout(evidence.holdout, rule),
    ]
    states = [condition.state for condition in conditions]
    decision: Word = "REJECT" if "failed" in states else "HOLD" if "open" in states else "PROMOTE"
    speaking: ConditionState = "failed" if decision == "REJECT" else "open"
    return ArmDecision(
        decision=decision,
        standing=word,
        reasons=[c.words for c in conditions if c.state == speaking],
        more_objects=_more_objects(conditions, seen) if decision == "HOLD" else None,
        conditions=[Requirement(**asdict(condition)) for condition in conditions],
    )


def _more_objects(conditions: Sequence[Condition], seen: int) -> int | None:
    """Return how many more objects would decide every open condition, None when no number would.

    Args:
        conditions: All of them.
        seen: Objects of the first condition; a condition on some of them (a category) gets its share of more.
    """
    needed = [0]
    for condition in conditions:
        if condition.state != "open":
            continue
        if condition.objects_to_decide is None:
            return None
        needed.append(math.ceil(condition.objects_to_decide * seen / condition.measured.get("objects", seen)))
    return max(1, max(needed) - seen)


def bar_of(decision: ArmDecision) -> Requirement:
    """Return the first condition: what the candidate has to reach against the champion."""
    return next(condition for condition in decision.conditions if condition.name == "bar")


def half_credit(decision: ArmDecision) -> float:
    """Return the half-credit against the champion; -1 where it was not measured."""
    value = bar_of(decision).measured.get("value")
    return float(value) if isinstance(value, float) else -1.0


def plan_words(decision: ArmDecision) -> str | None:
    """Return how many objects would decide on a held candidate, in a sentence; None when it is not held."""
    if decision.decision != "HOLD":
        return None
    if decision.more_objects is None:
        return "Assuming the observed effect, no number of further held-out objects would decide."
    return (
        f"About {decision.more_objects} more held-out objects are needed to decide "
        "(80% power, assuming the observed effect)."
    )


def category_groups(tally: Tally, categories: Mapping[str, str], smallest: int) -> dict[str, list[TallyRow]]:
    """Split a tally by category; categories with fewer than ``smallest`` objects make one group together."""
    groups: dict[str, list[TallyRow]] = {}
    for row in tally:
        groups.setdefault(categories[row[0]], []).append(row)
    large = {name: rows for name, rows in sorted(groups.items()) if len(rows) >= smallest}
    rest = [row for row in tally if categories[row[0]] not in large]
    return {**large, SMALL_CATEGORIES: rest} if rest else large
