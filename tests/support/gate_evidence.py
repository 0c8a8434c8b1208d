"""Evidence for the gate made by hand: one pair an object, spread evenly over the order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from verdict3d.records.decisions import (
    CertificateState,
    Champion,
    Counts,
    Evidence,
    Margins,
    ObjectEvidence,
    Rule,
)
from verdict3d.records.holdout import HoldoutUse

BASE = Champion(name="the base", version=None, arm=None, adapter=None)
RULE = Rule(
    regime="severe",
    bar="beats",
    target=0.65,
    test="fixed",
    alpha=0.025,
    looks=1,
    objects=64,
    margins=Margins(clean=0.1, category=0.2, texture=0.1, validity=0.05, f_score=0.02, people=0.1),
    f_score_gain=0.0,
    category_objects=24,
    gap_limit=0.15,
    candidates_limit=20,
    queries_limit=10_000,
    resamples=1000,
)


def counts(wins: int, losses: int, ties: int) -> list[Counts]:
    """So many of each, in an order of their own."""
    outcomes: list[Counts] = [(1, 0, 0)] * wins + [(0, 1, 0)] * losses + [(0, 0, 1)] * ties
    return [outcomes[place] for place in np.random.default_rng(wins).permutation(len(outcomes))]


def spread(mean: float, deviation: float, objects: int, seed: int = 0) -> list[tuple[float, int]]:
    """A difference of each object: half of them one deviation above the mean, half below."""
    signs = np.random.default_rng(seed).permutation(np.resize([1.0, -1.0], objects))
    return [(mean + deviation * float(sign), 1) for sign in signs]


def evidence(
    primary: tuple[int, int, int] = (46, 14, 4),
    categories: Sequence[str] = ("chair", "table"),
    **changes: Any,
) -> Evidence:
    """A candidate that meets everything, but for ``changes``.

    Args:
        primary: Wins, losses and ties in the regime; their sum is the number of objects.
        categories: Categories that the objects take in turn, or one for each object.
        changes: ``clean``, ``texture``, ``validity`` (wins, losses, ties, or None: not measured),
            ``f_score``, ``clean_f_score``, ``gap`` (mean, deviation, or None), and fields of the evidence.
    """
    objects = sum(primary)

    def counted(name: str, usual: tuple[int, int, int]) -> list[Counts]:
        wanted = changes.pop(name, usual)
        return [(0, 0, 0)] * objects if wanted is None else counts(*wanted)

    def differing(name: str, mean: float, deviation: float) -> list[tuple[float, int]]:
        wanted = changes.pop(name, (mean, deviation))
        return [(0.0, 0)] * objects if wanted is None else spread(*wanted, objects, len(name))

    columns = {
        "primary": counts(*primary),
        "clean": counted("clean", (objects // 3, objects // 4, objects - objects // 3 - objects // 4)),
        "texture": counted("texture", (objects // 3, objects // 4, objects - objects // 3 - objects // 4)),
        "validity": counted("validity", (0, 0, objects)),
        "f_score": differing("f_score", 0.1, 0.2),
        "clean_f_score": differing("clean_f_score", 0.0, 0.03),
        "gap": differing("gap", 0.02, 0.3),
    }
    rows = [
        ObjectEvidence(
            object=f"o{place:03d}",
            category=categories[place % len(categories)],
            **{name: column[place] for name, column in columns.items()},
        )
        for place in range(objects)
    ]
    certified = CertificateState(state="met", words="passed", digest=None)
    fields = {
        "champion": BASE,
        "adapter": "new",
        "objects": rows,
        "untested": {},
        "people": None,
        "certificates": dict.fromkeys(("training", "evaluation"), certified),
        "holdout": HoldoutUse(candidates=1, queries=256, looks=1),
    }
    return Evidence(**{**fields, **changes})
