"""Section ``promotion`` of ``params.yaml``: what is fixed before a candidate is seen."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from verdict3d.config_arms import Regime
from verdict3d.config_values import Choices, Count, Name, Section, Share

Margin = Annotated[float, Field(gt=0.0, lt=0.5)]


class MarginParams(Section):
    """How much half-credit against the champion may be below 1/2, by what is compared.

    ``f_score`` is how much the mean F-score on clean inputs may be below the champion's.
    """

    clean: Margin
    category: Margin
    texture: Margin
    validity: Margin
    f_score: Margin
    people: Margin


class PromotionLimits(Section):
    """What no candidate may exceed."""

    over_optimisation_gap: Share
    holdout_candidates: Count
    holdout_queries: Count


class PromotionParams(Section):
    """Stages ``challenge`` and ``gate``: what is fixed before a candidate is seen."""

    arms: Choices[Name] = Field(min_length=1, max_length=3)
    regime: Regime
    bar: Literal["beats", "reaches", "clears"]
    test: Literal["fixed", "sequential"]
    batch_objects: Count
    alpha: float = Field(gt=0.0, le=0.1)
    looks: Count
    objects: Count
    category_objects: Annotated[int, Field(ge=2, le=1_000_000_000)]
    margins: MarginParams
    f_score_gain: Share
    limits: PromotionLimits
