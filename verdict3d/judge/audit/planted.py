"""Bad judges on purpose: what an audit must catch. A fire drill, never a judge.

Each stands in the place of a real judge and has one fault: ``always-first`` takes whatever is shown first,
``reference-blind`` is the real judge that never sees the reference, ``coin-flip`` guesses, and
``follows-the-camera`` prefers, in both orders, what a view set happens to favour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, get_args

import numpy as np

from verdict3d.config_judges import PlantedFault
from verdict3d.errors import Verdict3DError
from verdict3d.judge.identity import JudgeIdentity
from verdict3d.judge.panel import PairRequest, Panel
from verdict3d.judge.store import Judge
from verdict3d.judge.verdict import Margins
from verdict3d.provenance import digest_json
from verdict3d.randomness import numpy_generator

PLANTED = get_args(PlantedFault)


class AuditedJudge(Judge, Protocol):
    """What an audit can ask: a judge that can be shown other panels and montages in other modes."""

    def showing(self, panel: str, mode: str) -> AuditedJudge:
        """Return the same judge, asked so."""


class PlantedJudge:
    """A bad judge in the place of ``judge``, with an identity of its own."""

    def __init__(self, name: str, judge: AuditedJudge) -> None:
        self.name = name
        self.judge = judge
        self.batch_size = judge.batch_size

    @property
    def identity(self) -> JudgeIdentity:
        """Not the real judge's: its verdicts are never taken for those."""
        real = self.judge.identity
        planted = {
            "model": f"{self.name} instead of {real.model}",
            "weights": digest_json([self.name, real.weights]),
        }
        return JudgeIdentity(**real.model_dump() | planted)

    def showing(self, panel: str, mode: str) -> PlantedJudge:
        """Return the same fault over the other view."""
        return PlantedJudge(self.name, self.judge.showing(panel, mode))

    def compare(self, requests: Sequence[PairRequest]) -> list[Margins]:
        """Answer in the order of the requests, badly."""
        if self.name == "always-first":
            return [Margins(2.0, 2.0) for _ in requests]
        if self.name == "coin-flip":
            return [Margins(*self._toss_coin(request)) for request in requests]
        if self.name == "follows-the-camera":
            return [Margins(*self._favour(request)) for request in requests]
        return self.judge.compare([without_reference(request) for request in requests])

    def _toss_coin(self, request: PairRequest) -> tuple[float, float]:
        """Guess each order from each view set by itself; the same question gets the same guess."""
        orders = ((request.x, request.y), (request.y, request.x))
        about = ("coin", request.reference, request.rig)
        return tuple(  # type: ignore[return-value]
            float(numpy_generator(0, *about, *order).normal()) for order in orders
        )

    def _favour(self, request: PairRequest) -> tuple[float, float]:
        """Prefer one mesh of the pair for sure: which one, the view set decides."""
        pair = sorted((request.x, request.y))
        first = numpy_generator(0, "camera", request.rig, *pair).random() < 0.5
        d = 3.0 if first == (request.x == pair[0]) else -3.0
        return d, -d


def without_reference(request: PairRequest) -> PairRequest:
    """Return the question with a black picture for a reference."""
    panel = request.panel
    blank = np.zeros_like(panel.reference)
    return PairRequest(Panel(blank, panel.x, panel.y), request.reference, request.x, request.y, request.rig)


def plant(name: str, judge: AuditedJudge) -> PlantedJudge:
    """Return the bad judge ``name`` in the place of ``judge``.

    Raises:
        Verdict3DError: There is no such fault.
    """
    if name not in PLANTED:
        raise Verdict3DError(f"no planted judge {name!r}; there are: {', '.join(PLANTED)}")
    return PlantedJudge(name, judge)
