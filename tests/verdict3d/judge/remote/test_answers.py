"""What is read from a server's reply, and what is not."""

import math
from typing import Any

import pytest

from support.scripted_server import logprobs
from verdict3d.errors import ItemFailure
from verdict3d.judge.remote.answers import read_logprobs, read_text


def test_margins_from_logprobs() -> None:
    assert read_logprobs(logprobs(("A", -0.5), ("B", -1.0))) == pytest.approx(0.5)
    both = logprobs(("A", -1.0), (" A", -1.0), ("B", -2.0), ("\u0120B", -5.0))
    assert read_logprobs(both) == pytest.approx(-1.0 + 0.693147 + 2.0 - 0.048587, abs=1e-5)
    broken: list[dict[str, Any]] = [logprobs(("The", -0.1)), logprobs(), logprobs(("A", float("nan")))]
    probabilities = logprobs(("A", 0.7), ("B", 0.3))
    for reply in [*broken, probabilities]:
        with pytest.raises(ItemFailure) as failure:
            read_logprobs(reply)
        assert failure.value.reason == "unreadable_answer"
    for absent in ({"choices": [{"message": {}, "logprobs": None}]}, {"choices": [{"message": {}}]}):
        with pytest.raises(ItemFailure) as failure:
            read_logprobs(absent)
        assert failure.value.reason == "no_logprobs"


SPELLED = [
    ([("a", -0.05), ("b", -3.2), ("B", -7.0), ("A", -9.0)], "a", "b"),
    ([('"A', -0.1), ('"B', -2.5), ("A", -9.0), ("B", -8.0)], '"A', '"B'),
    ([("(B)", -0.2), ("**A", -2.0)], "**A", "(B)"),
    ([("\u2581A.", -0.3), ("\u010ab", -1.5), ("Apple", -5.0)], "\u2581A.", "\u010ab"),
]


@pytest.mark.parametrize(("listed", "first", "second"), SPELLED)
def test_a_letter_is_read_however_it_is_spelled(
    listed: list[tuple[str, float]], first: str, second: str
) -> None:
    values = dict(listed)
    a = sum(math.exp(value) for token, value in listed if token.strip('"(*\u2581.').lower() == "a")
    b = sum(math.exp(value) for token, value in listed if token.strip('"()\u010a').lower() == "b")
    assert a >= math.exp(values[first]) and b >= math.exp(values[second])
    assert read_logprobs(logprobs(*listed)) == pytest.approx(math.log(a / b))


@pytest.mark.parametrize(
    "listed",
    [
        [("<think>", -0.0001), ("\n", -11.0), ("A", -13.5), ("The", -14.0), ("I", -15.0)],
        [("The", -0.0001), ("B", -14.0), ("A", -16.0)],
        [("Candidate", -0.5), ("A", -1.5), ("B", -2.0)],
    ],
)
def test_improbable_letters_are_no_answer(listed: list[tuple[str, float]]) -> None:
    with pytest.raises(ItemFailure, match=r"below endpoint\.least_mass 0\.5") as failure:
        read_logprobs(logprobs(*listed))
    assert failure.value.reason == "unreadable_answer"
    assert math.isfinite(read_logprobs(logprobs(*listed), least_mass=0.0))


def test_a_letter_that_is_not_listed_is_bounded_by_the_least_and_by_the_rest() -> None:
    rest = 1.0 - math.exp(-0.1) - math.exp(-3.0)  # 0.0454, below the least of the listed, 0.0498
    reply = logprobs(("B", -0.1), ("The", -3.0))
    assert read_logprobs(reply) == pytest.approx(math.log(rest) + 0.1)
    reply = logprobs(("A", -0.1), ("The", -3.0), ("I", -6.0))
    assert read_logprobs(reply) == pytest.approx(-0.1 + 6.0)
    alone = read_logprobs(logprobs(("A", -0.01)))
    assert alone == pytest.approx(-0.01 - math.log(1.0 - math.exp(-0.01)))
    certain = read_logprobs(logprobs(("B", 0.0), ("A", -9999.0)))  # A was not computed
    assert certain == pytest.approx(math.log(1e-6))
    with pytest.raises(ItemFailure, match="too few tokens"):
        read_logprobs(logprobs(("A", -2.0)), least_mass=0.0)


def test_a_text_that_was_cut_off_is_no_answer() -> None:
    thinking = "The reference has four legs. Let us look at\nA"
    reply = {"choices": [{"message": {"content": thinking}, "finish_reason": "length"}]}
    with pytest.raises(ItemFailure, match=r"raise endpoint\.text_tokens") as failure:
        read_text(reply)
    assert failure.value.reason == "cut_off"
    reply["choices"][0]["finish_reason"] = "stop"
    assert read_text(reply) == 1.0


@pytest.mark.parametrize(
    ("text", "margin"),
    [
        ("A", 1.0),
        (" b.\n", -1.0),
        ("**B**", -1.0),
        ("Answer: A", 1.0),
        ("The answer is (B).", -1.0),
        ("Candidate A!", 1.0),
        ("A clean shape is in sheet two.\n\nFinal answer: B", -1.0),
        ("A and B", None),
        ("A clean shape", None),
        ("I prefer candidate B", None),
        ("", None),
        ("C", None),
        (None, None),
        ("AB", None),
    ],
)
def test_letters_in_texts(text: str | None, margin: float | None) -> None:
    reply = {"choices": [{"message": {"content": text}}]}
    if margin is not None:
        assert read_text(reply) == margin
        return
    with pytest.raises(ItemFailure) as failure:
        read_text(reply)
    assert failure.value.reason == "unreadable_answer" and repr(str(text))[1:-1][:20] in str(failure.value)
