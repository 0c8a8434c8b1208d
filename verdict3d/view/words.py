"""Numbers and verdicts in words."""

from __future__ import annotations

import re

from verdict3d.records.decisions import ArmDecision, Decision
from verdict3d.records.names import Outcome
from verdict3d.records.numbers import Standing, Summary
from verdict3d.view.content import Exhibit

MINUS = "\u2212"
NONE = "\u2013"

PAPER = {"same_base": ("flip_rate", 0.94), "contrastive": ("decisive", 0.89)}
"""What arXiv 2606.20364 reports of its training judge, by kind of pair: a measure and its value."""

PAPER_REPAIR = {"mild": 0.125, "medium": 0.25, "severe": 0.50}
"""Held-out win-rates of conditioner repair in the same paper, on 8 objects."""

SYMBOLS: dict[Standing, str] = {
    "clears": "★",
    "reaches": "▲",
    "beats": "▲",
    "undecided": "◆",
    "loses": "▼",
    "undefined": NONE,
}
SHORT: dict[Standing, str] = {
    "clears": "clears target",
    "reaches": "beats base, reaches target",
    "beats": "beats base",
    "undecided": "no clear difference",
    "loses": "loses to base",
    "undefined": "no verdict",
}
OUTCOMES: dict[Outcome, str] = {
    "win": "Adapted better",
    "loss": "Base better",
    "same": "Same mesh: not asked",
    "flip": "Flip: orders disagree",
    "close": "Close: within its error",
    "invalid": "No verdict",
}
ACRONYMS = {"dpo", "orpo", "sft"}
KINDS = {"same_base": "Same base, two seeds", "contrastive": "Contrastive: high against low quality"}


def say_title(name: str) -> str:
    """Return an identifier as words: ``conditioner_repair`` -> ``Conditioner repair``."""
    words = name.replace("_", " ").replace("-", " ").split()
    text = " ".join(word.upper() if word in ACRONYMS else word for word in words)
    return text[:1].upper() + text[1:]


def say_number(value: float | None, digits: int = 2) -> str:
    """Return a rounded number, or a dash when it is undefined."""
    if value is None:
        return NONE
    return f"{value:z.{digits}f}".replace("-", MINUS)


def say_signed(value: float | None, digits: int = 2) -> str:
    """Return a rounded number with its sign, or a dash."""
    if value is None:
        return NONE
    said = f"{value:+z.{digits}f}".replace("-", MINUS)
    return said if said.strip("+0.") else said.lstrip("+")  # nothing has no sign


def say_typeset(text: str) -> str:
    """Return a sentence with minus signs where numbers below zero are written with hyphens."""
    return re.sub(r"(?<![\w.-])-(?=\d)", MINUS, text)


def say_count(number: int, noun: str) -> str:
    """Return how many of something there are: ``1 pair``, ``2 pairs``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def say_percent(value: float | None) -> str:
    """Return a share in [0, 1] as a whole percentage, or a dash."""
    return NONE if value is None else f"{100 * value:.0f}%"


def say_interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """Return ``low to high``, or words when there is none."""
    if low is None or high is None:
        return "no interval"
    return f"{say_number(low, digits)} to {say_number(high, digits)}"


def say_p_value(p_value: float | None) -> str:
    """Return a p-value of four digits; smaller ones are less than the last of them."""
    return "< 0.0001" if p_value is not None and p_value < 0.0001 else say_number(p_value, 4)


def say_inputs(regime: str) -> str:
    """Return how a regime's inputs are called in a sentence."""
    if regime == "clean":
        return "clean inputs"
    adverbs = {"mild": "mildly", "medium": "moderately", "severe": "severely"}
    return f"{adverbs.get(regime, regime)} degraded inputs"


def say_outcome(exhibit: Exhibit) -> str:
    """Return an exhibit's verdict in words; a tie says why it is one."""
    return OUTCOMES[exhibit.outcome]


def say_ties(summary: Summary) -> str:
    """Return why valid pairs have no winner: how many are the same, flipped, or too close."""
    return f"{summary.same} same, {say_count(summary.flips, 'flip')}, {summary.close} close"


def say_headline(arm: str, regime: str, standing: Standing, target: float) -> str:
    """Return the one sentence that a reader should take home."""
    name, where = say_title(arm), say_inputs(regime)
    goal = f"{target:.2f}"
    sentences: dict[Standing, str] = {
        "clears": f"{name} clears the {goal} target on {where}",
        "reaches": f"{name} beats the base and reaches the {goal} target on {where}",
        "beats": f"{name} beats the base on {where}, short of the {goal} target",
        "undecided": f"{name} shows no clear difference from the base on {where}",
        "loses": f"{name} loses to the base on {where}",
        "undefined": f"{name} has no verdict on {where} yet",
    }
    return sentences[standing]


def say_decision(arm: str, decision: Decision) -> str:
    """Return the gate's word on a candidate; the number that it rests on stands below it."""
    return f"{decision.arms[arm].decision}: {say_title(arm)} on {say_inputs(decision.rule.regime)}"


def say_outlook(decision: ArmDecision) -> list[str]:
    """Return what would decide on a held candidate, a sentence each; nothing when it is not held."""
    outlook = decision.outlook
    if outlook is None:
        return []
    if not outlook.chances:
        return [f"No number of held-out objects would decide: {outlook.blocks}."]
    objects = (
        f"held-out objects in all, the {outlook.kept} seen among them" if outlook.kept else "new objects"
    )
    chances = (
        f"{chance.objects}: PROMOTE {chance.promote:.2f}, HOLD {chance.hold:.2f}, REJECT {chance.reject:.2f}"
        for chance in outlook.chances
    )
    return [
        f"What would decide, by number of {objects}: {'; '.join(chances)}.",
        f"With {outlook.chances[0].objects}, most often not met: {outlook.blocks} ({outlook.blocked:.2f}).",
    ]
