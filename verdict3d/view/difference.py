"""The page of two runs: what changed, what became better or worse, and whether new data is like the old."""

from __future__ import annotations

from verdict3d.records.differences import Difference, DriftTest, Paired, RateDifference
from verdict3d.records.names import Outcome
from verdict3d.view.environment import make_environment
from verdict3d.view.links import PairLinks
from verdict3d.view.words import (
    say_inputs,
    say_interval,
    say_number,
    say_p_value,
    say_signed,
    say_title,
)

OUTCOMES: dict[Outcome, str] = {
    "win": "Arm better",
    "loss": "Base better",
    "same": "Same mesh",
    "flip": "Flip",
    "close": "Close",
    "invalid": "No verdict",
}
MOST_LISTED = 200
"""Assets, parameters and pairs that the page lists of each kind; ``difference.json`` has them all."""


def render_difference(difference: Difference, pairs_page: str | None = None) -> str:
    """Return the page as one HTML document, without scripts and without anything from outside.

    Args:
        difference: What it shows.
        pairs_page: Address of the page of pairs of the later run; None: pairs lead nowhere.
    """
    return (
        make_environment()
        .get_template("difference.html.j2")
        .render(
            difference=difference,
            headline=say_headline(difference),
            summary=say_summary(difference),
            choose_tone=choose_tone,
            outcomes=OUTCOMES,
            drifted=list_drifted(difference),
            is_drifted=lambda test: is_drifted(test, difference.confidence),
            most=MOST_LISTED,
            say_p_value=say_p_value,
            pairs=PairLinks(pairs_page),
        )
    )


def is_shown(found: Paired, confidence: float) -> bool:
    """Return whether a difference is shown, all differences of the page together."""
    return found.p_adjusted is not None and found.p_adjusted <= 1 - confidence


def list_worse(difference: Difference) -> list[RateDifference]:
    """Return the win-rates that are shown to have fallen."""
    return [one for one in difference.rates if choose_tone(one, difference.confidence) == "bad"]


def choose_tone(rate: RateDifference, confidence: float) -> str:
    """Return "good" or "bad" where a win-rate is shown to have risen or fallen, else "even"."""
    found = rate.half_credit
    if not is_shown(found, confidence) or not found.value:
        return "even"
    return "good" if found.value > 0 else "bad"


def is_drifted(test: DriftTest, confidence: float) -> bool:
    """Return whether a property is shown to have drifted, all tests of the table together."""
    return test.p_adjusted <= 1 - confidence


def list_drifted(difference: Difference) -> list[DriftTest]:
    """Return what is shown to have drifted."""
    return [test for test in difference.drift if is_drifted(test, difference.confidence)]


def say_headline(difference: Difference) -> str:
    """Return the one sentence that a reader should take home."""
    if difference.before.key == difference.after.key:
        return "Nothing changed: both are the same results"
    for tone, word in (("bad", "worse"), ("good", "better")):
        shown = [one for one in difference.rates if choose_tone(one, difference.confidence) == tone]
        if shown:
            first, more = shown[0], len(shown) - 1
            also = f", and {more} more" if more else ""
            return f"{say_title(first.arm)} became {word} on {say_inputs(first.regime)}{also}"
    if not any(one.pairs for one in difference.rates):
        return "The runs have no pair in common"
    return "No win-rate is shown to have changed"


def say_summary(difference: Difference) -> list[str]:
    """Return what changed, a sentence each."""
    words = [f"Other parameters: {len(difference.parameters)}."]
    if difference.assets:
        found = difference.assets
        words.append(
            f"Assets: {len(found.came)} came, {len(found.went)} went, {len(found.changed)} changed, "
            f"{found.both} are the same."
        )
    words += [
        f"The {judge.role} judge is another one ({', '.join(judge.changed)}): differences of win-rates are "
        "differences of judges, too."
        for judge in difference.judges
        if judge.changed
    ]
    words += [
        f"Whether the {judge.role} judge is the same is not known: only one run has a certificate of it that "
        "can be read."
        for judge in difference.judges
        if judge.before is None or judge.after is None
    ]
    words += [
        f"{say_title(one.arm)}: {one.before or 'no decision'}, now {one.after or 'no decision'}."
        for one in difference.decisions
        if one.before != one.after
    ]
    words.append(f"Pairs with another verdict: {len(difference.pairs)}.")
    drifted = list_drifted(difference)
    if drifted:
        words.append(
            f"New assets are unlike the old ones in {len(drifted)} of {len(difference.drift)} tests."
        )
    elif difference.drift:
        words.append(f"None of {len(difference.drift)} tests finds the new assets unlike the old ones.")
    return words


def describe_difference(difference: Difference) -> list[str]:
    """Return a difference in lines for a terminal."""
    lines = [
        f"{difference.before.name} {difference.before.key[:8]} -> "
        f"{difference.after.name} {difference.after.key[:8]}",
        f"{say_headline(difference)}.",
        *(f"  {sentence}" for sentence in say_summary(difference)),
    ]
    lines += [f"  {say_rate(one)}" for one in difference.rates]
    lines += [
        f"  drifted: {test.name} (p {say_p_value(test.p_adjusted)} after Holm)"
        for test in list_drifted(difference)
    ]
    return lines + [f"  not compared: {sentence}" for sentence in difference.left_out]


def say_rate(rate: RateDifference) -> str:
    """Return an arm's numbers in a line."""
    found = rate.half_credit
    where = f"{rate.arm} on {say_inputs(rate.regime)}"
    if found.value is None:
        return f"{where}: no pair in common"
    bounds = f"{say_signed(found.value)} [{say_interval(found.low, found.high)}]"
    return (
        f"{where}: half-credit {say_number(found.before)} -> {say_number(found.after)}, difference {bounds}, "
        f"p {say_p_value(found.p_adjusted)} after Holm, {rate.pairs} pairs of {rate.objects} objects"
    )
