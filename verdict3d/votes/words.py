"""A report of people's answers in words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from verdict3d.records.numbers import Interval, Kappa
from verdict3d.records.votes import PeopleRate, PeopleReport, Rater


def describe_people(report: PeopleReport) -> Iterator[str]:
    """Yield what people say and how judges stand to it, a line at a time."""
    careless = [rater for rater in report.raters if rater.careless]
    people = len(report.raters)
    yield (
        f"{report.votes} answers of {people} {'person' if people == 1 else 'people'}; "
        f"{report.counted} count: of careful people, about pairs that are here and have no known answer"
    )
    for rater in careless:
        yield f"  not counted: {rater.person}, {rater.votes} answers: {'; '.join(rater.careless)}"
    yield ""
    yield "agreement with one person (kappa; 1: always, 0: as by chance), on the pairs of every question;"
    yield "the run's report counts those of arms against the base"
    yield f"  another person         {_describe_kappa(report.ceiling)}"
    for role, kappa in report.judges.items():
        yield f"  {role + ' judge':<22} {_describe_kappa(kappa)}"
    for rate in report.rates:
        yield ""
        yield from _describe_rate(rate)
    if any(rater.known or rater.again for rater in report.raters):
        yield ""
        yield "care: known answers right, the same about repeated pairs, median time"
        for rater in report.raters:
            yield f"  {_describe_rater(rater)}"


def _describe_rate(rate: PeopleRate) -> Iterator[str]:
    inputs = f" on {rate.regime} inputs" if rate.regime else ""
    group = f"{rate.group}: " if rate.group else ""
    against = f"the champion ({rate.against})" if rate.place == "challenge" else rate.against
    yield (
        f"{group}{rate.arm} against {against}{inputs}: {rate.counted} of {rate.pairs} pairs count "
        f"({rate.voted} have answers)"
    )
    for who, summary in (
        ("people", rate.people),
        *((f"{role} judge", one) for role, one in rate.judges.items()),
    ):
        wins, losses = summary.decisive.wins, summary.decisive.losses
        counted = "answers" if who == "people" else "pairs"
        words = f"{wins} {counted} won, {losses} lost"
        yield f"  {who:<22} half-credit {_describe_interval(summary.half_credit)}, {words}"
    for whose, tags in ((rate.arm, rate.x_tags), (rate.against, rate.y_tags)):
        if tags:
            found = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in tags.items())
            yield f"  faults of {whose}: {found}"


def _describe_rater(rater: Rater) -> str:
    return (
        f"{rater.person}  {rater.known_right}/{rater.known}  {rater.again_same}/{rater.again}  "
        f"{rater.median_seconds:.1f} s{'  not counted' if rater.careless else ''}"
    )


def _describe_kappa(kappa: Kappa) -> str:
    if not kappa.pairs:
        return "no pair in common yet"
    share = "" if kappa.observed is None else f", the same in {kappa.observed:.0%}"
    return f"{_describe_interval(kappa)} of {kappa.pairs} answers{share}"


def _describe_interval(found: Interval) -> str:
    if found.value is None:
        return "undefined"
    bounds = "" if found.low is None or found.high is None else f" [{found.low:.2f}, {found.high:.2f}]"
    return f"{found.value:.2f}{bounds}"
