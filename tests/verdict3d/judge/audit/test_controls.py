"""Controls and certificates, from verdicts made by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

from support.rows import filled
from verdict3d.config import load_params
from verdict3d.judge.audit.certificate import issue, objections
from verdict3d.judge.audit.controls import CONTROLS, Measuring, measured_words, paired_drop
from verdict3d.judge.audit.panel_choice import choose_panel, describe_panel, panel_warnings
from verdict3d.judge.identity import ENDPOINT, JudgeIdentity
from verdict3d.judge.rubric import SLOTS
from verdict3d.judge.verdict import Verdict
from verdict3d.randomness import numpy_generator
from verdict3d.records.certificates import (
    Certificate,
    Comparisons,
    Lineage,
    PanelChoice,
    PanelResults,
    Validity,
)
from verdict3d.records.numbers import Interval, Summary
from verdict3d.records.verdicts import ControlVerdict

JUDGE = JudgeIdentity("somewhere", "w", "s", "Class", "p", "three_images", "normal", "float32")
THRESHOLDS = load_params().audit.thresholds
TODAY = date(2026, 6, 23)
MEASURING = Measuring(THRESHOLDS, lambda name: numpy_generator(0, "test", name), 300, 0.95)


def row(control: str, number: int, d: float, b: float = 0.1, grade: int | None = None) -> ControlVerdict:
    about = {"control": control, "pair": str(number), "object": f"o{number}", "defect": "holes"}
    return filled(ControlVerdict, **about, grade=grade, **Verdict(b + d, b - d).row())


def answers(**preferences: Any) -> list[ControlVerdict]:
    """A good judge's rows of 16 pairs a control; a keyword replaces the preferences of one."""
    usual: dict[str, Any] = {
        "null": lambda n: 0.0,
        "base_vs_base": lambda n: 1.0 if n % 2 else -1.0,
        "ladder": lambda n: 2.0,
        "clean_but_wrong": lambda n: 1.0 if n < 14 else -1.0,
        "reference_shuffled": lambda n: 1.0 if n % 2 else -1.0,
        "reference_removed": lambda n: 1.0 if n % 4 == 0 else -1.0,
    }
    rows = []
    for control, preference in (usual | preferences).items():
        for number in range(16):
            grades = (1, 2, 3, 4, 5) if control == "ladder" else (None,)
            rows += [row(control, number, preference(number), grade=grade) for grade in grades]
    return rows


def failed(rows: list[ControlVerdict]) -> dict[str, str]:
    findings = MEASURING.findings(rows)
    assert tuple(findings) == CONTROLS
    return {name: found.shortfall for name, found in findings.items() if not found.passed}


def test_a_good_judge_passes() -> None:
    assert failed(answers()) == {}


def test_each_control_shows_the_quantity_that_its_bar_is_about() -> None:
    findings = MEASURING.findings(answers(ladder=lambda n: -2.0 if n < 4 else 2.0))
    shown = {name: measured_words(name, found) for name, found in findings.items()}
    assert shown["clear_gap"] == "decisive win-rate 0.750, coverage 1.000"
    assert shown["order"].startswith("share of first-slot answers 0.")
    assert shown["reference_shuffled"].startswith("half-credit falls by 0.375, lower bound ")
    assert shown["null"] == "half-credit 0.500, 0 of 16 pairs decided"
    assert shown["clean_but_wrong"] == "half-credit 0.875"
    assert shown["base_vs_base"].startswith("half-credit 0.500, interval ")


def test_a_decision_between_equal_meshes_fails() -> None:
    assert failed(answers(null=lambda n: 0.5 if n == 3 else 0.0)) == {
        "null": "1 of 16 pairs of equal meshes were decided"
    }


def test_a_preference_between_seeds_fails_by_its_distance_from_one_half() -> None:
    found = failed(answers(base_vs_base=lambda n: 1.0))
    assert set(found) == {"base_vs_base"} and "half-credit 1.000" in found["base_vs_base"]


def test_missed_clear_gaps_and_undecided_ones_are_told_apart() -> None:
    wrong = failed(answers(ladder=lambda n: -2.0 if n < 4 else 2.0))
    # 12 of 16 objects right: 0.75 is 0.08 below 0.83
    assert wrong == {"clear_gap": "decisive win-rate 0.750 is 0.080 below 0.83"}
    undecided = failed(answers(ladder=lambda n: 0.0 if n < 4 else 2.0))
    assert undecided == {"clear_gap": "coverage 0.750 is 0.050 below 0.8"}


def test_a_judge_that_does_not_use_the_reference_fails_where_it_is_taken_away() -> None:
    same = answers()[-16 * 3 : -16 * 2]
    usual = [rank.d for rank in same]
    found = failed(answers(reference_shuffled=lambda n: usual[n], reference_removed=lambda n: usual[n]))
    words = "fall of half-credit 0.000 is 0.100 below 0.1"
    assert found == {"reference_shuffled": words, "reference_removed": words}


def test_a_judge_of_the_first_slot_fails_order() -> None:
    rows = [one.model_copy(update=Verdict(2.0, 2.0).row()) for one in answers()]
    found = failed(rows)
    assert {"clear_gap", "clean_but_wrong", "order"} <= set(found)
    assert found["order"] == "share of first-slot answers 1.000 is 0.500 from 0.5, 0.350 more than allowed"
    assert found["clear_gap"].startswith("decisive win-rate is undefined")


def test_without_answers_nothing_passes() -> None:
    assert set(failed([])) == set(CONTROLS)


def test_the_fall_is_paired_by_hand() -> None:
    before = [row("clean_but_wrong", number, 1.0) for number in range(4)]
    after = [row("reference_removed", number, -1.0 if number < 2 else 1.0) for number in range(3)]
    drop = paired_drop(before, after, np.random.default_rng(0), 200, 0.95)
    assert drop.value == pytest.approx(2 / 3)  # pair 3 has no counterpart


def certificate(rows: list[ControlVerdict], judge: JudgeIdentity = JUDGE) -> Certificate:
    found = MEASURING.findings(rows)
    return issue(
        "training",
        judge,
        "rig",
        found,
        thresholds=THRESHOLDS,
        valid_days=30,
        today=TODAY,
        panel=filled(PanelChoice),
        stack={},
        lineage=filled(Lineage),
        warnings=[],
        curves=MEASURING.curves(rows),
        comparisons=filled(Comparisons),
        questions=len(rows),
        holdout_objects=1,
    )


def test_a_certificate_counts_for_its_judge_and_rig_only() -> None:
    good = certificate(answers())
    assert good.passed and good.reasons == [] and good.validity.until is None
    assert objections(good, JUDGE, "rig", date(2036, 1, 1)) == []
    other = JudgeIdentity("elsewhere", "w", "s", "Class", "another", "seven_images", "normal", "float32")
    assert objections(good, other, "other rig", TODAY) == [
        "its certificate is for another judge: prompt, panel differ",
        "its certificate is for another rig",
    ]
    assert objections(None, JUDGE, "rig", TODAY) == ["it has no certificate"]


def test_a_failed_certificate_says_which_control_and_by_how_much() -> None:
    bad = certificate(answers(ladder=lambda n: -2.0 if n < 4 else 2.0))
    assert not bad.passed
    assert objections(bad, JUDGE, "rig", TODAY) == [
        "it failed the control clear_gap: decisive win-rate 0.750 is 0.080 below 0.83"
    ]


def test_a_judge_behind_an_endpoint_is_trusted_for_a_while() -> None:
    served = JudgeIdentity("model", "w", "s", ENDPOINT, "p", "three_images", "normal", "as served")
    good = certificate(answers(), served)
    assert good.validity == Validity(days=30, issued="2026-06-23", until="2026-07-23")
    assert objections(good, served, "rig", date(2026, 7, 23)) == []
    assert objections(good, served, "rig", date(2026, 7, 24)) == ["its certificate ended on 2026-07-23"]


def half_credit(value: float | None) -> Summary:
    return filled(Summary, half_credit=filled(Interval, value=value))


def panels(*credits: tuple[float | None, float | None]) -> dict[str, Any]:
    """Half-credit of clear gap and clean-but-wrong for each panel kind, in their order."""
    return {
        kind: PanelResults(clear_gap=half_credit(clear), clean_but_wrong=half_credit(wrong))
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
    assert panel.chosen == chosen and panel_warnings("training", panel) == []
    assert f"panel {chosen}, chosen by this audit; credit of 2: three_images" in describe_panel(panel)


def test_a_fixed_panel_stays_and_a_better_one_is_named() -> None:
    found = panels((0.75, 0.5), (0.5, 1.0), (0.5, 0.5), (None, 1.0))
    panel = choose_panel("three_images", found)
    assert panel.chosen == "three_images" and panel.credit["two_sheets"] == 1.5
    assert panel.credit["seven_images"] is None
    (warning,) = panel_warnings("evaluation", panel)
    assert "judges.evaluation.panel fixes three_images (credit 1.25 of 2)" in warning
    assert "two_sheets (1.50)" in warning
    assert "fixed in params.yaml, though two_sheets does better" in describe_panel(panel)
    best = choose_panel("two_sheets", found)
    assert panel_warnings("evaluation", best) == [] and "though" not in describe_panel(best)
