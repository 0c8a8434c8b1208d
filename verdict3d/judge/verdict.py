"""One verdict: margins from several view sets, what they say, and how far they can be relied on.

From each view set a judge is shown candidates X and Y in both orders and answers with a margin for whatever
stands first. With P(first) = sigmoid(d + b), where d is the preference for X and b the bias towards the first
slot, the two margins of a set are m1 = d + b (X first) and m2 = -d + b (Y first). A verdict's d and b are
means over the sets; how far the sets' preferences scatter gives d its standard error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from verdict3d.errors import Verdict3DError
from verdict3d.records.names import Outcome

WITHIN_ERRORS = 1.0
"""A consistent preference of fewer standard errors than this is *close*."""


@dataclass(frozen=True)
class Margins:
    """What a judge says about X and Y from one view set.

    Args:
        m1: Margin logit(A) - logit(B), in nats, with X first; None where invalid.
        m2: The same with Y first; None where invalid.
        reason: Why there are no margins, as a short snake_case code; empty where there are.
        message: The same for people.
    """

    m1: float | None
    m2: float | None
    reason: str = ""
    message: str = ""

    def __post_init__(self) -> None:
        margins = (self.m1, self.m2)
        if self.reason:
            if margins != (None, None):
                raise Verdict3DError(f"an invalid answer ({self.reason}) has no margins, got {margins}")
        elif self.m1 is None or self.m2 is None or not all(map(math.isfinite, (self.m1, self.m2))):
            raise Verdict3DError(f"an answer needs two finite margins or a reason, got {margins}")

    @classmethod
    def invalid(cls, reason: str, message: str = "") -> Margins:
        """Return an answer that could not be had."""
        return cls(None, None, reason, message)

    @property
    def valid(self) -> bool:
        """Whether there are margins."""
        return not self.reason

    @property
    def both(self) -> tuple[float, float] | None:
        """Both margins, X first and Y first; None where invalid."""
        return None if self.m1 is None or self.m2 is None else (self.m1, self.m2)

    def flip(self) -> Margins:
        """Return what is said about (Y, X)."""
        return Margins(self.m2, self.m1, self.reason, self.message)


@dataclass(frozen=True)
class Verdict:
    """What a judge says about X and Y.

    Args:
        sets: The answer from each view set, in the order of the list; empty where nothing was asked.
        reason: Why nothing was asked, as a short code; empty where sets were, and where X and Y are the same.
        message: The same for people.
    """

    sets: tuple[Margins, ...] = ()
    reason: str = ""
    message: str = ""

    def __post_init__(self) -> None:
        if self.sets and self.reason:
            raise Verdict3DError(f"a verdict that could not be asked ({self.reason}) has no answers")

    @classmethod
    def of(cls, *margins: tuple[float, float]) -> Verdict:
        """Return the verdict of view sets with these margins, X first and Y first."""
        return cls(tuple(Margins(*both) for both in margins))

    @classmethod
    def same(cls) -> Verdict:
        """Return the verdict on two meshes that are one, or look so from every view set: nothing is asked."""
        return cls()

    @classmethod
    def invalid(cls, reason: str, message: str = "") -> Verdict:
        """Return a verdict that could not be had."""
        return cls((), reason, message)

    @property
    def answered(self) -> tuple[tuple[float, float], ...]:
        """The margins of the view sets that have any."""
        return tuple(both for one in self.sets if (both := one.both) is not None)

    @property
    def valid(self) -> bool:
        """Whether there is a verdict: both are the same, or at least half of the view sets have answers."""
        return not self.reason and 2 * len(self.answered) >= len(self.sets)

    @property
    def m1(self) -> float | None:
        """Mean margin with X first; None where nothing was asked or the verdict is invalid."""
        return fmean(m1 for m1, _ in self.answered) if self.sets and self.valid else None

    @property
    def m2(self) -> float | None:
        """Mean margin with Y first, likewise."""
        return fmean(m2 for _, m2 in self.answered) if self.sets and self.valid else None

    @property
    def d(self) -> float | None:
        """Preference for X, (m1 - m2) / 2: exactly 0 where X and Y are the same; None where invalid."""
        if self.m1 is None or self.m2 is None:
            return 0.0 if self.valid else None
        return (self.m1 - self.m2) / 2

    @property
    def b(self) -> float | None:
        """Bias towards the first slot, (m1 + m2) / 2; None where nothing was asked or invalid."""
        return None if self.m1 is None or self.m2 is None else (self.m1 + self.m2) / 2

    @property
    def r(self) -> float | None:
        """Reliability |d| - |b|, positive where both orders name one candidate; None as :attr:`b`."""
        return None if self.d is None or self.b is None else abs(self.d) - abs(self.b)

    @property
    def se(self) -> float | None:
        """Standard error of d over the view sets that answered; None with fewer than two."""
        if not self.valid or len(self.answered) < 2:
            return None
        return stdev((m1 - m2) / 2 for m1, m2 in self.answered) / math.sqrt(len(self.answered))

    @property
    def outcome(self) -> Outcome:
        """Class of the verdict, seen from X.

        ``same``: X and Y are one mesh, or look so. ``flip``: the orders disagree, |d| <= |b|. ``close``: they
        agree, but |d| is within its error. Else ``win`` or ``loss``.
        """
        if not self.valid:
            return "invalid"
        if self.d is None or self.r is None:
            return "same"
        if self.r <= 0.0:
            return "flip"
        if self.se is not None and abs(self.d) < WITHIN_ERRORS * self.se:
            return "close"
        return "win" if self.d > 0.0 else "loss"

    @property
    def decisive(self) -> bool:
        """Whether the verdict is a win or a loss."""
        return self.outcome in ("win", "loss")

    def flip(self) -> Verdict:
        """Return the verdict about (Y, X)."""
        return Verdict(tuple(one.flip() for one in self.sets), self.reason, self.message)

    def row(self) -> dict[str, Any]:
        """Return the verdict as JSON values: the fields of :class:`verdict3d.records.verdicts.Judged`."""
        failed = next((one for one in self.sets if one.reason), None) if not self.valid else None
        return {
            "outcome": self.outcome,
            "m1": self.m1,
            "m2": self.m2,
            "d": self.d,
            "b": self.b,
            "r": self.r,
            "se": self.se,
            "sets": [one.both for one in self.sets],
            "reason": failed.reason if failed else self.reason,
            "message": failed.message if failed else self.message,
        }
