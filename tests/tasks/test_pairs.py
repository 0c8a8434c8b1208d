"""What is generated, which pairs are made of it, and what evaluation makes of verdicts."""

from __future__ import annotations

import pytest

from support.places import ROOT
from support.rows import filled
from tasks.evaluate import pair_controls
from tasks.generate import measure_generations, plan_generations
from tasks.making.generation import GenerationItem
from tasks.making.meetings import make_heldout_verdict, plan_arm, select_base_generations
from tasks.pairs import make_pairs, measure_pairs
from tasks.paths import find_condition
from tasks.scoring.regimes import judge_regime, select_headline_metrics
from verdict3d.config import load_params
from verdict3d.errors import Verdict3DError
from verdict3d.judge.modes import list_modes
from verdict3d.judge.verdict import Verdict
from verdict3d.records.assets import Asset
from verdict3d.records.generations import Generation, Truth
from verdict3d.records.results import ControlResults, Results
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.stats.agreement import class_by_truth

PARAMS = load_params(ROOT / "params.yaml")
ASSETS = [
    filled(
        Asset,
        id=f"{category}-{number:05d}",
        category=category,
        split=split,
        mesh=f"data/assets/meshes/{category}-{number:05d}.glb",
        condition=f"data/assets/conditions/{category}-{number:05d}.png",
    )
    for number, (category, split) in enumerate(
        [
            *[("chair", "train")] * 12,
            *[("table", "heldout")] * 3,
            *[("sofa", "heldout")] * 3,
            ("bed", "validation"),
        ]
    )
]
CONDITIONS = {
    (asset.id, regime): f"data/degrade/images/{regime}/{asset.id}.png"
    for asset in ASSETS
    for regime in ("mild", "medium", "severe")
} | {(asset.id, "clean"): asset.condition for asset in ASSETS}


def as_row(item: GenerationItem, f_score: float = 0.9, failure: str | None = None) -> Generation:
    made = failure is None
    return filled(
        Generation,
        id=item.id,
        asset=item.asset,
        category=item.category,
        split=item.split,
        regime=item.regime,
        role=item.role,
        number=item.number,
        seed=item.seed,
        condition=item.picture,
        generator="g",
        steps=item.steps,
        mesh=f"{item.id}.glb" if made else None,
        mesh_digest=item.id if made else None,
        montage=f"{item.id}.png" if made else None,
        truth=filled(Truth, f_score=f_score, normal_consistency=0.8) if made else None,
        failure=failure,
    )


ITEMS = plan_generations(PARAMS, ASSETS, CONDITIONS)
GENERATIONS = [as_row(item) for item in ITEMS]


def test_plan_holds_every_role_once_with_its_budget_and_picture():
    assert len({item.id for item in ITEMS}) == len(ITEMS) == 12 * 3 + 6 * 3
    full = (PARAMS.generator.structure.steps, PARAMS.generator.latents.steps)
    low = PARAMS.generate.low_budget_steps
    for item in ITEMS:
        assert item.picture == CONDITIONS[item.asset, item.regime]
        assert item.steps is not None
        steps = (item.steps.structure, item.steps.latents)
        assert steps == ((low, low) if item.role == "loser" else full)
        assert item.sample == (item.role in ("sibling", "heldout_control"))
    roles = {(item.split, item.role, item.regime) for item in ITEMS}
    assert roles == {
        ("train", "winner", "clean"),
        ("train", "sibling", "clean"),
        ("train", "loser", "severe"),
        ("heldout", "heldout", "clean"),
        ("heldout", "heldout", "severe"),
        ("heldout", "heldout_control", "clean"),
    }


def test_seeds_differ_between_roles_but_not_between_regimes():
    seed = {(item.asset, item.role, item.regime): item.seed for item in ITEMS}
    heldout = "table-00012"
    assert seed[heldout, "heldout", "clean"] == seed[heldout, "heldout", "severe"]
    assert seed[heldout, "heldout", "clean"] != seed[heldout, "heldout_control", "clean"]
    assert len({item.seed for item in ITEMS if item.split == "train"}) == 12 * 3


def test_an_assets_plan_does_not_depend_on_the_others():
    alone = plan_generations(PARAMS, ASSETS[4:5], CONDITIONS)
    assert alone == [item for item in ITEMS if item.asset == ASSETS[4].id]


def test_missing_condition_names_what_there_is():
    with pytest.raises(Verdict3DError, match=r"no 'foggy' condition.*clean, medium, mild, severe"):
        find_condition(CONDITIONS, "chair-00000", "foggy")


def test_pairs_compare_the_winner_and_expect_it_on_either_side():
    pairs = make_pairs(PARAMS, ASSETS, GENERATIONS)
    assert {pair.asset for pair in pairs} == {asset.id for asset in ASSETS[:12]}
    for pair in pairs:
        sides = {"x": pair.x.generation, "y": pair.y.generation}
        winner = f"{pair.asset}-winner-clean-0"
        other = "loser-severe-0" if pair.kind == "contrastive" else "sibling-clean-0"
        assert set(sides.values()) == {winner, f"{pair.asset}-{other}"}
        if pair.kind == "contrastive":
            assert sides[pair.expected] == winner
        else:
            assert pair.expected is None
    metrics = measure_pairs(pairs)
    assert metrics["by_kind"] == {"contrastive": 12, "same_base": 12}
    assert 0 < metrics["expected_x_share"] < 1


def test_pair_kinds_can_be_left_out():
    params = PARAMS.model_copy(update={"pairs": PARAMS.pairs.model_copy(update={"kinds": ("same_base",)})})
    items = plan_generations(params, ASSETS, CONDITIONS)
    assert "loser" not in {item.role for item in items}
    assert {pair.kind for pair in make_pairs(params, ASSETS, GENERATIONS)} == {"same_base"}


def test_failed_generation_stays_in_its_pair():
    broken = [as_row(item, failure="empty_structure" if item.role == "loser" else None) for item in ITEMS]
    pairs = [pair for pair in make_pairs(PARAMS, ASSETS, broken) if pair.kind == "contrastive"]
    assert len(pairs) == 12
    for pair in pairs:
        loser = pair.y if pair.expected == "x" else pair.x
        assert loser.failure == "empty_structure"
        assert loser.mesh is None
    metrics = measure_generations(broken)
    assert metrics["failures"] == {"empty_structure": 12}
    assert metrics["non_empty_share"] == pytest.approx(1 - 12 / 54)
    assert "loser" not in metrics["f_score_by_role"]


def test_montages_are_drawn_once_a_mode():
    judges = PARAMS.judges
    assert list_modes(judges) == {"normal": judges.evaluation.views}
    other = judges.model_copy(update={"evaluation": judges.evaluation.model_copy(update={"mode": "clay"})})
    assert list(list_modes(other)) == ["normal", "clay"]
    more = judges.model_copy(update={"training": judges.training.model_copy(update={"views": 5})})
    assert list_modes(more) == {"normal": 5}


def test_the_arm_generates_from_the_bases_pictures_and_noise():
    base = select_base_generations(PARAMS, GENERATIONS)
    assert len(base) == 12
    items = plan_arm("conditioner_repair", base, {asset.id: asset for asset in ASSETS})
    for item, made in zip(items, base, strict=True):
        assert (item.seed, item.picture, item.regime) == (made.seed, made.condition, made.regime)
        assert item.id != made.id
    with pytest.raises(Verdict3DError, match=r"\['severe'\].*heldout_regimes"):
        select_base_generations(PARAMS, [made for made in GENERATIONS if made.regime == "clean"])


def test_controls_pair_two_clean_samples_of_the_base():
    pairs = pair_controls(GENERATIONS)
    assert len(pairs) == 6
    for second, first in pairs:
        assert second.asset == first.asset
        assert second.condition == first.condition
        assert second.seed != first.seed


def evaluated_rows() -> list[HeldoutVerdict]:
    """Six severe pairs: wins where the asset's number is even, one tie, one failed arm."""
    base = [one for one in select_base_generations(PARAMS, GENERATIONS) if one.regime == "severe"]
    items = plan_arm("arm", base, {asset.id: asset for asset in ASSETS})
    margins = [(2.0, -2.0), (-2.0, 2.0), (1.0, 1.5), (3.0, -1.0), (0.5, -2.5)]
    verdicts = [Verdict.of(pair) for pair in margins] + [Verdict.invalid("no_faces", "the mesh has no faces")]
    scores = [0.95, 0.5, 0.905, 0.95, 0.2, 0.0]
    arm = [
        as_row(item, score, verdict.reason or None)
        for item, score, verdict in zip(items, scores, verdicts, strict=True)
    ]
    return [make_heldout_verdict(x, y, verdict) for x, y, verdict in zip(arm, base, verdicts, strict=True)]


def test_truth_ties_within_a_hundredth_and_knows_failures():
    outcomes = [class_by_truth(one.arm.f_score, one.base.f_score) for one in evaluated_rows()]
    assert outcomes == ["win", "loss", "close", "win", "loss", "invalid"]


def said(rows: list[HeldoutVerdict]) -> dict[str, list[HeldoutVerdict]]:
    return {"evaluation": rows, "training": rows}


def test_regime_results_by_hand():
    rows = evaluated_rows()
    results = judge_regime(PARAMS, "arm", said(rows), "severe")
    judged = results.summary
    assert (judged.pairs, judged.invalid, judged.flips) == (6, 0, 1)
    assert judged.half_credit.value == pytest.approx((3 + 0.5) / 6)  # the missing mesh is a loss
    assert judged.decisive.value == pytest.approx(3 / 5)
    assert judged.coverage == pytest.approx(5 / 6)
    assert judged.flip_rate == pytest.approx(1 / 5)
    truth = results.truth
    assert truth.f_score.half_credit.value == pytest.approx((2 + 0.5) / 5)
    assert truth.arm_f_score_mean == pytest.approx((0.95 + 0.5 + 0.905 + 0.95 + 0.2) / 5)
    assert truth.base_f_score_mean == pytest.approx(0.9)
    assert truth.normal_consistency.close == 5
    observed, chance = 4 / 5, (3 * 2 + 1 * 2 + 1 * 1) / 25
    assert results.kappa_judge_truth.value == pytest.approx((observed - chance) / (1 - chance))
    assert set(results.by_category) == {"table", "sofa"}
    assert results.by_category["sofa"].invalid == 0
    assert judge_regime(PARAMS, "arm", said(rows[::-1]), "severe").summary == judged


def test_headline_metrics_are_the_results():
    rows = evaluated_rows()
    part = judge_regime(PARAMS, "arm", said(rows), "severe")
    results = filled(
        Results,
        regimes={"severe": part},
        controls=ControlResults(base_vs_base=part.summary),
        failures={"no_faces": 1},
    )
    metrics = select_headline_metrics(results)
    assert metrics["regimes"]["severe"]["half_credit"] == part.summary.half_credit.model_dump()
    assert metrics["regimes"]["severe"]["invalid"] == 0
    assert metrics["regimes"]["severe"]["judge_agreement"] == {"evaluation_training": 1.0}
    assert metrics["failures"] == {"no_faces": 1}
