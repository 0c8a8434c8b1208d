"""What the verdicts on one arm say, by regime: the judges' word beside the truth's, and all agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from tasks.making.meetings import SIDE_MEASURES, TRUTH_MEASURES
from tasks.scoring.measures import average_sides, measure_over_optimisation
from verdict3d.config import Params
from verdict3d.randomness import numpy_generator
from verdict3d.records.files import Row
from verdict3d.records.names import Outcome
from verdict3d.records.numbers import Kappa, Summary
from verdict3d.records.results import RegimeResults, Results, TruthResults
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.stats.agreement import class_by_truth, measure_agreement
from verdict3d.stats.standing import standing
from verdict3d.stats.winrate import Answered, Scored, summarise, summarise_slices


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


def select_headline_metrics(results: Results) -> Row:
    """Return the numbers that runs are compared by."""
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
