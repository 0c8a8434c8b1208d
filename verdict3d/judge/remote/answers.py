"""What a chat server's reply says: a margin from one token's log-probabilities, or a letter in a text."""

from __future__ import annotations

import math
import re
from typing import Any

from verdict3d.errors import ItemFailure
from verdict3d.judge.local.network import LETTERS

TEXT_MARGIN = 1.0
"""Size of the margin of a text answer, which has a direction only."""

LEAST_MASS = 0.5
"""Smallest probability of A and B together: below one half the judge would rather say something else."""

_LEAST_REST = 1e-6
"""What is left of one beside the listed probabilities is rounding below this."""
_LARGEST_LOG = 0.01
"""Largest log-probability; 0 but for the rounding of a server that computes in 16 bits."""
_NOT_COMPUTED = -9999.0
"""Log-probability that OpenAI's protocol gives to tokens it did not compute."""
_SHOWN_CHARACTERS = 2000
_MARKS = r"[\s\u0120\u010a\u2581*_`'\"\u2018\u2019\u201c\u201d()\[\]{}<>.,:;!#]*"
_LETTER_TOKEN = re.compile(rf"{_MARKS}(?P<letter>[AB]){_MARKS}", re.IGNORECASE)
_NAMED = rf"{_MARKS}(?:(?:my|the|final|answer|choice|candidate|option|is){_MARKS})*"
_ANSWER = re.compile(rf"{_NAMED}(?P<letter>[AB]){_MARKS}", re.IGNORECASE)


def read_logprobs(reply: dict[str, Any], least_mass: float = LEAST_MASS) -> float:
    """Return log P(A) - log P(B), in nats, at the first token of the answer.

    Spellings of a letter (case, quotes, brackets, spaces) are merged by log-sum-exp. A letter that is not
    listed is at most as probable as the least probable listed token, and as what the listed ones leave of
    one; it counts as the smaller of these. The margin is then a lower bound in size, with the right sign.

    Args:
        reply: A chat completion with log-probabilities.
        least_mass: Smallest probability of both letters together, 0 to 1. Below it the model is about to say
            something else (reasoning, a refusal), and the letters' ratio is noise.

    Raises:
        ItemFailure: ``no_logprobs``: there are none; ``unreadable_answer``: they are no log-probabilities, a
            letter is improbable, or the other one could be as probable as the only one that is listed.
    """
    try:
        listed = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        values = [(str(entry["token"]), float(entry["logprob"])) for entry in listed]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ItemFailure("no_logprobs", f"the reply has no log-probabilities: {_show(reply)}") from error
    values = [(token, value) for token, value in values if value != _NOT_COMPUTED]
    if not values or not all(math.isfinite(value) and value <= _LARGEST_LOG for _, value in values):
        raise ItemFailure("unreadable_answer", f"values that are no log-probabilities: {_show(reply)}")
    spelled: dict[str, list[float]] = {letter: [] for letter in LETTERS}
    for token, value in values:
        if found := _LETTER_TOKEN.fullmatch(token):
            spelled[found["letter"].upper()].append(value)
    mass = sum(math.exp(value) for letter in LETTERS for value in spelled[letter])
    if mass < least_mass or not any(spelled.values()):
        raise ItemFailure(
            "unreadable_answer",
            f"A and B have probability {mass:.2g} together, below endpoint.least_mass {least_mass:g}: "
            f"{_show(reply)}",
        )
    left = 1.0 - sum(math.exp(value) for _, value in values)
    bound = min(*(value for _, value in values), math.log(max(left, _LEAST_REST)))
    first, second = (_log_sum_exp(spelled[letter]) if spelled[letter] else bound for letter in LETTERS)
    if first == second and not all(spelled.values()):
        raise ItemFailure("unreadable_answer", f"too few tokens to compare A and B: {_show(reply)}")
    return first - second


def read_text(reply: dict[str, Any]) -> float:
    """Return +1 for the answer A and -1 for B.

    The answer is the whole text, or its last line, if that is a letter with no more than a few words such as
    "Answer:" and punctuation around it.

    Raises:
        ItemFailure: ``cut_off``: the text was longer than allowed, so its end is not an answer;
            ``unreadable_answer``: it is no letter. Both show the text.
    """
    choice = reply["choices"][0]
    text = choice["message"].get("content")
    if choice.get("finish_reason") == "length":
        raise ItemFailure("cut_off", f"the answer was cut off; raise endpoint.text_tokens: {_show(text)}")
    if isinstance(text, str) and text.strip():
        for part in (text, text.strip().splitlines()[-1]):
            found = _ANSWER.fullmatch(part)
            if found:
                return TEXT_MARGIN if found["letter"].upper() == "A" else -TEXT_MARGIN
    raise ItemFailure("unreadable_answer", f"neither A nor B: {_show(text)}")


def _log_sum_exp(values: list[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def _show(part: object) -> str:
    """Return a reply, or a text, on one line."""
    return repr(part)[:_SHOWN_CHARACTERS]
