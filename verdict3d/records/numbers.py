"""Numbers that records share: estimates with their bounds, and what a set of verdicts amounts to."""

from __future__ import annotations

from typing import Literal

from verdict3d.records.record import RecordPart

Standing = Literal["clears", "reaches", "beats", "undecided", "loses", "undefined"]
"""Which claim a win-rate supports (:func:`verdict3d.stats.standing.standing`)."""


class Interval(RecordPart):
    """A point estimate with two-sided bounds; each is None when it is undefined."""

    value: float | None
    low: float | None
    high: float | None


class Decisive(Interval):
    """Share of the decisive verdicts that X won."""

    wins: int
    losses: int


class Summary(RecordPart):
    """What verdicts say about X against Y; :class:`verdict3d.stats.winrate.WinRate` says how.

    Attributes:
        pairs: All pairs, invalid ones too.
        invalid: Pairs without a verdict.
        objects: Objects with at least one valid pair.
        same: Valid pairs of one mesh, or of two that look the same: not asked.
        flips: Valid pairs whose two orders do not name the same candidate.
        close: Valid pairs whose orders agree, with a preference within its error.
        half_credit: Mean over valid pairs of win 1, loss 0 and 1/2 for the three others.
        decisive: Wins among wins and losses.
        coverage: Decisive share of the valid pairs.
        flip_rate: Share of flips among the valid pairs that were asked.
        position_bias: Mean margin for whatever is shown first.
        first_slot_share: Share of single answers that picked the first slot.
        p_value: Of "no preference", over objects.
    """

    pairs: int
    invalid: int
    objects: int
    same: int
    flips: int
    close: int
    half_credit: Interval
    decisive: Decisive
    coverage: float | None
    flip_rate: float | None
    position_bias: Interval
    first_slot_share: float | None
    p_value: float | None


class Kappa(Interval):
    """Cohen's kappa of two raters; :class:`verdict3d.stats.agreement.Agreement` says how.

    Attributes:
        pairs: Pairs that both classed.
        observed: Share of them with the same class.
        prevalence: Share of each class over both raters' answers.
    """

    pairs: int
    observed: float | None
    prevalence: dict[str, float]
