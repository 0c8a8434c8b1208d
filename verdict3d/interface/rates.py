"""Win rates of rows, from wherever they come."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast, get_args

from verdict3d.errors import Verdict3DError
from verdict3d.records.names import Outcome
from verdict3d.stats.winrate import Answered, Scored, WinRate, measure_win_rate

if TYPE_CHECKING:
    import pandas as pd

_OUTCOMES: tuple[str, ...] = get_args(Outcome)


def win_rate(
    rows: Iterable[Answered | Mapping[str, Any]] | pd.DataFrame,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> WinRate:
    """Count how often X (the first mesh) is better, with intervals over objects.

    Args:
        rows: Verdicts: what :meth:`verdict3d.Judge.compare` returns, records, mappings, or a data frame. Each
            has an ``outcome`` seen from X and the ``object`` that it is about; verdicts on one object are not
            independent, so intervals are over objects. ``m1`` and ``m2`` (margins) may be missing.
        resamples: Bootstrap resamples, at least 1.
        confidence: Two-sided level of all intervals, in (0, 1).
        seed: Of the bootstrap; the same seed gives the same bounds.

    Returns:
        ``decisive`` (share of wins among decided pairs), ``half_credit`` (ties count 1/2) and ``coverage``
        (share of decided pairs) stand together, with position bias and an exact test.

    Raises:
        Verdict3DError: A row has no object, or no outcome of this project.
    """
    from verdict3d.randomness import numpy_generator

    if hasattr(rows, "to_dict"):
        rows = rows.to_dict("records")
    found = [_as_answer(row, number) for number, row in enumerate(rows)]
    return measure_win_rate(found, numpy_generator(seed, "win_rate"), resamples, confidence)


def _as_answer(row: Answered | Mapping[str, Any], number: int) -> Answered:
    if not isinstance(row, Mapping):
        if not hasattr(row, "outcome") or not hasattr(row, "object"):
            raise Verdict3DError(
                f"row {number} is a {type(row).__name__}; give rows with `object` and `outcome`, such as "
                "Judge.compare returns"
            )
        return row
    missing = [name for name in ("object", "outcome") if name not in row]
    if missing:
        there = ", ".join(map(str, row))
        raise Verdict3DError(f"row {number} has no {' and no '.join(missing)}; it has {there}")
    if row["outcome"] not in _OUTCOMES:
        raise Verdict3DError(
            f"row {number}: {row['outcome']!r} is no outcome; known are {', '.join(_OUTCOMES)}"
        )
    given = [row.get(name) for name in ("m1", "m2")]
    m1, m2 = (None if value is None or math.isnan(value) else float(value) for value in given)
    return Scored(str(row["object"]), cast(Outcome, row["outcome"]), m1, m2)
