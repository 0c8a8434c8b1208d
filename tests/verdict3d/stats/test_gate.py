"""The promotion decision on evidence made by hand."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import numpy as np
import pytest

from verdict3d.records.numbers import Interval
from verdict3d.records.promotion import (
    ArmDecision,
    CertificateState,
    Champion,
    ConditionState,
    Evidence,
    HoldoutUse,
    Margins,
    Requirement,
    Rule,
    Tallies,
    TallyRow,
)
from verdict3d.records.record import Part
from verdict3d.stats.gate import bar_of, category_groups, decide_all, plan_words
from verdict3d.stats.power import pairs_to_beat
from verdict3d.stats.tally import half_credit_against

P = TypeVar("P", bound=Part)
BASE = Champion(name="the base", version=None, arm=None, adapter=None)
RULE = Rule(
    regime="severe",
    bar="beats",
    target=0.65,
    test="fixed",
    alpha=0.025,
    objects=64,
    margins=Margins(clean=0.1, category=0.2, texture=0.1, validity=0.05),
    category_objects=12,
    gap_limit=0.15,
    candidates_limit=20,
    queries_limit=10_000,
    confidence=0.95,
    resamples=1000,
)


def tally(wins: int, losses: int, ties: int, name: str = "o") -> list[TallyRow]:
    """One pair an object, outcomes spread evenly over the order."""
    outcomes = [(1, 0, 0)] * wins + [(0, 1, 0)] * losses + [(0, 0, 1)] * ties
    order = np.random.default_rng(wins).permutation(len(outcomes))
    return [(f"{name}{place:03d}", *outcomes[i]) for place, i in enumerate(order)]


def evidence(primary: tuple[int, int, int] = (46, 14, 4), **changes: Any) -> Evidence:
    tallies = {
        "primary": tally(*primary),
        "clean": tally(20, 18, 26),
        "texture": tally(25, 15, 24),
        "validity": tally(0, 0, 64),
        **changes.pop("tallies", {}),
    }
    fields = {
        "adapter": "new",
        "champion": BASE,
        "tallies": Tallies(**tallies),
        "categories": {f"o{i:03d}": "chair" if i % 2 else f"rare {i % 7}" for i in range(200)},
        "certificates": dict.fromkeys(("training", "evaluation"), certified("met", "passed")),
        "gap": Interval(value=0.02, low=-0.05, high=0.09),
        "holdout": HoldoutUse(candidates=1, queries=256, own=256),
    }
    return Evidence(**{**fields, **changes})


def certified(state: ConditionState, words: str) -> CertificateState:
    return CertificateState(state=state, words=words, digest=None)


def changed(part: P, **fields: Any) -> P:
    """A part of a record with other fields."""
    return part.model_copy(update=fields)


def decide(found: Evidence, rule: Rule = RULE) -> ArmDecision:
    return decide_all({"arm": found}, rule, lambda name: np.random.default_rng(len(name)))["arm"]


def condition(decision: ArmDecision, name: str) -> Requirement:
    (only,) = [found for found in decision.conditions if found.name == name]
    return only


def state(decision: ArmDecision, name: str) -> str:
    return condition(decision, name).state


def test_everything_met_promotes_and_the_document_repeats_itself() -> None:
    decision = decide(evidence())
    assert decision.decision == "PROMOTE", decision.reasons
    assert decision.reasons == [] and decision.more_objects is None
    assert decision.standing == "reaches"
    read = Evidence.model_validate(json.loads(json.dumps(evidence().model_dump())))
    assert read == evidence()
    again = decide(read).model_dump()
    assert json.dumps(decision.model_dump(), allow_nan=False) == json.dumps(again, allow_nan=False)


def test_an_undecided_candidate_is_held_with_the_objects_it_takes() -> None:
    decision = decide(evidence((32, 24, 8)))
    assert decision.decision == "HOLD" and state(decision, "bar") == "open"
    assert "not shown: it beats the base on severe inputs" in decision.reasons[0]
    # 32 of 56 decisive pairs: exact test, 7/8 of the objects decisive
    assert decision.more_objects == int(np.ceil(pairs_to_beat(32 / 56, 0.025) * 64 / 56)) - 64


@pytest.mark.parametrize("primary", [(0, 0, 64), (20, 20, 24), (1, 1, 62), (3, 3, 4)])
def test_a_draw_names_no_number_of_objects(primary: tuple[int, int, int]) -> None:
    """If a draw is the truth nothing decides, neither the target nor the number fixed beforehand."""
    decision = decide(evidence(primary))
    bar = bar_of(decision)
    assert decision.decision == "HOLD" and bar.state == "open"
    assert bar.objects_to_decide is None and decision.more_objects is None
    assert "no number of further held-out objects would decide" in plan_words(decision)
    # 0.65 of the decisive pairs take the same number of decisive pairs, of which ties are none
    decided = sum(primary[:2]) / sum(primary)
    expected = int(np.ceil(pairs_to_beat(0.65, 0.025) / decided)) if decided else None
    assert bar.measured["objects_at_target"] == expected


def test_no_number_while_another_condition_takes_more_than_objects() -> None:
    undecided = {"clean": tally(22, 30, 12)}
    assert decide(evidence(tallies=undecided)).more_objects > 0
    spent = HoldoutUse(candidates=21, queries=256, own=256)
    assert decide(evidence(tallies=undecided, holdout=spent)).more_objects is None


def test_a_bar_that_was_not_seen_to_be_reached_names_no_number() -> None:
    found = evidence((40, 22, 2))  # beats, with 40 of 62 = 0.645 of the decisive pairs, below 0.65
    for bar in ("reaches", "certified"):
        held = decide(found, changed(RULE, bar=bar))
        assert held.decision == "HOLD" and held.more_objects is None
    # 46 of 60 against 0.65: (1.96 + 0.8416)^2 * 0.7667 * 0.2333 / 0.1167^2 = 103.1 pairs, of 64 / 60 objects
    certain = decide(evidence(), changed(RULE, bar="certified"))
    assert certain.more_objects == int(np.ceil(104 * 64 / 60)) - 64


def test_a_category_is_planned_in_objects_of_the_whole() -> None:
    """A category of a quarter of the objects that needs 100 of its own needs 400 in all."""
    found = evidence((46, 14, 4))
    order = [row[0] for row in found.tallies.primary]
    lamps = order[:16]
    categories = {name: "lamp" if name in lamps else "chair" for name in order}
    outcomes = [(1, 0, 0)] * 4 + [(0, 1, 0)] * 7 + [(0, 0, 1)] * 5 + [(1, 0, 0)] * 42 + [(0, 1, 0)] * 6
    rows = [(name, *row) for name, row in zip(order, outcomes, strict=True)]
    decision = decide(evidence(tallies={"primary": rows}, categories=categories))
    lamp = condition(decision, "not worse: category lamp")
    assert decision.decision == "HOLD" and lamp.state == "open"
    assert lamp.measured["objects"] == 16 and lamp.objects_to_decide > 16
    assert decision.more_objects == 4 * lamp.objects_to_decide - 64


@pytest.mark.parametrize(("score", "null"), [(0.5, 0.4), (0.5, 0.45), (0.0, 0.45), (1.0, 0.9)])
def test_what_all_objects_agree_on_is_planned_by_its_own_interval(score: float, null: float) -> None:
    """The named number decides, and one object fewer does not."""

    def side(objects: int) -> Any:
        rows = tally(*{0.5: (0, 0, objects), 0.0: (0, objects, 0), 1.0: (objects, 0, 0)}[score])
        rng = np.random.default_rng(0)
        return half_credit_against(rows, null, alpha=0.025, method="fixed", rng=rng, resamples=10)

    needed = side(3).objects_to_decide
    assert side(3).side == side(needed - 1).side == "undecided"
    assert side(needed).side == ("above" if score > null else "below")


def test_an_open_gap_is_planned_from_the_width_of_its_interval() -> None:
    decision = decide(evidence(gap=Interval(value=0.05, low=-0.146, high=0.246)))
    assert decision.decision == "HOLD" and state(decision, "over-optimisation") == "open"
    # half a width of 1.96 sd / sqrt(64) = 0.196: sd 0.8; ((1.96 + 0.8416) * 0.8 / 0.1)^2 = 502.3
    assert decision.more_objects == 503 - 64
    # the same bounds at 80%: 1.2816 sd / 8 = 0.196, sd 1.2235; ((1.2816 + 0.8416) * 1.2235 / 0.1)^2 = 674.8
    gap = Interval(value=0.05, low=-0.146, high=0.246)
    assert decide(evidence(gap=gap), changed(RULE, confidence=0.8)).more_objects == 675 - 64


def test_a_worse_candidate_is_rejected_with_the_reason() -> None:
    decision = decide(evidence((10, 50, 4)))
    assert decision.decision == "REJECT" and decision.more_objects is None
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
    rejected = decide(evidence(tallies={key: tally(*worse)}))
    assert rejected.decision == "REJECT" and state(rejected, f"not worse: {name}") == "failed"
    assert any(name in reason for reason in rejected.reasons)
    held = decide(evidence(tallies={key: tally(*undecided)}))
    assert held.decision == "HOLD" and held.more_objects > 0
    missing = decide(evidence(tallies={key: None}))
    assert missing.decision == "HOLD" and missing.reasons == [f"not measured: {name}"]


def test_a_large_category_that_gets_worse_rejects_though_the_whole_gets_better() -> None:
    found = evidence((48, 16, 0))
    lost = {row[0] for row in found.tallies.primary if row[2]}
    order = [row[0] for row in found.tallies.primary]
    decision = decide(
        changed(found, categories={name: "lamp" if name in lost else "chair" for name in order})
    )
    assert decision.decision == "REJECT"
    assert state(decision, "not worse: category lamp") == "failed"
    assert state(decision, "not worse: category chair") == state(decision, "bar") == "met"
    # the same objects spread over categories too small to be tested alone are tested together
    rare = {name: f"rare {i % 9}" for i, name in enumerate(order)}
    assert decide(changed(found, categories=rare)).decision == "PROMOTE"
    assert list(category_groups(found.tallies.primary, rare, 12)) == ["small categories, pooled"]


@pytest.mark.parametrize(
    ("changes", "condition"),
    [
        ({"gap": Interval(value=0.15, low=0.05, high=0.25)}, "over-optimisation"),
        ({"gap": None}, "over-optimisation"),
        ({"holdout": HoldoutUse(candidates=21, queries=256, own=1)}, "hold-out"),
        ({"holdout": HoldoutUse(candidates=1, queries=10_001, own=1)}, "hold-out"),
        ({"adapter": "same", "champion": changed(BASE, name="version 3", adapter="same")}, "new"),
        (
            {"certificates": {"evaluation": certified("open", "the clear-gap control failed")}},
            "certificate: evaluation",
        ),
    ],
)
def test_every_other_condition_holds_it(changes: dict[str, Any], condition: str) -> None:
    decision = decide(evidence(**changes))
    assert decision.decision == "HOLD" and decision.more_objects is None
    assert state(decision, condition) == "open" and len(decision.reasons) == 1


def test_a_large_over_optimisation_gap_rejects() -> None:
    decision = decide(evidence(gap=Interval(value=0.4, low=0.2, high=0.5)))
    assert decision.decision == "REJECT" and "over-optimisation gap +0.400" in decision.reasons[0]


def test_fewer_objects_than_were_fixed_do_not_promote() -> None:
    found = evidence((30, 2, 2), tallies={"clean": tally(34, 0, 0), "texture": tally(34, 0, 0)})
    decision = decide(found, changed(RULE, margins=changed(RULE.margins, validity=0.2)))
    assert decision.decision == "HOLD" and "64 objects were fixed beforehand" in decision.reasons[0]
    assert decision.more_objects == 64 - 34


def test_higher_bars_ask_for_more() -> None:
    found = evidence((46, 14, 4))
    assert decide(found, changed(RULE, bar="reaches")).decision == "PROMOTE"
    assert decide(found, changed(RULE, bar="certified")).decision == "HOLD"
    sure = evidence((60, 4, 0))
    assert decide(sure, changed(RULE, bar="certified")).standing == "certified"


def test_candidates_of_one_run_share_the_level_by_holm() -> None:
    strong, weak = evidence((50, 10, 4)), evidence((40, 22, 2))
    alone = decide(weak)
    assert alone.decision == "PROMOTE", alone.reasons
    rng = lambda name: np.random.default_rng(len(name))  # noqa: E731
    both = decide_all({"a": strong, "b": weak}, RULE, rng)
    assert [both[arm].decision for arm in "ab"] == ["PROMOTE", "PROMOTE"]  # the first frees its share
    three = decide_all({"a": evidence((30, 30, 4)), "b": weak, "c": evidence((31, 29, 4))}, RULE, rng)
    assert three["b"].decision == "HOLD"
    assert bar_of(three["b"]).measured["alpha"] == RULE.alpha / 3


def test_sequential_test_decides_at_any_number_of_objects() -> None:
    rule = changed(RULE, test="sequential")
    others = {"clean": tally(40, 10, 0), "texture": tally(40, 10, 0), "validity": tally(10, 0, 140)}
    sure = evidence((46, 4, 0), tallies=others)
    assert decide(sure, rule).decision == "PROMOTE"
    few = evidence(tallies={**others, "primary": sure.tallies.primary[:6]})
    held = decide(few, rule)
    assert held.decision == "HOLD" and held.more_objects > 0
    assert decide(evidence((4, 46, 0)), rule).decision == "REJECT"
