"""The promotion decision on evidence made by hand."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import numpy as np
import pytest

from support.gate_evidence import BASE, RULE, counts, evidence
from verdict3d.records.decisions import (
    ArmDecision,
    CertificateState,
    ConditionState,
    Evidence,
    ObjectTally,
    Requirement,
    Rule,
)
from verdict3d.records.holdout import HoldoutUse
from verdict3d.records.record import RecordPart
from verdict3d.stats.claims import SMALL, believed_by_people
from verdict3d.stats.gate import choose_bar, decide_all
from verdict3d.stats.power import count_objects_for_mean, count_pairs_to_beat

P = TypeVar("P", bound=RecordPart)


def generators(name: str) -> np.random.Generator:
    return np.random.default_rng(len(name))


def certified(state: ConditionState, words: str) -> CertificateState:
    return CertificateState(state=state, words=words, digest=None)


def changed(part: P, **fields: Any) -> P:
    """A part of a record with other fields."""
    return part.model_copy(update=fields)


def decide(found: Evidence, rule: Rule = RULE) -> ArmDecision:
    return decide_all({"arm": found}, rule, generators)["arm"]


def condition(decision: ArmDecision, name: str) -> Requirement:
    (only,) = [found for found in decision.conditions if found.name == name]
    return only


def state(decision: ArmDecision, name: str) -> str:
    return condition(decision, name).state


def test_everything_met_promotes_and_the_document_repeats_itself() -> None:
    decision = decide(evidence())
    assert decision.decision == "PROMOTE", decision.reasons
    assert decision.reasons == [] and decision.outlook is None and decision.untested == []
    assert decision.standing == "reaches"
    read = Evidence.model_validate(json.loads(json.dumps(evidence().model_dump())))
    assert read == evidence()
    again = decide(read).model_dump()
    assert json.dumps(decision.model_dump(), allow_nan=False) == json.dumps(again, allow_nan=False)


def test_an_undecided_candidate_is_held() -> None:
    decision = decide(evidence((32, 24, 8)))
    assert decision.decision == "HOLD" and state(decision, "bar") == "open"
    assert "not shown: it beats the base on severe inputs" in decision.reasons[0]
    assert decision.outlook is not None and decision.outlook.blocks == "bar"


def test_the_objects_that_the_target_takes() -> None:
    """0.65 of the decisive pairs take the same number of decisive pairs, of which ties are none."""
    bar = choose_bar(decide(evidence((20, 20, 24))))
    assert bar.measured["objects_at_target"] == int(np.ceil(count_pairs_to_beat(0.65, 0.025) * 64 / 40))
    assert choose_bar(decide(evidence((0, 0, 64)))).measured["objects_at_target"] is None


def test_a_worse_candidate_is_rejected_with_the_reason() -> None:
    decision = decide(evidence((10, 50, 4)))
    assert decision.decision == "REJECT" and decision.outlook is None
    assert decision.reasons[0].startswith("refuted: it beats the base")


@pytest.mark.parametrize(
    ("name", "worse", "undecided"),
    [
        ("clean inputs", (4, 56, 4), (22, 30, 12)),
        ("texture", (4, 56, 4), (22, 30, 12)),
        ("valid meshes", (0, 40, 24), (0, 4, 60)),
    ],
)
def test_each_axis_can_reject_or_hold(
    name: str, worse: tuple[int, int, int], undecided: tuple[int, int, int]
) -> None:
    key = {"clean inputs": "clean", "texture": "texture", "valid meshes": "validity"}[name]
    rejected = decide(evidence(**{key: worse}))
    assert rejected.decision == "REJECT" and state(rejected, f"not worse: {name}") == "failed"
    assert any(name in reason for reason in rejected.reasons)
    held = decide(evidence(**{key: undecided}))
    assert held.decision == "HOLD" and held.outlook.blocks == f"not worse: {name}"
    missing = decide(evidence(**{key: None}))
    assert missing.decision == "HOLD" and missing.reasons == [f"not measured: {name}"]


@pytest.mark.parametrize(
    ("changes", "name", "expected", "words"),
    [
        (
            {"f_score": (0.1, 0.2)},
            "truth: gain",
            "met",
            "F-score on severe inputs: shown to rise (+0.100",
        ),
        ({"f_score": (0.03, 0.2)}, "truth: gain", "open", "not shown to rise (+0.030"),
        ({"f_score": (-0.2, 0.2)}, "truth: gain", "failed", "does not rise (-0.200"),
        (
            {"clean_f_score": (-0.005, 0.03)},
            "truth: clean inputs",
            "met",
            "at most 0.02 below the champion's",
        ),
        (
            {"clean_f_score": (-0.015, 0.03)},
            "truth: clean inputs",
            "open",
            "not shown to be at most 0.02 below",
        ),
        ({"clean_f_score": (-0.06, 0.03)}, "truth: clean inputs", "failed", "more than 0.02 below"),
        ({"gap": (0.02, 0.3)}, "over-optimisation", "met", "over-optimisation gap: below 0.15 (+0.020"),
        ({"gap": (0.12, 0.3)}, "over-optimisation", "open", "not shown to be below 0.15"),
        ({"gap": (0.4, 0.3)}, "over-optimisation", "failed", "above 0.15 (+0.400"),
    ],
)
def test_truth_and_the_judges_gap_are_conditions(
    changes: dict[str, Any], name: str, expected: str, words: str
) -> None:
    decision = decide(evidence(**changes))
    found = condition(decision, name)
    assert found.state == expected and words in found.words
    assert decision.decision == {"met": "PROMOTE", "open": "HOLD", "failed": "REJECT"}[expected]


def test_meshes_that_stay_the_same_lose_no_f_score() -> None:
    """64 equal verdicts may be chance; 64 differences of exactly 0 are the same meshes."""
    decision = decide(evidence(clean_f_score=(0.0, 0.0)))
    assert state(decision, "truth: clean inputs") == "met" and decision.decision == "PROMOTE"
    assert state(decide(evidence(gap=(0.1, 0.0))), "over-optimisation") == "open"


def test_credit_without_geometry_is_not_promoted() -> None:
    """The sweep's ``sft_on_best``: 0.595 of half-credit, F-score 0.5164 -> 0.5172, 200 objects."""
    liked = {"clean": (60, 32, 108), "gap": (-0.03, 0.45)}
    decision = decide(evidence((102, 64, 34), f_score=(0.0008, 0.17), **liked))
    assert decision.decision == "HOLD" and [c.name for c in decision.conditions if c.state != "met"] == [
        "truth: gain"
    ]
    assert decide(evidence((102, 64, 34), f_score=(0.06, 0.17), **liked)).decision == "PROMOTE"


def test_what_cannot_be_tested_is_no_condition_and_is_said() -> None:
    why = {"texture": "the judge is not certified for colour", "truth": "no true mesh is known"}
    decision = decide(evidence(untested=why, texture=None, f_score=None, clean_f_score=None))
    assert decision.decision == "PROMOTE"
    assert decision.untested == [f"{what}: {words}" for what, words in why.items()]
    assert not any("texture" in c.name or "truth" in c.name for c in decision.conditions)


def test_a_category_is_tested_alone_when_it_has_enough_objects() -> None:
    few = decide(evidence((76, 20, 0), categories=["lamp"] + ["chair"] * 3))
    assert state(few, "not worse: category chair") == state(few, "not worse: category lamp") == "met"
    small = decide(evidence((46, 14, 4), categories=["lamp"] + ["chair"] * 3))
    assert [c.name for c in small.conditions if "categor" in c.name] == ["not worse: category chair"]
    assert small.untested == ["categories of fewer than 24 objects: lamp 16"]
    rare = decide(evidence((46, 14, 4), categories=[f"rare {i}" for i in range(9)]))
    assert [c.name for c in rare.conditions if "categor" in c.name] == [f"not worse: {SMALL}"]
    assert rare.untested[0].startswith(
        "categories of fewer than 24 objects, only together: rare 0 8, rare 1 7"
    )


def test_a_category_that_gets_worse_rejects_though_the_whole_gets_better() -> None:
    found = evidence((72, 24, 0))
    lost = [row.primary[1] > 0 for row in found.objects]
    objects = [
        changed(row, category="lamp" if bad else "chair")
        for row, bad in zip(found.objects, lost, strict=True)
    ]
    decision = decide(changed(found, objects=objects))
    assert decision.decision == "REJECT" and state(decision, "not worse: category lamp") == "failed"
    assert state(decision, "not worse: category chair") == state(decision, "bar") == "met"


@pytest.mark.parametrize(
    ("wins", "losses", "expected"),
    [(12, 12, "met"), (8, 16, "met"), (7, 17, "met"), (4, 20, "open"), (1, 23, "failed")],
)
def test_a_category_is_in_the_way_where_it_is_worse(wins: int, losses: int, expected: str) -> None:
    found = evidence((96, 0, 0))
    lamp = [(1, 0, 0)] * wins + [(0, 1, 0)] * losses
    objects = [
        changed(row, category="lamp", primary=lamp[place]) if place < 24 else changed(row, category="chair")
        for place, row in enumerate(found.objects)
    ]
    assert state(decide(changed(found, objects=objects)), "not worse: category lamp") == expected


def test_category_objects_are_enough_to_see_a_bad_one() -> None:
    """A category at 0.15 is at most a chance of alpha to be above its bound of 0.3."""
    deviation = float(np.sqrt(0.15 * 0.85))  # the largest for this mean
    needed = count_objects_for_mean(0.15, deviation, RULE.alpha, power=0.5)
    assert needed is not None and 20 <= needed <= RULE.category_objects


@pytest.mark.parametrize(
    ("changes", "condition"),
    [
        ({"holdout": HoldoutUse(candidates=21, queries=256, looks=1)}, "hold-out"),
        ({"holdout": HoldoutUse(candidates=1, queries=10_001, looks=1)}, "hold-out"),
        ({"holdout": HoldoutUse(candidates=1, queries=256, looks=2)}, "hold-out"),
        ({"adapter": "same", "champion": changed(BASE, name="version 3", adapter="same")}, "new"),
        (
            {"certificates": {"evaluation": certified("open", "the clear-gap control failed")}},
            "certificate: evaluation",
        ),
    ],
)
def test_what_objects_do_not_change_holds_it_and_names_no_number(
    changes: dict[str, Any], condition: str
) -> None:
    decision = decide(evidence(**changes))
    assert decision.decision == "HOLD" and state(decision, condition) == "open" and len(decision.reasons) == 1
    assert decision.outlook.chances == [] and decision.outlook.blocks == decision.reasons[0]


def test_fewer_objects_than_were_fixed_do_not_promote() -> None:
    found = evidence((30, 2, 2), clean=(34, 0, 0), texture=(34, 0, 0))
    decision = decide(found, changed(RULE, margins=changed(RULE.margins, validity=0.2)))
    assert decision.decision == "HOLD" and "64 objects were fixed beforehand" in decision.reasons[0]
    assert decision.outlook.chances[0].objects == 64 and decision.outlook.chances[0].promote > 0.5


def test_an_object_that_both_failed_at_counts_among_those_fixed() -> None:
    found = evidence()
    (first, *others), none = found.objects, (0, 0, 0)
    failed = changed(first, primary=none, f_score=(0.0, 0), gap=(0.0, 0))
    decision = decide(changed(found, objects=[failed, *others]))
    assert decision.decision == "PROMOTE", decision.reasons
    assert choose_bar(decision).measured["objects"] == 63


def test_higher_bars_ask_for_more() -> None:
    found = evidence((46, 14, 4))
    assert decide(found, changed(RULE, bar="reaches")).decision == "PROMOTE"
    assert decide(found, changed(RULE, bar="clears")).decision == "HOLD"
    sure = evidence((60, 4, 0))
    assert decide(sure, changed(RULE, bar="clears")).standing == "clears"


def test_candidates_of_one_run_share_the_level_by_holm_over_all_conditions() -> None:
    strong, weak = evidence((50, 10, 4)), evidence((40, 22, 2))
    assert decide(weak).decision == "PROMOTE"
    both = decide_all({"a": strong, "b": weak}, RULE, generators)
    assert [both[arm].decision for arm in "ab"] == ["PROMOTE", "PROMOTE"]  # the first frees its share
    three = decide_all({"a": evidence((30, 30, 4)), "b": weak, "c": evidence((31, 29, 4))}, RULE, generators)
    assert three["b"].decision == "HOLD"
    assert choose_bar(three["b"]).measured["alpha"] == RULE.alpha / 3
    # so do the other conditions: here clean inputs, shown alone, and not as one of three
    narrow = evidence((55, 5, 4), clean=(21, 19, 24))
    assert decide(narrow).decision == "PROMOTE"
    crowd = decide_all(
        {"a": evidence((30, 30, 4)), "b": narrow, "c": evidence((31, 29, 4))}, RULE, generators
    )
    assert crowd["b"].decision == "HOLD" and state(crowd["b"], "not worse: clean inputs") == "open"


def test_looks_that_were_fixed_beforehand_share_the_level() -> None:
    weak = evidence((40, 22, 2))
    twice = changed(RULE, looks=2)
    assert decide(weak).decision == "PROMOTE" and decide(weak, twice).decision == "HOLD"
    assert decide(weak, twice).outlook.kept == 64 and decide(evidence((32, 24, 8))).outlook.kept == 0


def test_sequential_test_decides_at_any_number_of_objects() -> None:
    rule = changed(
        RULE, test="sequential", margins=changed(RULE.margins, clean=0.3, texture=0.3, validity=0.2)
    )
    sure = evidence((86, 4, 0), clean_f_score=(0.15, 0.03), gap=(-0.1, 0.2))
    assert decide(sure, rule).decision == "PROMOTE", decide(sure, rule).reasons
    held = decide(changed(sure, objects=sure.objects[:6]), rule)
    assert held.decision == "HOLD" and held.outlook.kept == 6 and held.outlook.chances
    assert decide(evidence((4, 86, 0)), rule).decision == "REJECT"


def by_people(wins: int, losses: int, ties: int) -> list[ObjectTally]:
    """Two answers about each object, of all or the first objects."""
    return [
        (f"o{place:03d}", 2 * w, 2 * lost, 2 * tie)
        for place, (w, lost, tie) in enumerate(counts(wins, losses, ties))
    ]


@pytest.mark.parametrize(
    ("people", "state", "word"),
    [
        (None, None, "PROMOTE"),
        ([], "open", "HOLD"),
        (by_people(5, 2, 1), "open", "HOLD"),
        (by_people(42, 20, 2), "met", "PROMOTE"),
        (by_people(4, 56, 4), "failed", "REJECT"),
    ],
)
def test_people_must_not_find_it_worse_where_they_were_asked(
    people: list[ObjectTally] | None, state: str | None, word: str
) -> None:
    decision = decide(evidence(people=people))
    found = {one.name: one.state for one in decision.conditions}
    assert (found.get("not worse: people"), decision.decision) == (state, word)


def test_people_count_in_their_own_order() -> None:
    tally = by_people(42, 20, 2)
    claim = believed_by_people(evidence(people=tally[::-1]), 0.1)
    assert claim.order == tuple(range(63, -1, -1)) and claim.totals.sum(axis=0).tolist() == [86.0, 128.0]
