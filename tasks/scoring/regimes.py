"""What the verdicts on one arm say, by regime: the judges' word beside the truth's, and all agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from tasks.making.meetings import SIDE_MEASURES, TRUTH_MEASURES
from verdict3d.config import Params
from verdict3d.randomness import numpy_generator
from verdict3d.records.names import Outcome
from verdict3d.records.numbers import Interval, Kappa, Summary
from verdict3d.records.results import RegimeResults, Results, Shares, TruthResults
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.stats.agreement import class_by_truth, measure_agreement
from verdict3d.stats.bootstrap import cluster_bootstrap, divide
from verdict3d.stats.standing import standing
from verdict3d.stats.winrate import SCORES, Answered, Scored, summarise, summarise_slices


def judge_regime(
    params: Params, arm: str, said: Mapping[str, Sequence[HeldoutVerdict]], regime: str
) -> RegimeResults:
    """Summarise one regime: the judges' word, the evaluation judge's beside the truth's, and all agreement.

    Args:
        params: Seed, resamples, level and target.
        arm: The arm.
        said: Verdicts of the judges by role, on the same pairs.
        regime: Which pairs are looked at.
    """
    here = {role: [row for row in rows if row.regime == regime] for role, rows in said.items()}
    mine = here["evaluation"]
    judged = summarise_rows(params, mine, arm, regime)
    by_f_score, by_normals = (
        [
            Scored(row.object, class_by_truth(getattr(row.arm, measure), getattr(row.base, measure)))
            for row in mine
        ]
        for measure in TRUTH_MEASURES
    )
    words = {
        role: summarise_rows(params, rows, arm, regime, f"{role}_judge")
        for role, rows in here.items()
        if role != "evaluation"
    }
    return RegimeResults(
        summary=judged,
        standing=standing(judged, params.evaluate.target),
        by_category=summarise_slices(
            mine,
            lambda row: row.category,
            lambda category: numpy_generator(params.seed, "evaluate", arm, regime, "category", category),
            params.evaluate.bootstrap,
            params.evaluate.confidence,
        ),
        truth=TruthResults(
            f_score=summarise_rows(params, by_f_score, arm, regime, "f_score"),
            normal_consistency=summarise_rows(params, by_normals, arm, regime, "normal_consistency"),
            **average_sides(mine, SIDE_MEASURES),
        ),
        kappa_judge_truth=_measure_agreement(params, mine, by_f_score, arm, regime, "kappa"),
        training_judge=words["training"],
        third_judge=words.get("third"),
        over_optimisation_gap=measure_over_optimisation(params, here["training"], mine, arm, regime),
        judge_agreement={
            f"{one}_{other}": _measure_agreement(
                params, here[one], here[other], arm, regime, "agreement", one, other
            )
            for one, other in combinations(here, 2)
        },
    )


def measure_over_optimisation(
    params: Params, training: Sequence[Answered], evaluation: Sequence[Answered], *name: str
) -> Interval:
    """Return half-credit by the training judge minus half-credit by the evaluation judge, on the same pairs.

    Pairs that either judge has no verdict on are left out. The value is in [-1, 1], above 0 where the
    training judge likes the arm better; the bounds are a BCa interval over objects. All are None without a
    common pair, and the bounds with a single object.

    Args:
        params: Seed, resamples and level.
        training: Verdict rows of the training judge.
        evaluation: Those of the evaluation judge, in the same order.
        *name: What the bootstrap's generator is keyed by.

    Raises:
        ValueError: The rows are not of equally many pairs.
    """
    sums: dict[str, list[float]] = {}
    for mine, theirs in zip(training, evaluation, strict=True):
        if "invalid" not in (mine.outcome, theirs.outcome):
            total = sums.setdefault(mine.object, [0.0, 0.0])
            total[0] += SCORES[mine.outcome] - SCORES[theirs.outcome]
            total[1] += 1.0
    if not sums:
        return Interval(value=None, low=None, high=None)
    totals = np.array([sums[key] for key in sorted(sums)])
    rng = numpy_generator(params.seed, "evaluate", *name, "gap")
    value = float(totals[:, 0].sum() / totals[:, 1].sum())
    bounds = cluster_bootstrap(totals, divide, rng, params.evaluate.bootstrap, params.evaluate.confidence)
    low, high = bounds or (None, None)
    return Interval(value=value, low=low, high=high)


def measure_made_shares(rows: Sequence[HeldoutVerdict]) -> Shares:
    """Return the share in [0, 1] of meshes that were made, of the arm and of the base; None without rows."""

    def share(failures: Sequence[str | None]) -> float | None:
        return failures.count(None) / len(failures) if failures else None

    return Shares(
        arm=share([row.arm.failure for row in rows]), base=share([row.base.failure for row in rows])
    )


def average_sides(rows: Sequence[HeldoutVerdict], measures: Sequence[str]) -> dict[str, float | None]:
    """Return the means of truth measures for both sides, over the pairs in which both are defined.

    Args:
        rows: Verdicts with the measures of both sides.
        measures: Names of fields of a side, such as ``f_score`` (in [0, 1]).

    Returns:
        ``arm_<measure>_mean`` and ``base_<measure>_mean`` in the measure's unit; None without such a pair.
    """
    means: dict[str, float | None] = {}
    for measure in measures:
        sides = [(getattr(row.arm, measure), getattr(row.base, measure)) for row in rows]
        both = [pair for pair in sides if None not in pair]
        for place, side in enumerate(("arm", "base")):
            means[f"{side}_{measure}_mean"] = sum(pair[place] for pair in both) / len(both) if both else None
    return means


def _measure_agreement(
    params: Params, one: Sequence[Answered], other: Sequence[Answered], *name: str
) -> Kappa:
    return measure_agreement(
        [_find_asked_outcome(row) for row in one],
        [_find_asked_outcome(row) for row in other],
        [row.object for row in one],
        numpy_generator(params.seed, "evaluate", *name),
        params.evaluate.bootstrap,
        params.evaluate.confidence,
    ).record()


def _find_asked_outcome(row: Answered) -> Outcome:
    """Return the outcome of a pair; none where a mesh is missing, about which no two can disagree."""
    missing = isinstance(row, HeldoutVerdict) and bool(row.arm.failure or row.base.failure)
    return "invalid" if missing else row.outcome


def select_headline_metrics(results: Results) -> dict[str, Any]:
    """Return the numbers that DVC shows and runs are compared by, as ``metrics.json`` has them."""
    regimes = {}
    for regime, part in results.regimes.items():
        judged = part.summary
        regimes[regime] = {
            "half_credit": judged.half_credit.model_dump(),
            "decisive": judged.decisive.value,
            "coverage": judged.coverage,
            "flip_rate": judged.flip_rate,
            **{name: getattr(judged, name) for name in ("same", "flips", "close", "invalid")},
            "f_score_half_credit": part.truth.f_score.half_credit.value,
            "arm_f_score_mean": part.truth.arm_f_score_mean,
            "base_f_score_mean": part.truth.base_f_score_mean,
            "kappa_judge_truth": part.kappa_judge_truth.value,
            "judge_agreement": {name: found.value for name, found in part.judge_agreement.items()},
        }
    control = results.controls.base_vs_base
    return {
        "regimes": regimes,
        "base_vs_base": {
            "half_credit": control.half_credit.model_dump(),
            "flip_rate": control.flip_rate,
            "coverage": control.coverage,
        },
        "failures": results.failures,
    }


def summarise_rows(params: Params, rows: Sequence[Answered], *name: str) -> Summary:
    """Return the win-rate summary of rows; ``name`` keys the bootstrap's generator."""
    rng = numpy_generator(params.seed, "evaluate", *name)
    return summarise(rows, rng, params.evaluate.bootstrap, params.evaluate.confidence)
