"""Preflight: by hand on verdicts that are written here, and the run it stops."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml

from support.places import ROOT
from support.rows import filled
from tasks.preflight import examine, run
from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.records.files import read_json
from verdict3d.records.generations import Generation, Truth
from verdict3d.records.numbers import Interval, Summary
from verdict3d.records.record import write_record, write_rows
from verdict3d.records.results import Labels
from verdict3d.records.verdicts import Compared, PairVerdict
from verdict3d.stats.power import count_pairs_to_beat
from verdict3d.stats.preflight import choose_promising_regime, count_objects_needed, describe_preflight

VALUES = yaml.safe_load((ROOT / "params.yaml").read_text())


def write_labels(root: Path, outcomes: list[str]) -> None:
    """Contrastive severe pairs; the better side is y, so an outcome "loss" is right."""
    generations, verdicts = [], []
    for number, outcome in enumerate(outcomes):
        for side, regime, score in (("good", "clean", 0.9), ("bad", "severe", 0.5)):
            generations.append(
                filled(
                    Generation,
                    id=f"{side}-{number}",
                    asset=f"a{number}",
                    regime=regime,
                    truth=filled(Truth, f_score=score),
                )
            )
        verdicts.append(
            filled(
                PairVerdict,
                kind="contrastive",
                expected="y",
                outcome=outcome,
                x=filled(Compared, generation=f"bad-{number}"),
                y=filled(Compared, generation=f"good-{number}"),
            )
        )
    generations.append(filled(Generation, id="h", asset="h", split="heldout"))
    right, ties = outcomes.count("loss"), outcomes.count("flip")
    summary = filled(
        Summary,
        half_credit=filled(Interval, value=(right + ties / 2) / len(outcomes)),
        coverage=1 - ties / len(outcomes),
        flip_rate=ties / len(outcomes),
        pairs=len(outcomes),
    )
    write_rows(root / "data/generate/generations.jsonl", generations)
    write_rows(root / "data/label/verdicts.jsonl", verdicts)
    write_record(root / "data/label/metrics.json", filled(Labels, kinds={"contrastive": summary}))


def params(**changes: object) -> Params:
    return Params.model_validate({**VALUES, "preflight": {**VALUES["preflight"], **changes}})


def test_a_judge_that_orders_known_pairs_is_a_signal(tmp_path):
    write_labels(tmp_path, ["loss"] * 8 + ["win", "flip"])
    run(params(), tmp_path)
    found = read_json(tmp_path / "data/preflight/preflight.json")
    assert found["signal"]
    assert found["headroom"]["severe"] == {"judge": 0.85, "truth": 1.0, "pairs": 10}
    assert found["regime"] == "severe"
    assert found["objects_heldout"] == 1
    assert found["objects_needed"] == count_objects_needed(0.65, 0.9, 0.8, 0.95) == 108


@pytest.mark.parametrize(
    ("outcomes", "words"), [(["win"] * 6 + ["loss"] * 4, "0.40"), (["flip"] * 10, "0.00")]
)
def test_no_signal_stops_the_run_and_leaves_its_reasons(outcomes, words, tmp_path):
    write_labels(tmp_path, outcomes)
    with pytest.raises(Verdict3DError, match=f"{words}.*override"):
        run(params(), tmp_path)
    assert not read_json(tmp_path / "data/preflight/preflight.json")["signal"]


def test_an_override_is_recorded(tmp_path):
    write_labels(tmp_path, ["flip"] * 4)
    run(params(override=True), tmp_path)
    found = read_json(tmp_path / "data/preflight/preflight.json")
    assert found["overridden"]
    assert not found["signal"]
    assert found["regime"] is None


def test_objects_for_a_coin_are_none_and_regimes_tie_by_name():
    assert count_objects_needed(0.5, 1.0, 0.8, 0.95) is None
    assert count_objects_needed(0.65, 1.0, 0.8, 0.95) == 97
    assert (
        count_objects_needed(0.65, None, 0.8, 0.95) is None
        and count_objects_needed(0.65, 0.0, 0.8, 0.95) is None
    )
    assert choose_promising_regime({"mild": 0.8, "severe": 0.8, "clean": None}, 0.7) == "severe"


def test_the_plan_is_for_the_interval_that_the_evaluation_reports(tmp_path):
    """A wider interval takes more objects to lie above one half: the exact sign test at its own level."""
    write_labels(tmp_path, ["loss"] * 8 + ["win", "flip"])
    needed = {}
    for confidence in (0.9, 0.95, 0.99):
        values = {**VALUES, "evaluate": {**VALUES["evaluate"], "confidence": confidence}}
        needed[confidence] = examine(Params.model_validate(values), tmp_path).objects_needed
    pairs = {confidence: count_pairs_to_beat(0.65, (1 - confidence) / 2, 0.8) for confidence in needed}
    assert needed == {confidence: math.ceil(number / 0.9) for confidence, number in pairs.items()}
    assert needed[0.9] < needed[0.95] < needed[0.99]


def test_why_no_number_of_objects_is_known(tmp_path):
    write_labels(tmp_path, ["invalid"] * 4)
    metrics = tmp_path / "data/label/metrics.json"
    for kinds in ({"contrastive": filled(Summary, pairs=4)}, {}):
        write_record(metrics, filled(Labels, kinds=kinds))
        found = examine(params(override=True), tmp_path)
        assert found.objects_needed is None
        assert "no contrastive pair was judged" in describe_preflight(found, 0.65, 0.8, 0.7)[-1]


def test_it_is_said_in_words(tmp_path):
    write_labels(tmp_path, ["loss"] * 8 + ["win", "flip"])
    signal, pairs, headroom, objects = describe_preflight(examine(params(), tmp_path), 0.65, 0.8, 0.7)
    assert signal == "There is a signal to learn from."
    assert "On 10 pairs" in pairs and "right in 0.85 of" in pairs and "90% were decided" in pairs
    assert "wins 0.85 of the pairs according to the judge, 1.00 by F-score. This is enough" in headroom
    assert objects.startswith("Held-out objects: 1, of 108") and "Raise assets.heldout by 107" in objects
    *_, objects = describe_preflight(examine(params(), tmp_path), 0.65, 0.8, 0.7, decided=True)
    assert objects.startswith("Held-out objects: 1, of 108") and "Raise" not in objects
    write_labels(tmp_path, ["flip"] * 4)
    nothing, *_, objects = describe_preflight(examine(params(override=True), tmp_path), 0.65, 0.8, 0.7)
    assert "nothing to learn from" in nothing and "preflight.override" in nothing
    assert "the judge decides no pair" in objects
