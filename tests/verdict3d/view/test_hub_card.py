"""The card of a LoRA set says what was measured, by whom, and whether that judge was certified."""

from __future__ import annotations

from support.rows import filled
from verdict3d.config_arms import SearchParams
from verdict3d.judge.rubric import SLOTS
from verdict3d.records.adapters import AdapterCard, AssetCounts
from verdict3d.records.certificates import Certificate, PanelChoice
from verdict3d.records.numbers import Decisive, Interval, Summary
from verdict3d.records.results import CertificateUse, JudgeUsed, RegimeResults, Results, TruthResults
from verdict3d.view.hub_card import write_hub_card

CARD = filled(
    AdapterCard,
    arm="chairs",
    method="preference",
    params=SearchParams(method="search", samples=2, pick="random"),
    base="somebody/generator",
    assets=AssetCounts(train=40, validation=8),
    preferences=17,
)
REGIME = filled(
    RegimeResults,
    summary=filled(
        Summary,
        half_credit=Interval(value=0.6123, low=0.55, high=0.67),
        decisive=filled(Decisive, value=0.7, low=0.6, high=0.8),
        coverage=0.5,
        objects=64,
    ),
    standing="beats",
    truth=filled(TruthResults, arm_f_score_mean=0.59, base_f_score_mean=0.55),
)


def results(certified: bool) -> Results:
    use = CertificateUse(certified=certified, objections=[], certificate=None)
    return filled(
        Results, judge=filled(JudgeUsed, model="a/judge"), certificate=use, regimes={"severe": REGIME}
    )


def test_the_card_has_numbers_with_intervals_and_the_judges_certificate() -> None:
    certificate = filled(
        Certificate,
        role="evaluation",
        passed=False,
        judge=filled(JudgeUsed, model="a/judge"),
        panel=PanelChoice(asked="audited", chosen="three_images", credit=dict.fromkeys(SLOTS, 1.9)),
    )
    text = write_hub_card(CARD, results(True), {"evaluation": certificate}, "mit", "somebody/generator")
    row = "| severe | 0.61 [0.55 to 0.67] | 0.70 [0.60 to 0.80] | 0.50 | 64 | 0.55 → 0.59 | beats base |"
    assert row in text and "by a/judge in both orders (certified)" in text
    assert "evaluation judge a/judge: NOT certified" in text
    assert "40 objects to train on and 8" in text and "17 preferences" in text
    assert 'TrellisPipeline.from_pretrained("somebody/generator")' in text
    assert "**not certified**" in write_hub_card(CARD, results(False), {}, "mit", None)
