"""Which claim a win-rate supports, by rules that are fixed in advance."""

from __future__ import annotations

from verdict3d.records.numbers import Standing, Summary

LEAST_COVERAGE = 0.4
"""Decisive share below which a decisive win-rate rests on too few verdicts to compare with the paper's."""


def standing(summary: Summary, target: float) -> Standing:
    """Class a :func:`verdict3d.stats.winrate.summarise` against the base (win-rate 1/2) and the target.

    At the summary's confidence c each bound is a one-sided one at (1 + c) / 2.

    * ``clears``: lower bound of decisive > target and half-credit >= target;
    * ``reaches``: beats, decisive >= target and coverage >= 0.4 (the paper's number, on enough verdicts);
    * ``beats``: lower bound of half-credit > 1/2;
    * ``loses``: upper bound of half-credit < 1/2;
    * ``undecided``: the interval of half-credit holds 1/2;
    * ``undefined``: there is no interval.
    """
    half, decisive = summary.half_credit, summary.decisive
    if half.value is None or half.low is None or half.high is None:
        return "undefined"
    if half.high < 0.5:
        return "loses"
    if half.low <= 0.5:
        return "undecided"
    if decisive.low is not None and decisive.low > target and half.value >= target:
        return "clears"
    enough = summary.coverage is not None and summary.coverage >= LEAST_COVERAGE
    if enough and decisive.value is not None and decisive.value >= target:
        return "reaches"
    return "beats"
