"""Controls and certificates, from verdicts made by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest

from support.judge_identities import make_identity
from support.rows import filled
from verdict3d.config import load_params
from verdict3d.judge.audit.certificate import complete, issue, list_limitations, list_objections
from verdict3d.judge.audit.controls import ON_GENERATIONS, ON_OBJECTS, Measuring, measure_sureness
from verdict3d.judge.audit.panel_choice import choose_panel, describe_panel, list_panel_warnings
from verdict3d.judge.audit.words import describe, describe_measured, describe_sureness
from verdict3d.judge.identity import ENDPOINT, JudgeIdentity
from verdict3d.judge.rubric import SLOTS
from verdict3d.judge.verdict import Verdict
from verdict3d.randomness import numpy_generator
from verdict3d.records.certificates import (
    Certificate,
    Comparisons,
    Curve,
    Finding,
    Lineage,
    Ordering,
    PanelChoice,
    PanelScores,
    Validity,
)
from verdict3d.records.numbers import Interval, Summary
from verdict3d.records.verdicts import ControlVerdict

JUDGE = make_identity()
THRESHOLDS = load_params("params.yaml").audit.thresholds
TODAY = date(2026, 6, 23)
MEASURING = Measuring(THRESHOLDS, lambda name: numpy_generator(0, "test", name), 300, 0.95)
OBJECTS = 40
SLOT = "three_images"


def row(
    control: str, number: int, d: float, b: float = 0.1, grade: int | None = None, **about: Any
) -> ControlVerdict:
    usual = {"control": control, "pair": str(number), "object": f"o{number}"}
    usual["defect"] = "bent" if number % 2 else "floaters"
    sets = [(b + d, b - d)] * 4
    return filled(ControlVerdict, **usual | about, grade=grade, **Verdict.of(*sets).row())


def answers(**preferences: Any) -> list[ControlVerdict]:
    """A good judge's rows on 40 objects a control; a keyword replaces the preferences of one."""
    usual: dict[str, Any] = {
        "null": lambda n: 0.0,
        "ladder": lambda n: 2.0,
        "clean_but_wrong": lambda n: 1.0 if n % 10 else -1.0,
        "reference_shuffled": lambda n: 1.0 if n % 2 else -1.0,
        "reference_removed": lambda n: 1.0 if n % 4 == 0 else -1.0,
        "colour": lambda n: 1.0 if n % 10 else -1.0,
    }
    rows = []
    for control, preference in (usual | preferences).items():
        for number in range(OBJECTS):
            grades = (1, 2, 3, 4, 5) if control == "ladder" else (None,)
            rows += [row(control, number, preference(number), grade=grade) for grade in grades]
    return rows


def on_objects(rows: list[ControlVerdict]) -> dict[str, Finding]:
    found = MEASURING.measure_objects(rows, [one for one in rows if one.control == "colour"], ["floaters"])
    assert tuple(found) == ON_OBJECTS
    return found


def failed(found: dict[str, Finding]) -> dict[str, str]:
    return {name: one.shortfall for name, one in found.items() if not one.passed}


def test_a_good_judge_passes() -> None:
    assert failed(on_objects(answers())) == {}


def test_each_control_shows_the_quantity_that_its_bar_is_about() -> None:
    found = on_objects(answers(ladder=lambda n: -2.0 if n % 4 == 0 else 2.0))
    shown = {name: describe_measured(one) for name, one in found.items()}
    # every fourth object is wrong: 30 of 40 right; all of these have floaters, and no bent one is wrong
    assert shown["clear_gap"].startswith("half-credit 0.750 [")
    assert shown["untaught_gap"].startswith("half-credit 1.000 [")
    assert shown["reference_shuffled"].startswith("fall of half-credit 0.400 [")
    assert shown["null"].startswith("share of decided pairs 0.000 [0.000, 0.0")


def test_it_is_the_bound_that_counts_and_not_the_estimate() -> None:
    """Thirty-three of forty are more than the bar, and forty pairs do not show it."""
    found = on_objects(answers(clean_but_wrong=lambda n: -1.0 if n < 7 else 1.0))["clean_but_wrong"]
    assert found.quantity.value is not None and found.quantity.low is not None
    assert found.quantity.value > THRESHOLDS.right > found.quantity.low and not found.passed
    assert found.shortfall.startswith("lower bound of half-credit 0.")


def test_decisions_between_equal_objects_are_bounded() -> None:
    assert "null" not in failed(on_objects(answers(null=lambda n: 0.5 if n == 3 else 0.0)))
    found = on_objects(answers(null=lambda n: 0.5 if n < 10 else 0.0))["null"]
    assert not found.passed and found.quantity.value == 0.25
    assert found.shortfall.startswith("upper bound of share of decided pairs")


def test_position_bias_does_not_lift_a_control() -> None:
    """The share of right decisions rises with the bias: weak ones are lost first. Half-credit falls."""
    rng = np.random.default_rng(0)
    strength = np.where(rng.random(OBJECTS) < 0.85, rng.uniform(1, 5, OBJECTS), -rng.uniform(0, 1, OBJECTS))

    def clear(b: float) -> Finding:
        rows = [row("ladder", n, float(strength[n]), b=b, grade=5) for n in range(OBJECTS)]
        return on_objects(rows)["clear_gap"]

    fair, biased = clear(0.0), clear(2.0)
    assert fair.decisive.value is not None and biased.decisive.value is not None
    assert biased.decisive.value > fair.decisive.value
    assert fair.quantity.value is not None and biased.quantity.value is not None
    assert biased.quantity.value < fair.quantity.value


def test_a_judge_that_does_not_use_the_reference_fails_where_it_is_taken_away() -> None:
    def same(n: int) -> float:
        return 1.0 if n % 10 else -1.0

    found = failed(on_objects(answers(reference_shuffled=same, reference_removed=same)))
    words = "lower bound of fall of half-credit 0.000 is 0.100 below 0.1"
    assert found == {"reference_shuffled": words, "reference_removed": words}


def test_a_word_that_changes_with_the_camera_fails() -> None:
    """Each pair is decided for sure, but two view sets say one thing and two the other."""
    rows = answers()
    turned = Verdict.of((3.0, -3.0), (-2.0, 2.0), (3.0, -3.0), (-2.0, 2.0)).row()
    follows = [one.model_copy(update=turned) if one.control == "ladder" else one for one in rows]
    found = on_objects(follows)["camera"]
    assert found.half_credit.value == 0.5 and not found.passed and found.quantity.value == 0.0
    assert on_objects(rows)["camera"].quantity.value == 1.0
    half = Verdict.of((3.0, -3.0), (2.0, 2.0), (3.0, -3.0), (2.0, 2.0)).row()  # one half does not decide
    unsure = [one.model_copy(update=half) if one.control == "ladder" else one for one in rows]
    assert on_objects(unsure)["camera"].quantity.value == 0.5


def test_one_view_set_tries_no_camera_and_says_so() -> None:
    one_set = [one.model_copy(update={"sets": one.sets[:1]}) for one in answers()]
    found = MEASURING.measure_objects(
        one_set, [one for one in one_set if one.control == "colour"], ["floaters"]
    )
    assert "camera" not in found
    told = list_limitations([], found, None)
    assert any("looks from one view set" in words for words in told)


def test_kinds_that_were_not_taught_have_a_bar_of_their_own() -> None:
    blind = on_objects(answers(ladder=lambda n: -2.0 if n % 2 and n < 21 else 2.0))
    assert "untaught_gap" in failed(blind) and blind["untaught_gap"].pairs == OBJECTS
    assert blind["untaught_gap"].quantity.value == 0.5


def test_without_colours_a_judge_is_certified_and_judges_none() -> None:
    rows = answers(colour=lambda n: 1.0 if n % 2 else -1.0)
    assert set(failed(on_objects(rows))) == {"colour"}
    good = certificate(rows)
    assert good.passed and good.reasons == []
    assert good.limitations[-1].startswith("No colour is judged: lower bound of half-credit")


def test_without_answers_nothing_passes() -> None:
    found = MEASURING.measure_objects([], [], [])
    assert failed(found).keys() == found.keys() == set(ON_OBJECTS) - {"camera"}


def generated(d: Callable[[int], float], b: float = 0.1) -> dict[str, Finding]:
    """What is said of 80 pairs of two equal samples with the preference ``d``, and 80 of unlike ones."""
    even = [row("base_vs_base", n, d(n), b) for n in range(80)]
    far_apart = [row("generated", n, 1.0 if n % 4 else -1.0, b) for n in range(80)]
    found = MEASURING.measure_generations(even, far_apart)
    assert tuple(found) == ON_GENERATIONS
    return found


def test_equal_samples_must_be_shown_to_be_equal() -> None:
    assert failed(generated(lambda n: 1.0 if n % 2 else -1.0)) == {}
    assert set(failed(generated(lambda n: 1.0 if n < 56 else -1.0))) == {"base_vs_base"}  # 0.70
    few = MEASURING.measure_generations([row("base_vs_base", n, (-1.0) ** n) for n in range(8)], [])
    assert not few["base_vs_base"].passed and few["base_vs_base"].quantity.value == 0.5


def test_a_judge_of_the_first_slot_fails_where_there_is_nothing_else_to_go_by() -> None:
    found = generated(lambda n: 1.0 if n % 2 else -1.0, b=2.0)
    assert "position" in failed(found) and found["position"].quantity.value == 1.0
    assert found["position"].position_bias.value == pytest.approx(2.0)


def test_a_judge_that_cannot_tell_unlike_generations_fails() -> None:
    rows = [row("generated", n, 1.0 if n % 2 else -1.0) for n in range(80)]
    assert not MEASURING.measure_generations([], rows)["generated"].passed


def test_the_fall_is_paired_by_hand() -> None:
    before = [row("clean_but_wrong", number, 1.0) for number in range(4)]
    after = [row("reference_removed", number, -1.0 if number < 2 else 1.0) for number in range(3)]
    assert MEASURING.measure_fall("any", before, after).value == pytest.approx(
        2 / 3
    )  # pair 3 has no counterpart


def test_margins_say_what_a_large_preference_is_worth() -> None:
    sizes = [5.0, 4.0, -4.5, 3.0, 1.0, -1.0]
    found = measure_sureness([row("ladder", n, d, grade=5) for n, d in enumerate(sizes)])
    # of the six the upper half (median 3.5) are 5, 4 and the wrong 4.5
    assert (found.right, found.wrong) == (3.5, 2.75) and found.right_when_large == pytest.approx(2 / 3)
    assert "median |d| is 3.5 where it is right and 2.8 where it is wrong" in describe_sureness(found)
    assert describe_sureness(measure_sureness([row("ladder", 0, 2.0)])) == ""


def certificate(rows: list[ControlVerdict], judge: JudgeIdentity = JUDGE) -> Certificate:
    audited = issue(
        "training",
        judge,
        "rig",
        on_objects(rows),
        taught=["floaters"],
        sureness=measure_sureness(rows),
        thresholds=THRESHOLDS,
        valid_days=30,
        today=TODAY,
        panel=filled(PanelChoice, chosen=SLOT, credit=dict.fromkeys(SLOTS)),
        stack={},
        lineage=filled(Lineage),
        warnings=[],
        curves=MEASURING.fit_curves(rows),
        comparisons=filled(Comparisons),
        questions=len(rows),
        objects=1,
    )
    return complete(audited, generated(lambda n: 1.0 if n % 2 else -1.0), filled(Ordering), 160, 80)


def test_a_certificate_counts_for_its_judge_and_rig_only() -> None:
    good = certificate(answers())
    assert good.passed and good.reasons == [] and good.validity.until is None
    assert list_objections(good, JUDGE, "rig", date(2036, 1, 1)) == []
    other = make_identity(model="elsewhere", prompt="another", panel="seven_images")
    assert list_objections(good, other, "other rig", TODAY) == [
        "its certificate is for another judge: prompt, panel differ",
        "its certificate is for another rig",
    ]
    assert list_objections(None, JUDGE, "rig", TODAY) == ["it has no certificate"]


def test_a_certificate_on_the_objects_alone_is_not_enough() -> None:
    audited = certificate(answers()).model_copy(update={"ordering": None})
    (objection,) = list_objections(audited, JUDGE, "rig", TODAY)
    assert objection.startswith("it has been tried on the objects alone")
    assert "its word on generations is asked when there are some" in describe(audited)[0]


def test_a_failed_certificate_says_which_control_and_by_how_much() -> None:
    bad = certificate(answers(ladder=lambda n: -2.0 if n % 4 == 0 else 2.0))
    assert not bad.passed
    (objection,) = list_objections(bad, JUDGE, "rig", TODAY)
    assert objection.startswith("it failed the control clear_gap: lower bound of half-credit 0.")
    assert any(line.startswith("  FAIL clear_gap") for line in describe(bad))


def test_a_certificate_says_what_was_taught_and_from_which_gap_it_orders() -> None:
    curve = filled(Curve, threshold=filled(Interval, value=0.21, low=0.1, high=None))
    good = certificate(answers())
    whole = complete(good, {}, filled(Ordering, curve=curve), 0, 80)
    taught, ordered = whole.limitations
    assert "taught 1 of the kinds of damage that it is tried on (floaters)" in taught
    assert "on objects of the world that it learned from none about other objects" in taught
    assert "from a gap of F-score of 0.21 on (0.10 to beyond)" in ordered
    assert "no gap of F-score" in good.limitations[1]


def test_a_judge_behind_an_endpoint_is_trusted_for_a_while() -> None:
    served = JudgeIdentity(
        model="model",
        weights="w",
        settings="s",
        model_class=ENDPOINT,
        prompt="p",
        panel="three_images",
        mode="normal",
        dtype="as served",
        views=1,
        view_sets="sets",
    )
    good = certificate(answers(), served)
    assert good.validity == Validity(days=30, issued="2026-06-23", until="2026-07-23")
    assert list_objections(good, served, "rig", date(2026, 7, 23)) == []
    assert list_objections(good, served, "rig", date(2026, 7, 24)) == ["its certificate ended on 2026-07-23"]


def half_credit(value: float | None) -> Summary:
    return filled(Summary, half_credit=filled(Interval, value=value))


def panels(*credits: tuple[float | None, float | None]) -> dict[str, Any]:
    """Half-credit of clear gap and clean-but-wrong for each panel kind, in their order."""
    return {
        kind: PanelScores(clear_gap=half_credit(clear), clean_but_wrong=half_credit(wrong))
        for kind, (clear, wrong) in zip(SLOTS, credits, strict=True)
    }


@pytest.mark.parametrize(
    ("credits", "chosen"),
    [
        (((0.75, 0.5), (0.5, 1.0), (0.875, 0.25), (0.5, 0.5)), "two_sheets"),
        (((0.5, 0.5), (0.1, 0.2), (0.25, 0.75), (1.0, 0.0)), "three_images"),  # of equal ones the first
        (((0.1, 0.2), (0.7, 0.1), (0.1, 0.7), (0.2, 0.6)), "two_sheets"),  # equal but for the last bits
        (((None, 1.0), (0.0, None), (0.0, 0.1), (None, None)), "reference_free"),  # undefined is below all
        (((None, None),) * 4, "three_images"),
    ],
)
def test_the_audit_chooses_the_panel_of_the_highest_credit(credits: Any, chosen: str) -> None:
    panel = choose_panel("audited", panels(*credits))
    assert panel.chosen == chosen and list_panel_warnings("training", panel) == []
    assert f"panel {chosen}, chosen by this audit; credit of 2: three_images" in describe_panel(panel)


def test_a_fixed_panel_stays_and_a_better_one_is_named() -> None:
    found = panels((0.75, 0.5), (0.5, 1.0), (0.5, 0.5), (None, 1.0))
    panel = choose_panel("three_images", found)
    assert panel.chosen == "three_images" and panel.credit["two_sheets"] == 1.5
    assert panel.credit["seven_images"] is None
    (warning,) = list_panel_warnings("evaluation", panel)
    assert "judges.evaluation.panel fixes three_images (credit 1.25 of 2)" in warning
    assert "two_sheets (1.50)" in warning
    assert "fixed in params.yaml, though two_sheets does better" in describe_panel(panel)
    best = choose_panel("two_sheets", found)
    assert list_panel_warnings("evaluation", best) == [] and "though" not in describe_panel(best)
