"""A judge with a counter: what was asked of it now, and how long it took."""

from __future__ import annotations

from time import monotonic

from verdict3d.judge.audit.planted import AuditedJudge
from verdict3d.judge.identity import JudgeIdentity
from verdict3d.judge.panel import PairRequest
from verdict3d.judge.verdict import Margins

ORDERS = 2
"""Answers to one request: either mesh is shown first."""


class AskedJudge:
    """The judge itself, asked the same; what is on record never comes here and is not counted."""

    def __init__(self, judge: AuditedJudge) -> None:
        self._judge = judge
        self.batch_size = judge.batch_size
        self.answers = 0
        self.seconds = 0.0

    @property
    def identity(self) -> JudgeIdentity:
        """The judge's own."""
        return self._judge.identity

    def showing(self, panel: str, mode: str) -> AskedJudge:
        """Return this judge, which is only ever asked with its own panel and mode."""
        assert (panel, mode) == (self.identity.panel, self.identity.mode)
        return self

    def compare(self, requests: list[PairRequest]) -> list[Margins]:
        """Answer in the order of the requests."""
        started = monotonic()
        margins = self._judge.compare(requests)
        self.seconds += monotonic() - started
        self.answers += ORDERS * len(requests)
        return margins
