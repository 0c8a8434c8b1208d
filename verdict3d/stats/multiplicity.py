"""Several arms at once: Holm's step-down procedure (Holm 1979)."""

from __future__ import annotations

from collections.abc import Mapping


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return adjusted p-values: sorted p_(k) times (n - k + 1), made monotone, at most 1.

    Args:
        p_values: p-values of the family, by name.
    """
    adjusted: dict[str, float] = {}
    running = 0.0
    for place, name in enumerate(_order_ascending(p_values)):
        running = max(running, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = running
    return adjusted


def _order_ascending(p_values: Mapping[str, float]) -> list[str]:
    return sorted(p_values, key=lambda name: (p_values[name], name))
