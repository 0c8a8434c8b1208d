"""What would decide on a held candidate: all conditions simulated together from what was seen.

Held-out objects are drawn with everything they carry (verdicts, category, truth, gap), so the conditions stay
as dependent as they are. What was seen is not taken for the truth: every simulation first draws a population
that the objects seen may have come from (the Bayesian bootstrap; Rubin 1981), then new objects from it, and
asks the gate's conditions about these. So the chances allow for the error of the measurement. Categories are
drawn as different as they are beyond chance: six objects with a low mean do not make a bad category.

The conditions are those of :func:`verdict3d.stats.gate.decide`. Only the bounds of a test at a fixed number
are computed otherwise: the bootstrap's BCa bounds to second order, from mean, spread and skewness (DiCiccio
and Efron 1992), so that thousands of decisions take a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import beta

from verdict3d.records.decisions import ArmDecision, Chance, Evidence, Outlook, Rule
from verdict3d.stats.betting import compute_fortunes
from verdict3d.stats.bootstrap import Array
from verdict3d.stats.claims import SMALL, Claim, collect_counts, collect_credits, state_claims, unspoiled
from verdict3d.stats.standing import LEAST_COVERAGE
from verdict3d.stats.tally import Method

Times = NDArray[np.int64]
Flags = NDArray[np.bool_]
SIMULATIONS = 1000
SIZES = (1, 2, 4, 8)
"""Numbers of objects that are simulated, as multiples of those seen (or of those fixed beforehand)."""


@dataclass(frozen=True)
class SimulatedCondition:
    """One condition in every simulation: (D,) whether it is met, and whether it has failed."""

    name: str
    met: Flags
    failed: Flags


@dataclass(frozen=True)
class Words:
    """The gate's word in every simulation, as (D,) flags; what is neither is HOLD."""

    promoted: Flags
    rejected: Flags
    conditions: Sequence[SimulatedCondition]


def foresee(evidence: Evidence, rule: Rule, decision: ArmDecision, rng: np.random.Generator) -> Outlook:
    """Simulate the decision on new held-out objects.

    Args:
        evidence: What was seen.
        rule: The rule, ``alpha`` the level that the candidate was held at.
        decision: The word on it, for the conditions that objects do not change.
        rng: For the simulations.
    """
    fixed = [found.words for found in decision.conditions if found.state == "open" and not found.by_objects]
    if fixed:
        return Outlook(chances=[], kept=0, blocks=fixed[0], blocked=1.0)
    seen = len(evidence.objects)
    kept = seen if rule.test == "sequential" or evidence.holdout.looks < rule.looks else 0
    populations = rng.dirichlet(np.ones(seen), size=SIMULATIONS)
    chances: list[Chance] = []
    blocking = "", 0.0
    for objects in (times * max(seen, rule.objects) for times in SIZES):
        if objects == kept:
            continue
        new = rng.multinomial(objects - kept, populations)
        categories = draw_categories(evidence, new, rng)
        if kept:
            new = new + 1
            categories = {
                name: categories[name] + own for name, own in choose_own_categories(evidence).items()
            }
        words = decide_drawn(evidence, rule, new, categories)
        promoted, rejected = float(words.promoted.mean()), float(words.rejected.mean())
        if not chances:
            unmet = {found.name: float((~found.met).mean()) for found in words.conditions}
            blocking = max(unmet.items(), key=lambda one: one[1])
        chances.append(
            Chance(objects=objects, promote=promoted, hold=1 - promoted - rejected, reject=rejected)
        )
    return Outlook(chances=chances, kept=kept, blocks=blocking[0], blocked=blocking[1])


def choose_own_categories(evidence: Evidence) -> dict[str, Times]:
    """Return (N,) whether each object seen is of the category, by category."""
    names = [row.category for row in evidence.objects]
    return {name: np.array([one == name for one in names], dtype=np.int64) for name in sorted(set(names))}


def draw_categories(evidence: Evidence, times: Times, rng: np.random.Generator) -> dict[str, Times]:
    """Return (D, N) how many of the drawn objects are of the category, by category.

    A drawn object keeps its category with the chance max(0, 1 - 1 / F) and else takes one at random, where F
    is that of a one-way analysis of variance of the scores: so the mean of each category is drawn towards
    that of all by the share of its deviation that is chance (James and Stein 1961).
    """
    own = choose_own_categories(evidence)
    members = np.stack(list(own.values()), axis=1)  # (N, K)
    kept = rng.binomial(times, _estimate_reliability(collect_credits(evidence.objects, "primary"), members))
    moved = rng.multinomial(times - kept, members.mean(axis=0))  # (D, N, K)
    return {name: kept * mine + moved[..., place] for place, (name, mine) in enumerate(own.items())}


def _estimate_reliability(totals: Array, members: Times) -> float:
    """Return the share of the variance between categories that is not chance, in [0, 1)."""
    asked = totals[:, 1] > 0
    scores, members = totals[asked, 0] / totals[asked, 1], members[asked]
    sizes = members.sum(axis=0)
    freedom = np.count_nonzero(sizes) - 1, len(scores) - np.count_nonzero(sizes)
    if min(freedom) < 1:
        return 0.0
    means = members.T @ scores / np.maximum(sizes, 1)
    between = float((sizes * (means - scores.mean()) ** 2).sum()) / freedom[0]
    within = float(((scores - members @ means) ** 2).sum()) / freedom[1]
    return max(0.0, 1 - within / between) if between > 0 else 0.0


def decide_drawn(evidence: Evidence, rule: Rule, times: Times, categories: Mapping[str, Times]) -> Words:
    """Return the gate's word on every drawn set of objects.

    Args:
        evidence: Objects that are drawn from.
        rule: The rule, ``alpha`` the candidate's level.
        times: (D, N) how often each object is in each set.
        categories: (D, N) how many of these are of the category, by category.
    """
    sets = times.astype(np.float64)  # products of whole numbers take much longer
    members = {name: mine.astype(np.float64) for name, mine in sorted(categories.items())}
    claims, credit = state_claims(evidence, rule), collect_credits(evidence.objects, "primary")
    asked = {name: mine @ (credit[:, 1] > 0) >= rule.category_objects for name, mine in members.items()}
    rest = sets - np.sum([members[name] * alone[:, None] for name, alone in asked.items()], axis=0)
    groups = {f"category {name}": (members[name], alone) for name, alone in asked.items()}
    groups[SMALL] = rest, rest @ (credit[:, 1] > 0) >= rule.category_objects
    tests = len(claims) + np.sum([alone for _, alone in groups.values()], axis=0)
    conditions = [
        _simulate_bar(evidence, rule, sets),
        *(_simulate_claim(claim, rule, sets, tests) for claim in claims),
    ]
    for about, (drawn, alone) in groups.items():
        if alone.any():
            found = _simulate_claim(unspoiled(about, credit, rule), rule, drawn, tests)
            conditions.append(SimulatedCondition(found.name, found.met | ~alone, found.failed & alone))
    rejected = np.any([found.failed for found in conditions], axis=0)
    met = np.all([found.met for found in conditions], axis=0)
    return Words(met & ~rejected, rejected, conditions)


def _simulate_claim(claim: Claim, rule: Rule, times: Array, tests: Array) -> SimulatedCondition:
    def side(alpha: float | Array, null: float) -> _Bounds:
        test = rule.test if claim.order is None else "sequential"
        return _find_bounds(claim.totals, null, test, alpha, times, claim.span, claim.counted)

    found, failed = side(rule.alpha, claim.bound), side(rule.alpha / tests, claim.bound).below
    met = found.above if claim.asks == "bound" else found.value >= claim.bound
    if claim.asks == "doubt":
        met = met | ~side(rule.alpha / tests, 0.5).below
    return SimulatedCondition(claim.name, met & ~failed, failed)


def _simulate_bar(evidence: Evidence, rule: Rule, times: Array) -> SimulatedCondition:
    counts = collect_counts(evidence.objects, "primary")
    totals = collect_credits(evidence.objects, "primary")
    found = _find_bounds(totals, 0.5, rule.test, rule.alpha, times)
    met = found.above
    if rule.test == "fixed":
        balances = counts[:, 0] - counts[:, 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            # exact sign-flip test, by the normal distribution with half a step of 2 as correction
            extreme = (times @ balances - 1) / np.sqrt(times @ balances**2)
        met = met & (ndtr(-np.nan_to_num(extreme)) <= rule.alpha) & (times.sum(axis=1) >= rule.objects)
    if rule.bar != "beats":
        wins, losses, ties = times @ counts[:, 0], times @ counts[:, 1], times @ counts[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            decisive, coverage = wins / (wins + losses), (wins + losses) / (wins + losses + ties)
        low = beta.ppf(rule.alpha, wins, losses + 1)
        if (counts.sum(axis=1) > 1).any():
            level = np.full(len(times), rule.alpha)
            low = np.minimum(
                low, _find_interval(counts[:, 0], counts[:, :2].sum(axis=1), decisive, level, times)[0]
            )
        clears = (low > rule.target) & (found.value >= rule.target)
        reaches = clears | ((decisive >= rule.target) & (coverage >= LEAST_COVERAGE))
        met = met & (clears if rule.bar == "clears" else reaches)
    return SimulatedCondition("bar", met, found.below)


@dataclass(frozen=True)
class _Bounds:
    value: Array
    above: Flags
    below: Flags


def _find_bounds(
    totals: Array,
    null: float,
    test: Method,
    alpha: float | Array,
    times: Array,
    span: tuple[float, float] = (0.0, 1.0),
    counted: bool = True,
) -> _Bounds:
    """Return the mean of every drawn set and on which side of ``null`` its interval lies.

    See :func:`verdict3d.stats.tally.average_against` for ``totals``, ``span`` and ``counted``.
    """
    least, width = span[0], span[1] - span[0]
    sums, pairs = (totals[:, 0] - least * totals[:, 1]) / width, totals[:, 1]
    bound = (null - least) / width
    with np.errstate(divide="ignore", invalid="ignore"):
        if test == "sequential":
            mean = (times @ np.where(pairs > 0, sums / pairs, 0.0)) / (times @ (pairs > 0))
            above, below = _place_bets(sums, pairs, bound, alpha, times)
        else:
            mean = (times @ sums) / (times @ pairs)
            low, high = _find_interval(sums, pairs, mean, np.broadcast_to(alpha, mean.shape), times, counted)
            above, below = low > bound, high < bound
    return _Bounds(least + width * mean, above, below)


def _find_interval(
    sums: Array, pairs: Array, mean: Array, alpha: Array, times: Array, counted: bool = True
) -> tuple[Array, Array]:
    """Return BCa bounds of a mean in [0, 1] to second order, NaN where there are none."""
    objects = times @ (pairs > 0)
    # sums over objects of (s - mean * t)^k, written out in the moments of s and t
    powers = [sums**2, sums * pairs, pairs**2, sums**3, sums**2 * pairs, sums * pairs**2, pairs**3, pairs]
    s2, st, t2, s3, s2t, st2, t3, total = (times @ np.stack(powers, axis=1)).T
    square = s2 - 2 * mean * st + mean**2 * t2
    cube = s3 - 3 * mean * s2t + 3 * mean**2 * st2 - mean**3 * t3
    equal = square <= 1e-9 * objects
    error = np.sqrt(np.maximum(square, 0.0)) / total
    shift = np.where(equal, 0.0, cube / 6 / np.maximum(square, 1e-300) ** 1.5)  # acceleration, and bias too
    others = (1 - alpha ** (1 / np.maximum(objects, 1))) * counted
    ends = []
    for sign in (-1.0, 1.0):
        moved = shift + sign * -ndtri(alpha)
        level = shift + moved / (1 - shift * moved)
        end = mean + error * (level + shift * (level**2 - 1))
        unanimous = mean * (1 - others) + (others if sign > 0 else 0.0)
        ends.append(np.where(objects < 2, np.nan, np.where(equal, unanimous, end)))
    return ends[0], ends[1]


def _place_bets(
    sums: Array, pairs: Array, bound: float, alpha: float | Array, times: Array
) -> tuple[Flags, Flags]:
    """Return whether a player has ever won 1 / alpha against "mean <= bound", and against ">= bound"."""
    scores = np.where(pairs > 0, sums / np.where(pairs > 0, pairs, 1.0), bound)
    rng = np.random.default_rng(0)  # independent draws may come in any order; all claims see the same one
    values = np.full((int(times.sum(axis=1).max()), len(times)), np.nan)
    for place, row in enumerate(times):
        drawn = np.repeat(scores, row.astype(np.int64))
        values[: drawn.size, place] = rng.permutation(drawn)
    ends = [
        np.fmax.reduce(compute_fortunes(one, np.full(len(times), null)), axis=0, initial=1.0) >= 1 / alpha
        for one, null in ((values, bound), (1 - values, 1 - bound))
    ]
    return ends[0], ends[1]
