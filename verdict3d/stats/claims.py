"""What a candidate has to show in numbers: that means over held-out objects lie above bounds.

The same claims are tested by the gate (:mod:`verdict3d.stats.conditions`) and simulated
(:mod:`verdict3d.stats.outlook`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from verdict3d.records.decisions import Evidence, ObjectEvidence, Rule
from verdict3d.stats.bootstrap import Array

Credit = Literal["primary", "clean", "texture", "validity"]
Difference = Literal["f_score", "clean_f_score", "gap"]
Kind = Literal["credit", "f_score", "gap"]
SMALL = "small categories, pooled"


@dataclass(frozen=True)
class Claim:
    """That the mean of a quantity over an object's pairs lies above a bound.

    Attributes:
        name: Identifier of its condition.
        about: What it is about, in words.
        kind: What is averaged: ``credit`` (half-credit in [0, 1]), or a difference in [-1, 1]; a ``gap`` is
            turned round, so that large is good.
        totals: (N, 2) sum and number of pairs by object; a row of zeros where nothing was measured.
        bound: What the mean has to be above.
        asks: What has to be above it: the lower ``bound`` of the mean's interval; in ``doubt``, the estimate
            of whatever is shown to be worse than the champion at all.
        order: Places of the objects in an order drawn beforehand, where answers go on coming in and each may
            be looked at: then bounds hold at any number of looks. None: the rule's test.
    """

    name: str
    about: str
    kind: Kind
    totals: Array
    bound: float
    asks: Literal["bound", "doubt"] = "bound"
    order: tuple[int, ...] | None = None

    @property
    def counted(self) -> bool:
        """Return whether it is about verdicts, not about a measure."""
        return self.kind != "f_score"

    @property
    def span(self) -> tuple[float, float]:
        """Return the smallest and the largest value of one pair."""
        return (0.0, 1.0) if self.kind == "credit" else (-1.0, 1.0)


def collect_credits(objects: Sequence[ObjectEvidence], quantity: Credit) -> Array:
    """Return (N, 2) half-credit and number of pairs by object."""
    counts = collect_counts(objects, quantity)
    return np.stack([counts[:, 0] + 0.5 * counts[:, 2], counts.sum(axis=1)], axis=1)


def collect_counts(objects: Sequence[ObjectEvidence], quantity: Credit) -> Array:
    """Return (N, 3) wins, losses and ties by object."""
    return np.array([getattr(row, quantity) for row in objects], dtype=np.float64).reshape(-1, 3)


def collect_differences(objects: Sequence[ObjectEvidence], quantity: Difference) -> Array:
    """Return (N, 2) sum of a difference and number of pairs by object."""
    return np.array([getattr(row, quantity) for row in objects], dtype=np.float64).reshape(-1, 2)


def state_claims(evidence: Evidence, rule: Rule) -> list[Claim]:
    """Return all claims but those about categories and that of ``conditions.check_primary``."""
    objects, margins = evidence.objects, rule.margins
    claims = [not_worse("clean inputs", collect_credits(objects, "clean"), margins.clean)]
    if "texture" not in evidence.untested:
        claims.append(not_worse("texture", collect_credits(objects, "texture"), margins.texture))
    claims.append(not_worse("valid meshes", collect_credits(objects, "validity"), margins.validity))
    if "truth" not in evidence.untested:
        gain, clean = (collect_differences(objects, name) for name in ("f_score", "clean_f_score"))
        where = f"F-score on {rule.regime} inputs"
        claims += [
            Claim("truth: gain", where, "f_score", gain, rule.f_score_gain),
            Claim("truth: clean inputs", "F-score on clean inputs", "f_score", clean, -margins.f_score),
        ]
    if evidence.people is not None:
        claims.append(believed_by_people(evidence, margins.people))
    gap = collect_differences(objects, "gap") * (-1.0, 1.0)
    return [*claims, Claim("over-optimisation", "over-optimisation gap", "gap", gap, -rule.gap_limit)]


def state_category_claims(evidence: Evidence, rule: Rule) -> tuple[list[Claim], dict[str, int]]:
    """Return the claims about categories, and the objects of those too small to be tested alone.

    The small ones are tested together if they have as many objects between them. If ten categories had to be
    shown to be no worse, chance would hold a good candidate, and more often when objects are added to a
    category until it is tested. So a category is in the way only where it is shown to be worse than the
    champion, which for categories that are not has a chance of at most alpha over all of them.
    """
    credit = collect_credits(evidence.objects, "primary")
    category = np.array([row.category for row in evidence.objects])
    measured = credit[:, 1] > 0
    sizes = {name: int((measured & (category == name)).sum()) for name in sorted(set(category.tolist()))}
    small = {name: size for name, size in sizes.items() if size < rule.category_objects}
    claims = [
        unspoiled(f"category {name}", credit * (category == name)[:, None], rule)
        for name in sizes
        if name not in small
    ]
    if sum(small.values()) >= rule.category_objects:
        together = np.isin(category, list(small))[:, None]
        claims.append(unspoiled(SMALL, credit * together, rule))
    return claims, small


def not_worse(about: str, totals: Array, margin: float) -> Claim:
    """Return the claim that half-credit is at most ``margin`` below 1/2; ``totals`` as in :class:`Claim`."""
    return Claim(f"not worse: {about}", about, "credit", totals, 0.5 - margin)


def believed_by_people(evidence: Evidence, margin: float) -> Claim:
    """Return the claim that people do not find the candidate worse, of the objects they were asked about."""
    places = {row.object: place for place, row in enumerate(evidence.objects)}
    totals = np.zeros((len(evidence.objects), 2))
    order = []
    for name, wins, losses, ties in evidence.people or ():
        totals[places[name]] = wins + 0.5 * ties, wins + losses + ties
        order.append(places[name])
    return replace(not_worse("people", totals, margin), order=tuple(order))


def unspoiled(about: str, totals: Array, rule: Rule) -> Claim:
    """Return the claim that some of the objects are not worse by more than the margin of a category."""
    return replace(not_worse(about, totals, rule.margins.category), asks="doubt")
