"""What is said of an arm beside the evaluation judge's word on its regimes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.making.generation import TEXTURE_MODE
from verdict3d.config import Params
from verdict3d.randomness import numpy_generator
from verdict3d.records.files import Row
from verdict3d.stats.bootstrap import cluster_bootstrap, ratio
from verdict3d.stats.winrate import SCORES


def over_optimisation_gap(
    params: Params, training: Sequence[Row], evaluation: Sequence[Row], *name: str
) -> dict[str, float | None]:
    """Return half-credit by the training judge minus half-credit by the evaluation judge, on the same pairs.

    Pairs that either judge has no verdict on are left out. BCa interval over objects.

    Args:
        params: Seed, resamples and level.
        training: Verdict rows of the training judge.
        evaluation: Those of the evaluation judge, in the same order.
        *name: What the bootstrap's generator is keyed by.
    """
    sums: dict[str, list[float]] = {}
    for mine, theirs in zip(training, evaluation, strict=True):
        if "invalid" not in (mine["outcome"], theirs["outcome"]):
            total = sums.setdefault(str(mine["object"]), [0.0, 0.0])
            total[0] += SCORES[mine["outcome"]] - SCORES[theirs["outcome"]]
            total[1] += 1.0
    if not sums:
        return {"value": None, "low": None, "high": None}
    totals = np.array([sums[key] for key in sorted(sums)])
    rng = numpy_generator(params.seed, "evaluate", *name, "gap")
    value = float(totals[:, 0].sum() / totals[:, 1].sum())
    bounds = cluster_bootstrap(totals, ratio, rng, params.evaluate.bootstrap, params.evaluate.confidence)
    low, high = bounds or (None, None)
    return {"value": value, "low": low, "high": high}


def in_colour(pairs: Sequence[tuple[Row, Row]]) -> list[tuple[Row, Row]]:
    """Return the pairs with their montages in colour; none when a mesh has no such montage."""
    return in_mode(pairs, TEXTURE_MODE)


def in_mode(pairs: Sequence[tuple[Row, Row]], mode: str) -> list[tuple[Row, Row]]:
    """Return the pairs with their montages in ``mode``; none when a mesh has no such montage."""
    turned = []
    for x, y in pairs:
        sides = [{**row, "montage": (row["montages"] or {}).get(mode)} for row in (x, y)]
        if any(row["montage"] is None and row["failure"] is None for row in sides):
            return []
        turned.append((sides[0], sides[1]))
    return turned


def validity(rows: Sequence[Row]) -> dict[str, float | None]:
    """Return the share of meshes that were made, of the arm and of the base."""
    return {
        side: sum(row[side]["failure"] is None for row in rows) / len(rows) if rows else None
        for side in ("arm", "base")
    }


def queries(*verdicts: Sequence[Row]) -> int:
    """Return how many answers of the evaluation judge on held-out objects these verdicts are: two each."""
    return 2 * sum(row["outcome"] != "invalid" for rows in verdicts for row in rows)


def side_means(rows: Sequence[Row], measures: Sequence[str]) -> dict[str, Any]:
    """Return the means of truth measures for both sides, over the pairs in which both are defined."""
    means: dict[str, Any] = {}
    for measure in measures:
        both = [
            (row["arm"][measure], row["base"][measure])
            for row in rows
            if row["arm"][measure] is not None and row["base"][measure] is not None
        ]
        for place, side in enumerate(("arm", "base")):
            means[f"{side}_{measure}_mean"] = sum(pair[place] for pair in both) / len(both) if both else None
    return means
