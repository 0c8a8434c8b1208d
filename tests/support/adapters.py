"""Where the adapters of tests come from."""

from __future__ import annotations

from support.rows import filled
from verdict3d.config_arms import AnyArm, SearchParams
from verdict3d.records.adapters import AdapterOrigin


def make_origin(arm: str, base_digest: str, params: AnyArm | None = None) -> AdapterOrigin:
    """The origin of an adapter of this arm on this base; without settings the arm is a search."""
    settings = params or SearchParams(method="search", samples=2, pick="random")
    return filled(AdapterOrigin, arm=arm, base_digest=base_digest, method=settings.method, params=settings)
