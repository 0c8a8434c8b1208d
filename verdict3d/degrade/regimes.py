"""Regimes: named mixtures of operators and severities, as ``params.yaml`` defines them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from verdict3d.config_inputs import DegradeParams, RegimeParams
from verdict3d.degrade.operators import OPERATORS, degrade
from verdict3d.errors import Verdict3DError

CLEAN = "clean"
"""The regime that changes nothing; it needs no parameters."""

Applied = list[tuple[str, int]]


def regime_params(params: DegradeParams, name: str) -> RegimeParams | None:
    """Return the mixture called ``name``; None for ``clean``.

    Raises:
        Verdict3DError: No such regime.
    """
    if name == CLEAN:
        return None
    for known, regime in params.regimes.items():
        if known == name:
            return regime
    allowed = ", ".join((CLEAN, *params.regimes))
    raise Verdict3DError(f"unknown regime {name!r}; allowed: {allowed}")


def degrade_by_regime(
    image: Image.Image, regime: RegimeParams | None, rng: np.random.Generator
) -> tuple[Image.Image, Applied]:
    """Degrade a picture by ``count`` different operators drawn from a regime, each with a drawn severity.

    The drawn operators are applied in the order of :data:`verdict3d.degrade.operators.OPERATORS`.

    Args:
        image: A picture, see :func:`verdict3d.degrade.operators.degrade`.
        regime: The mixture; None leaves the picture as it is.
        rng: The same state gives the same bytes.

    Returns:
        The degraded RGBA picture, and the (operator, severity) pairs in the order of application.

    Raises:
        ItemFailure: The picture shows no object (``empty_picture``).
    """
    if regime is None:
        return (image if image.mode == "RGBA" else image.convert("RGBA")), []
    names = [name for name in OPERATORS if name in regime.operators]
    drawn = rng.choice(len(names), size=regime.count, replace=False)
    applied: Applied = [
        (names[index], int(regime.severities[rng.integers(len(regime.severities))]))
        for index in sorted(int(index) for index in drawn)
    ]
    for operator, severity in applied:
        image = degrade(image, operator, severity, rng)
    return image, applied
