"""The rule that the parameters fix before any candidate is seen."""

from __future__ import annotations

from verdict3d.config import Params
from verdict3d.records.decisions import Margins, Rule


def make_rule(params: Params) -> Rule:
    """Return the rule that the parameters fix."""
    promotion = params.promotion
    return Rule(
        regime=promotion.regime,
        bar=promotion.bar,
        target=params.evaluate.target,
        test=promotion.test,
        alpha=promotion.alpha,
        looks=promotion.looks,
        objects=promotion.objects,
        margins=Margins(**promotion.margins.model_dump()),
        f_score_gain=promotion.f_score_gain,
        category_objects=promotion.category_objects,
        gap_limit=promotion.limits.over_optimisation_gap,
        candidates_limit=promotion.limits.holdout_candidates,
        queries_limit=promotion.limits.holdout_queries,
        resamples=params.evaluate.bootstrap,
    )
