"""What is said of an arm beside the evaluation judge's word on its regimes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.making.meetings import Meeting
from verdict3d.config import Params
from verdict3d.judge.modes import TEXTURE_MODE
from verdict3d.randomness import numpy_generator
from verdict3d.records.generations import Generation
from verdict3d.records.numbers import Interval
from verdict3d.records.results import Shares
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.stats.bootstrap import cluster_bootstrap, divide
from verdict3d.stats.winrate import SCORES


def measure_over_optimisation(
    params: Params, training: Sequence[HeldoutVerdict], evaluation: Sequence[HeldoutVerdict], *name: str
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


def select_in_colour(pairs: Sequence[Meeting]) -> list[Meeting]:
    """Return the pairs with their montages in colour; none when a mesh has no such montage."""
    return select_in_mode(pairs, TEXTURE_MODE)


def select_in_mode(pairs: Sequence[Meeting], mode: str) -> list[Meeting]:
    """Return the pairs with their montages in ``mode``; none when a mesh has no such montage."""
    shown = [(_show_in(x, mode), _show_in(y, mode)) for x, y in pairs]
    lacking = any(made.montage is None and made.failure is None for pair in shown for made in pair)
    return [] if lacking else shown


def _show_in(made: Generation, mode: str) -> Generation:
    return made.model_copy(update={"montage": (made.montages or {}).get(mode)})


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
