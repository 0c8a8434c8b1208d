"""What follows from answers: who is careless, what counts, agreement and win-rates, by hand."""

from __future__ import annotations

import pytest

from support.ballots import AGAINST, ARMS, asked_pair, vote
from verdict3d.records.names import Outcome
from verdict3d.records.votes import Vote
from verdict3d.votes.pairs import draw_rank
from verdict3d.votes.people import JudgedPair, count_along, group_votes, report_people
from verdict3d.votes.raters import find_careless, rate_people
from verdict3d.votes.words import describe_people


def judged(number: int, outcome: Outcome = "win", **values: object) -> JudgedPair:
    pair = asked_pair(number)
    about = {name: getattr(pair, name) for name in ("object", "place", "arm", "against", "regime")}
    digests = {"x": pair.x.mesh_digest, "y": pair.y.mesh_digest}
    return JudgedPair(**about | digests | {"outcomes": {"evaluation": outcome}} | values)  # type: ignore[arg-type]


def report(votes: list[Vote], pairs: list[JudgedPair], resamples: int = 50):  # type: ignore[no-untyped-def]
    return report_people(votes, pairs, seed=1, resamples=resamples, confidence=0.95)


def both_orders(number: int, choices: str) -> list[Vote]:
    """Two people's answers about a pair, one in each order."""
    names = {"x": "x", "y": "y", "t": "tie", "u": "unsure"}
    return [
        vote(person, number, names[choice], first=first)
        for person, choice, first in zip(("one", "two"), choices, ("x", "y"), strict=True)
    ]


@pytest.mark.parametrize(
    ("right", "known", "careless"),
    [(3, 3, False), (1, 3, False), (0, 2, False), (2, 6, True), (9, 12, False)],
)
def test_known_answers_find_who_guesses(right: int, known: int, careless: bool) -> None:
    votes = [vote("p", n, "x" if n < right else "y", known="x", first="xy"[n % 2]) for n in range(known)]
    (rater,) = rate_people(votes)
    assert (rater.known_right, rater.known, bool(rater.careless)) == (right, known, careless)


def test_repeated_pairs_quick_answers_and_one_side_are_found() -> None:
    calm = [vote("calm", n, "xy"[n % 2], first="xy"[n // 2 % 2]) for n in range(12)]
    again = [
        vote("moody", n, choice, id=f"m-{n}-{choice}", again=choice == "y")
        for n in range(6)
        for choice in "xy"
    ]
    quick = [one.model_copy(update={"person": "quick", "seconds": 0.4}) for one in calm]
    left = [vote("left", n, "xy"[n % 2], first="xy"[n % 2]) for n in range(12)]
    assert find_careless([*calm, *again, *quick, *left]) == {"moody", "quick", "left"}
    reasons = {rater.person: rater.careless for rater in rate_people([*quick, *left, *again])}
    assert reasons["moody"] == ["the same about 0 of 6 repeated pairs"]
    assert reasons["left"] == ["the left side in 12 of 12 answers that name one"]
    assert reasons["quick"] == ["0.4 s for half of the answers"]


def test_agreement_and_its_ceiling() -> None:
    votes = [*both_orders(0, "xx"), *both_orders(1, "yy"), *both_orders(2, "xy"), *both_orders(3, "tx")]
    found = report(votes, [judged(0, "win"), judged(1, "win"), judged(2, "loss"), judged(3, "flip")])
    assert (found.ceiling.pairs, found.ceiling.observed) == (4, 0.5)
    assert found.ceiling.value == pytest.approx((0.5 - (16 + 9 + 1) / 64) / (1 - (16 + 9 + 1) / 64))
    assert (found.judges["evaluation"].pairs, found.judges["evaluation"].observed) == (8, 0.5)


def test_answers_about_other_pairs_are_in_no_number() -> None:
    """Judges and their ceiling are measured on the same pairs."""
    votes = [*both_orders(0, "xx"), *both_orders(1, "xy")]
    found = report(votes, [judged(0)])
    assert (found.votes, found.counted) == (4, 2)
    assert (found.ceiling.pairs, found.judges["evaluation"].pairs) == (1, 2)
    assert "count: of careful people, about pairs that are here" in "\n".join(describe_people(found))


def test_a_pair_turned_round_is_the_same_pair() -> None:
    plain = report(both_orders(0, "xx"), [judged(0, "win")])
    pair = judged(0, "loss")
    turned = report(both_orders(0, "xx"), [judged(0, "loss", x=pair.y, y=pair.x)])
    assert plain.judges["evaluation"].observed == turned.judges["evaluation"].observed == 1.0
    assert turned.rates[0].people.decisive.losses == 2 and plain.rates[0].people.decisive.wins == 2


def test_a_rate_counts_along_the_drawn_order_only() -> None:
    order = sorted(range(6), key=lambda n: draw_rank(1, ARMS[0], "severe", asked_pair(n).object))
    votes = [one for place in (0, 1, 3, 4, 5) for one in both_orders(order[place], "xx")]
    pairs = [judged(number) for number in range(6)]
    rate = report(votes, pairs).rates[0]
    assert (rate.pairs, rate.voted, rate.counted) == (6, 5, 2), "the third of the order has no answers"
    votes += both_orders(order[2], "yt")
    full = report(votes, pairs).rates[0]
    assert (full.counted, full.people.decisive.wins, full.people.decisive.losses) == (6, 10, 1)
    assert full.people.half_credit.value == pytest.approx(10.5 / 12)
    assert full.judges["evaluation"].decisive.wins == 6


def test_one_order_is_not_enough_and_a_pair_without_a_choice_needs_no_answer() -> None:
    one_sided = [vote("one", 0), vote("two", 0, id="other")]
    assert count_along([judged(0)], group_votes(one_sided, set()), seed=1) == []
    same, failed = judged(1, "same"), judged(2, "loss", x=None)
    assert [outcome for _, outcome in count_along([same, failed], {}, seed=1)].count("same") == 2
    assert len(count_along([same, failed], {}, seed=1)) == 4


def test_careless_known_and_repeated_answers_are_not_counted() -> None:
    guesses = [vote("guess", n, "y", known="x", first="xy"[n % 2]) for n in range(6)]
    votes = [
        *both_orders(0, "xx"),
        *guesses,
        vote("guess", 0, "y", id="g"),
        vote("one", 0, "y", id="r", again=True),
    ]
    found = report(votes, [judged(0)])
    assert (found.votes, found.counted) == (10, 2)
    words = "\n".join(describe_people(found))
    assert "not counted: guess, 7 answers: 0 of 6 known answers right" in words
    assert "another person         undefined of 1 answers, the same in 100%" in words


def test_a_rate_says_what_it_counts_and_which_question_it_is_of() -> None:
    found = report(both_orders(0, "xx"), [judged(0)])
    words = "\n".join(describe_people(found))
    assert f"against {AGAINST} on" in words and "2 answers won, 0 lost" in words
    (rate,) = found.rates
    champion = found.model_copy(update={"rates": [rate.model_copy(update={"place": "challenge"})]})
    assert f"against the champion ({AGAINST}) on" in "\n".join(describe_people(champion))


def test_faults_are_counted_by_side() -> None:
    votes = [
        vote("one", 0, x_tags=["holes"], y_tags=["blurry"]),
        vote("two", 0, id="b", first="y", x_tags=["holes"]),
    ]
    rate = report(votes, [judged(0)]).rates[0]
    assert (rate.x_tags, rate.y_tags) == ({"holes": 2}, {"blurry": 1})
