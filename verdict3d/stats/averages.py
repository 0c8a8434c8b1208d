"""Averages over values of which some are undefined."""

from __future__ import annotations

from collections.abc import Sequence


def average(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are defined; None when there are none."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
