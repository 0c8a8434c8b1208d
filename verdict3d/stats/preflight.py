"""Before training: is there a signal to learn from, in which regime, and how many objects will show it?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from verdict3d.records.names import Outcome, PairKind, Regime
from verdict3d.records.numbers import Summary
from verdict3d.records.results import Preflight
from verdict3d.stats.power import count_pairs_to_beat, halve_alpha
from verdict3d.stats.winrate import SCORES


def find_signal_reasons(
    kinds: Mapping[PairKind, Summary], least_win_rate: float, least_coverage: float
) -> list[str]:
    """Return why there is no learnable signal; an empty list when there is one.

    Args:
        kinds: Win-rate summaries of the training judge by kind of pair, seen from the expected winner.
        least_win_rate: Half-credit that contrastive pairs must reach.
        least_coverage: Decisive share that they must reach.
    """
    found = kinds.get("contrastive")
    if found is None or found.half_credit.value is None or found.coverage is None:
        return ["there are no judged contrastive pairs, so nothing is known about the judge's preferences"]
    reasons = []
    if found.half_credit.value < least_win_rate:
        reasons.append(
            "the training judge prefers the better of a contrastive pair in "
            f"{found.half_credit.value:.2f} of cases; {least_win_rate:.2f} is the least"
        )
    if found.coverage < least_coverage:
        reasons.append(
            f"only {found.coverage:.2f} of the contrastive pairs are decided; "
            f"{least_coverage:.2f} is the least"
        )
    return reasons


def count_objects_needed(
    target: float, coverage: float | None, power: float, confidence: float
) -> int | None:
    """Return how many held-out objects show a decisive win-rate at ``target`` to be above 1/2.

    Args:
        target: Decisive win-rate that is hoped for.
        coverage: Decisive share of the pairs; None when no pair was judged.
        power: Wanted chance.
        confidence: Two-sided level of the evaluation's intervals, whose lower bound has to be above 1/2.

    Returns:
        The number; None when it is unknown or there is none.
    """
    pairs = count_pairs_to_beat(target, halve_alpha(confidence), power)
    return math.ceil(pairs / coverage) if pairs and coverage else None


def choose_promising_regime(headroom: Mapping[Regime, float | None], least: float) -> Regime | None:
    """Return the regime with most headroom, None when none has enough."""
    known = {name: value for name, value in headroom.items() if value is not None and value >= least}
    return max(known.items(), key=lambda pair: (pair[1], pair[0]))[0] if known else None


def measure_half_credit(outcomes: Sequence[Outcome]) -> float | None:
    """Return the mean of win 1, loss 0 and 1/2 for ties; invalid ones are left out."""
    scores = [SCORES[name] for name in outcomes if name != "invalid"]
    return sum(scores) / len(scores) if scores else None


def describe_preflight(
    found: Preflight, target: float, power: float, least_headroom: float, decided: bool = False
) -> list[str]:
    """Return what preflight found, one sentence for each question it answers.

    Args:
        found: The document of the stage ``preflight``.
        target: Decisive win-rate that is hoped for.
        power: Wanted chance to show it.
        least_headroom: Half-credit of clean against degraded that a regime needs.
        decided: Whether a candidate was promoted or rejected since: then nobody needs more objects.
    """
    sentences = ["There is a signal to learn from."]
    if not found.signal:
        went_on = " Training continues because preflight.override is on." if found.overridden else ""
        sentences = [f"There is nothing to learn from: {'; '.join(found.reasons)}.{went_on}"]
    known = found.pairs.get("contrastive")
    if known and known.half_credit.value is not None:
        half = known.half_credit
        bounds = "" if half.low is None else f" ({half.low:.2f} to {half.high:.2f})"
        sentences.append(
            f"On {known.pairs} pairs whose better mesh is known, the training judge is right in "
            f"{half.value:.2f}{bounds} of the cases (ties count half). "
            f"{known.coverage:.0%} were decided; "
            f"{known.flip_rate:.0%} flipped when the order was swapped."
        )
    for regime, part in found.headroom.items():
        if part.judge is None:
            sentences.append(f"Headroom on {regime} inputs is not known: there are no pairs.")
            continue
        truth = "" if part.truth is None else f", {part.truth:.2f} by F-score"
        room = "enough" if part.judge >= least_headroom else "too little"
        sentences.append(
            f"Headroom on {regime} inputs: the mesh made from the clean picture wins {part.judge:.2f} of "
            f"the pairs according to the judge{truth}. This is {room} "
            f"(at least {least_headroom:.2f} is required)."
        )
    needed, there = found.objects_needed, found.objects_heldout
    aim = f"a decisive win-rate of {target:.2f} above 0.50 with {power:.0%} power"
    if needed is None:
        why = "so near 0.50 is beyond all of them"
        if known is None or known.coverage is None:
            why = "no contrastive pair was judged, so how many are decided is not known"
        elif known.coverage == 0:
            why = "the judge decides no pair"
        sentences.append(f"No number of held-out objects is known to show {aim}: {why}.")
    else:
        rest = "" if decided or there >= needed else f" Raise assets.heldout by {needed - there}."
        sentences.append(f"Held-out objects: {there}, of {needed} that are needed to show {aim}.{rest}")
    return sentences
