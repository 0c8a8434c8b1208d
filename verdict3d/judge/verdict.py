"""One verdict: two margins, what they say, and how far they can be relied on.

A judge is shown candidates X and Y in both orders and answers with a margin for whatever stands first. With
P(first) = sigmoid(d + b), where d is the preference for X and b the bias towards the first slot, the two
margins are m1 = d + b (X first) and m2 = -d + b (Y first).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from verdict3d.errors import Verdict3DError
from verdict3d.records.names import Outcome


def preference(m1: float, m2: float) -> float:
    """Return d = (m1 - m2) / 2, positive where X is better."""
    return (m1 - m2) / 2


def position_bias(m1: float, m2: float) -> float:
    """Return b = (m1 + m2) / 2, positive where the first slot is favoured."""
    return (m1 + m2) / 2


def reliability(m1: float, m2: float) -> float:
    """Return r = |d| - |b|; positive exactly where both orders name the same candidate."""
    return abs(preference(m1, m2)) - abs(position_bias(m1, m2))


def outcome(m1: float, m2: float, tie_band: float = 0.0) -> Outcome:
    """Class two margins: win or loss of X where r is positive and not below the tie band, else a tie.

    Args:
        m1: Margin with X first.
        m2: Margin with Y first.
        tie_band: Smallest reliability of a decisive verdict, 0 or more.

    Returns:
        ``"invalid"`` where a margin is not finite.
    """
    if not (math.isfinite(m1) and math.isfinite(m2)):
        return "invalid"
    sure = reliability(m1, m2)
    if sure <= 0.0 or sure < tie_band:
        return "tie"
    return "win" if preference(m1, m2) > 0.0 else "loss"


@dataclass(frozen=True)
class Verdict:
    """What a judge says about X and Y.

    Args:
        m1: Margin logit(A) - logit(B) with X first; None where invalid.
        m2: The same with Y first; None where invalid.
        tie_band: Smallest reliability of a decisive verdict.
        reason: Why the verdict is invalid, as a short snake_case code; empty for valid ones.
        message: The same for people.
    """

    m1: float | None
    m2: float | None
    tie_band: float = 0.0
    reason: str = ""
    message: str = ""

    def __post_init__(self) -> None:
        margins = (self.m1, self.m2)
        if self.reason:
            if margins != (None, None):
                raise Verdict3DError(f"an invalid verdict ({self.reason}) has no margins, got {margins}")
        elif self.m1 is None or self.m2 is None or not all(map(math.isfinite, (self.m1, self.m2))):
            raise Verdict3DError(f"a verdict needs two finite margins or a reason, got {margins}")

    @classmethod
    def invalid(cls, reason: str, message: str = "") -> Verdict:
        """Return a verdict that could not be had."""
        return cls(None, None, reason=reason, message=message)

    @property
    def valid(self) -> bool:
        """Whether there are margins."""
        return not self.reason

    @property
    def d(self) -> float | None:
        """Preference for X; None where invalid."""
        return None if self.m1 is None or self.m2 is None else preference(self.m1, self.m2)

    @property
    def b(self) -> float | None:
        """Bias towards the first slot; None where invalid."""
        return None if self.m1 is None or self.m2 is None else position_bias(self.m1, self.m2)

    @property
    def r(self) -> float | None:
        """Reliability; None where invalid."""
        return None if self.m1 is None or self.m2 is None else reliability(self.m1, self.m2)

    @property
    def consistent(self) -> bool:
        """Whether both orders name the same candidate."""
        return self.r is not None and self.r > 0.0

    @property
    def outcome(self) -> Outcome:
        """Class of the verdict, seen from X."""
        if self.m1 is None or self.m2 is None:
            return "invalid"
        return outcome(self.m1, self.m2, self.tie_band)

    @property
    def decisive(self) -> bool:
        """Whether the verdict is a win or a loss."""
        return self.outcome in ("win", "loss")

    def flipped(self) -> Verdict:
        """Return the verdict about (Y, X)."""
        return Verdict(self.m2, self.m1, self.tie_band, self.reason, self.message)

    def row(self) -> dict[str, Any]:
        """Return the verdict as JSON values: the fields of :class:`verdict3d.records.verdicts.Judged`."""
        return {
            "m1": self.m1,
            "m2": self.m2,
            "d": self.d,
            "b": self.b,
            "r": self.r,
            "outcome": self.outcome,
            "reason": self.reason,
            "message": self.message,
        }
