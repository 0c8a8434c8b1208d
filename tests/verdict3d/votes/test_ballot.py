"""Who is asked what in which order, and that answers reach the disk whole or not at all."""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from support.ballots import ARMS, asked_pair, vote
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.records.votes import Vote
from verdict3d.votes.ballot import Ballot
from verdict3d.votes.counted import drop_replaced
from verdict3d.votes.journal import VoteJournal
from verdict3d.votes.pairs import AskedPair, class_contest, name_voted, order_pairs
from verdict3d.votes.raters import find_careless


def two_arms(count: int) -> list[AskedPair]:
    return [
        asked_pair(number, arm, regime)
        for arm in ARMS
        for regime in ("clean", "severe")
        for number in range(count)
    ]


def answer_all(ballot: Ballot, person: str, most: int = 10_000) -> list[Vote]:
    """Answer `a` until nothing is left."""
    made: list[Vote] = []
    while len(made) < most and (asked := ballot.open_questions(person)):
        made.append(ballot.answer(person, asked[0].token, "a", seconds=3.0))
    return made


@pytest.fixture
def journal(tmp_path: Path) -> VoteJournal:
    return VoteJournal(tmp_path / "voting/votes.jsonl")


def test_arms_and_regimes_take_turns_and_every_pair_comes_once() -> None:
    ordered = order_pairs(two_arms(10), seed=3)
    assert len({pair.key for pair in ordered}) == len(ordered) == 40
    for start in range(0, 40, 4):
        assert len({pair.stratum for pair in ordered[start : start + 4]}) == 4


def test_contradictions_come_early_and_every_second_pair_is_drawn() -> None:
    contests = ["contradicted"] * 3 + ["undecided"] * 3 + ["clear"] * 34
    pairs = [asked_pair(number, contest=contest) for number, contest in enumerate(contests)]
    ordered = order_pairs(pairs, seed=1)
    assert {pair.contest for pair in ordered[1:6:2]} == {"contradicted"}
    assert ordered[:12:2] != order_pairs(pairs, seed=2)[:12:2]
    drawn = [pair.object for pair in ordered[::2]]
    alike = [pair.object for pair in order_pairs([asked_pair(n) for n in range(40)], seed=1)]
    assert [name for name in alike if name in drawn][:4] == drawn[:4], "judges do not change the drawn order"


def test_what_judges_say_of_a_pair() -> None:
    assert class_contest(["win", "loss"]) == "contradicted"
    assert class_contest(["win", "close"]) == class_contest(["flip"]) == class_contest([]) == "undecided"
    assert class_contest(["loss", "loss", "invalid"]) == "clear"


def test_two_people_see_every_pair_in_both_orders(journal: VoteJournal) -> None:
    ballot = Ballot(two_arms(8), [], journal, seed=5)
    both = [vote for person in ("one", "two") for vote in answer_all(ballot, person) if not vote.again]
    orders: dict[str, set[str]] = {}
    for one in both:
        orders.setdefault(name_voted(one), set()).add(one.first)
    assert len(orders) == 32 and all(sides == {"x", "y"} for sides in orders.values())


def test_two_people_at_once_see_one_pair_in_different_orders(journal: VoteJournal) -> None:
    ballot = Ballot(two_arms(8), [], journal, seed=5)
    for one, other in zip(ballot.open_questions("one"), ballot.open_questions("two"), strict=True):
        assert one.pair == other.pair and one.first != other.first and one.token != other.token


def test_a_third_person_begins_with_what_two_have_not_answered(journal: VoteJournal) -> None:
    ballot = Ballot(two_arms(8), [], journal, seed=5)
    answered = {name_voted(one) for person in ("one", "two") for one in answer_all(ballot, person, 6)}
    assert not answered & {question.pair.key for question in ballot.open_questions("three")}


def test_a_tenth_is_known_and_a_twentieth_asked_again_in_the_other_order(journal: VoteJournal) -> None:
    known = [asked_pair(900 + number, place="known", known="x") for number in range(20)]
    ballot = Ballot(two_arms(40), known, journal, seed=5)
    votes = answer_all(ballot, "one", 100)
    assert sum(one.known == "x" for one in votes) == 10
    again = [one for one in votes if one.again]
    assert len(again) == 5
    for one in again:
        earlier = [other for other in votes if name_voted(other) == name_voted(one) and not other.again]
        assert [other.first for other in earlier] == [{"x": "y", "y": "x"}[one.first]]
    assert 2 <= sum(one.choice == "x" for one in votes if one.known) <= 8, "the better side changes places"


def test_answers_and_tags_are_turned_to_the_pair(journal: VoteJournal) -> None:
    ballot = Ballot(two_arms(8), [], journal, seed=5)
    for _ in range(12):
        question = ballot.open_questions("one")[0]
        made = ballot.answer("one", question.token, "b", ["holes"], ["blurry", "blurry"], seconds=1e9)
        right = "y" if question.first == "x" else "x"
        assert made.choice == right and made.seconds == 3600
        assert (made.x_tags, made.y_tags) == (
            (["holes"], ["blurry"]) if right == "y" else (["blurry"], ["holes"])
        )
        assert (made.m1 if made.first == "x" else made.m2) == -1.0


def test_a_second_answer_takes_the_first_back(journal: VoteJournal) -> None:
    ballot = Ballot(two_arms(2), [], journal, seed=5)
    question = ballot.open_questions("one")[0]
    first = ballot.answer("one", question.token, "a")
    second = ballot.answer("one", question.token, "tie")
    third = ballot.answer("one", question.token, "unsure")
    assert (second.replaces, third.replaces) == (first.id, second.id)
    assert drop_replaced(journal.read()) == [third] and len(journal.read()) == 3
    assert ballot.count_answers("one") == (1, 8)
    for name, token in (("two", question.token), ("one", "nothing")):
        with pytest.raises(ItemFailure, match="not open"):
            ballot.answer(name, token, "a")


def test_another_server_goes_on_where_one_stopped(journal: VoteJournal) -> None:
    before = answer_all(Ballot(two_arms(8), [], journal, seed=5), "one", 10)
    ballot = Ballot(two_arms(8), [], journal, seed=5)
    assert ballot.count_answers("one")[0] == 10
    rest = [one for one in answer_all(ballot, "one") if not one.again]
    assert not {name_voted(one) for one in before} & {name_voted(one) for one in rest}
    second = answer_all(ballot, "two", 5)
    sides = {name_voted(one): one.first for one in before}
    assert all(sides.get(name_voted(one)) != one.first for one in second)


def test_others_are_asked_about_what_a_careless_person_answered(journal: VoteJournal) -> None:
    calm, hasty = (Ballot(two_arms(8), [], journal, seed=5) for _ in range(2))
    for number in range(12):
        calm.answer("calm", calm.open_questions("calm")[0].token, ("a", "b")[number % 2], seconds=5.0)
    while len(journal.read()) < 24:
        hasty.answer("hasty", hasty.open_questions("hasty")[0].token, "tie", seconds=0.2)
    assert find_careless(journal.read()) == {"hasty"}
    again = Ballot(two_arms(8), [], journal, seed=5)
    calm_pairs = {name_voted(one) for one in journal.read() if one.person == "calm"}
    asked = {name_voted(one) for one in answer_all(again, "third", 12) if not one.again}
    assert len(asked & calm_pairs) >= 11


def test_people_at_once_lose_no_answer(journal: VoteJournal) -> None:
    ballots = [Ballot(two_arms(8), [], journal, seed=5) for _ in range(2)]
    people = [threading.Thread(target=answer_all, args=(ballots[n % 2], f"p{n}", 20)) for n in range(6)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    votes = journal.read()
    assert Counter(one.person for one in votes) == {f"p{n}": 20 for n in range(6)}
    assert len({one.id for one in votes}) == 120


def test_half_a_line_is_cut_off_by_the_next_answer(journal: VoteJournal) -> None:
    journal.append([vote(number=1)])
    with journal.path.open("ab") as stream:
        stream.write(b'{"schema": "verdict3d/vote/1", "id": "cut')
    assert [one.id for one in journal.read()] == ["p-1"]
    journal.append([vote(number=2)])
    assert [one.id for one in journal.read()] == ["p-1", "p-2"]


def test_an_answer_that_does_not_fit_the_disk_leaves_the_file_as_it_was(
    journal: VoteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append([vote(number=1)])
    before, real = journal.path.read_bytes(), os.pwrite

    def full(file: int, content: bytes, place: int) -> int:
        if place > len(before):
            raise OSError(28, "No space left on device")
        return real(file, content[:10], place)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(Verdict3DError, match=r"not recorded .* the disk is full"):
        journal.append([vote(number=2)])
    assert journal.path.read_bytes() == before


def test_a_wrong_line_is_named(journal: VoteJournal) -> None:
    journal.append([vote(number=1)])
    journal.path.write_bytes(journal.path.read_bytes().replace(b'"choice": "x"', b'"choice": "maybe"'))
    with pytest.raises(Verdict3DError, match="line 1, field choice: 'maybe' is wrong"):
        journal.read()


def test_a_folder_instead_of_answers_is_named(journal: VoteJournal) -> None:
    journal.path.mkdir(parents=True)
    with pytest.raises(Verdict3DError, match=r"votes\.jsonl cannot be read: Is a directory"):
        journal.read()
