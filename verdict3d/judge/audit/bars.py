"""What a control asks: that the whole interval of one quantity lies within bounds, never its estimate alone.

A judge that is as good as a bar fails it almost always, and one that is better passes with the more certainty
the more pairs it was asked about: a certificate that was passed by luck does not exist, and one that would be
lost on other objects hardly ever is given.
"""

from __future__ import annotations

from dataclasses import dataclass

from verdict3d.records.numbers import Interval


@dataclass(frozen=True)
class Bar:
    """Bounds of a quantity.

    Args:
        of: The quantity, as people say it.
        least: The lower bound of its interval must be at least this; None where small ones are fine.
        most: The upper bound must be at most this; None where large ones are fine.
    """

    of: str
    least: float | None = None
    most: float | None = None

    @property
    def requirement(self) -> str:
        """What must hold, in words."""
        if self.least is not None and self.most is not None:
            return f"interval of {self.of} within {self.least:g} to {self.most:g}"
        if self.least is not None:
            return f"lower bound of {self.of} at least {self.least:g}"
        return f"upper bound of {self.of} at most {self.most:g}"

    def shortfall(self, found: Interval) -> str:
        """Say by how much the interval misses the bounds; empty when it does not."""
        if found.low is None or found.high is None:
            return f"{self.of} has no interval: there are too few answers"
        low, high = f"lower bound of {self.of} {found.low:.3f}", f"upper bound of {self.of} {found.high:.3f}"
        if self.least is not None and found.low < self.least:
            return f"{low} is {self.least - found.low:.3f} below {self.least:g}"
        if self.most is not None and found.high > self.most:
            return f"{high} is {found.high - self.most:.3f} above {self.most:g}"
        return ""
