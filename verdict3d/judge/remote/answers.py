"""What a chat server's reply says: a margin from one token's log-probabilities, or a letter in a text."""

from __future__ import annotations

import math
import re
from typing import Any

from verdict3d.errors import ItemFailure
from verdict3d.judge.local.network import LETTERS

TEXT_MARGIN = 1.0
"""Size of the margin of a text answer, which has a direction only."""

_KEPT_CHARACTERS = 2000
_MARKS = r"[\s*_`'\"()\[\]{}.:!#]*"
_NAMED = rf"{_MARKS}(?:(?:my|the|final|answer|choice|candidate|option|is){_MARKS})*"
_ANSWER = re.compile(rf"{_NAMED}(?P<letter>[AB]){_MARKS}", re.IGNORECASE)


def margin_from_logprobs(reply: dict[str, Any]) -> float:
    """Return log P(A) - log P(B) at the first token of the answer.

    Spellings of a letter are merged by log-sum-exp. A letter that is not among the listed tokens is at most
    as probable as the least of them and is counted as that: the margin is a lower bound in size.

    Raises:
        ItemFailure: ``no_logprobs``: there are none; ``unreadable_answer``: they are no numbers, or neither
            letter is among them.
    """
    try:
        listed = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        values = [(str(entry["token"]), float(entry["logprob"])) for entry in listed]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ItemFailure("no_logprobs", f"the reply has no log-probabilities: {_shown(reply)}") from error
    if not values or not all(math.isfinite(value) for _, value in values):
        raise ItemFailure("unreadable_answer", f"log-probabilities that are no numbers: {_shown(reply)}")
    spelled = {
        letter: [value for token, value in values if token.strip(" \n\t\u0120\u2581") == letter]
        for letter in LETTERS
    }
    if not any(spelled.values()):
        raise ItemFailure("unreadable_answer", f"neither A nor B is likely: {_shown(reply)}")
    least = min(value for _, value in values)
    first, second = (_log_sum_exp(spelled[letter] or [least]) for letter in LETTERS)
    return first - second


def margin_from_text(reply: dict[str, Any]) -> float:
    """Return +1 for the answer A and -1 for B.

    The answer is the whole text, or its last line, if that is a letter with no more than a few words such as
    "Answer:" and punctuation around it.

    Raises:
        ItemFailure: ``unreadable_answer``, with the text.
    """
    text = reply["choices"][0]["message"].get("content")
    if isinstance(text, str) and text.strip():
        for part in (text, text.strip().splitlines()[-1]):
            found = _ANSWER.fullmatch(part)
            if found:
                return TEXT_MARGIN if found["letter"].upper() == "A" else -TEXT_MARGIN
    raise ItemFailure("unreadable_answer", f"neither A nor B: {str(text)[:_KEPT_CHARACTERS]!r}")


def _log_sum_exp(values: list[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def _shown(reply: dict[str, Any]) -> str:
    return str(reply)[:_KEPT_CHARACTERS]
