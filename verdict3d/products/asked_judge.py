"""A judge with a counter: what was asked of it now, and how long it took."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from verdict3d.judge.audit.planted import AuditedJudge
from verdict3d.judge.identity import JudgeIdentity
from verdict3d.judge.panel import PairRequest
from verdict3d.judge.verdict import Margins

ORDERS = 2
"""Answers to one request: either mesh is shown first."""


@dataclass
class Tally:
    """What was asked.

    Attributes:
        answers: Single answers, in either order.
        seconds: Time that they took.
    """

    answers: int = 0
    seconds: float = 0.0


class AskedJudge:
    """The judge itself, asked the same; what is on record never comes here and is not counted."""

    def __init__(self, judge: AuditedJudge, tally: Tally | None = None) -> None:
        self._judge = judge
        self.batch_size = judge.batch_size
        self.tally = tally or Tally()

    @property
    def identity(self) -> JudgeIdentity:
        """The judge's own."""
        return self._judge.identity

    def showing(self, panel: str, mode: str) -> AskedJudge:
        """Return the same judge asked so, counted together."""
        if (panel, mode) == (self.identity.panel, self.identity.mode):
            return self
        return AskedJudge(self._judge.showing(panel, mode), self.tally)

    def compare(self, requests: list[PairRequest]) -> list[Margins]:
        """Answer in the order of the requests."""
        started = monotonic()
        margins = self._judge.compare(requests)
        self.tally.seconds += monotonic() - started
        self.tally.answers += ORDERS * len(requests)
        return margins
