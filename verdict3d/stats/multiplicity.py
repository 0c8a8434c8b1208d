"""Several arms at once: Holm's step-down procedure (Holm 1979), as p-values and as levels."""

from __future__ import annotations

from collections.abc import Mapping


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return adjusted p-values: sorted p_(k) times (n - k + 1), made monotone, at most 1.

    Args:
        p_values: p-values of the confirmatory family, by name.
    """
    adjusted: dict[str, float] = {}
    running = 0.0
    for place, name in enumerate(_ascending(p_values)):
        running = max(running, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = running
    return adjusted


def holm_levels(p_values: Mapping[str, float], alpha: float) -> dict[str, float]:
    """Return the level of each hypothesis: ``alpha`` over the number of those that are not yet rejected.

    Args:
        p_values: p-values of the confirmatory family, by name.
        alpha: Level of the whole family.
    """
    levels: dict[str, float] = {}
    left, stopped = len(p_values), False
    for name in _ascending(p_values):
        levels[name] = alpha / left
        stopped = stopped or p_values[name] > levels[name]
        if not stopped:
            left -= 1
    return levels


def _ascending(p_values: Mapping[str, float]) -> list[str]:
    return sorted(p_values, key=lambda name: (p_values[name], name))
