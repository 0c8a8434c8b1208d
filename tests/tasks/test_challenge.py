"""Stages challenge and gate on a tiny project of real classes, against the base and against an adapter."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import tasks.challenge
import tasks.gate
from support.rows import filled
from tasks.paths import read_assets
from tasks.scoring.champion import (
    BASE,
    make_champion,
    place_champion,
    read_champion,
)
from tasks.scoring.holdout import digest_objects
from verdict3d.adapt.adapter import save_adapter
from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_directory
from verdict3d.records.adapters import adapter_identity, read_card
from verdict3d.records.certificates import Certificate
from verdict3d.records.decisions import Challenge, Champion
from verdict3d.records.files import read_json, read_jsonl
from verdict3d.records.holdout import HoldoutSet, HoldoutSets, HoldoutUse
from verdict3d.records.record import read_record, read_rows, write_record
from verdict3d.records.results import JudgeUsed
from verdict3d.records.verdicts import ControlVerdict, HeldoutVerdict

pytestmark = pytest.mark.slow

ARM = "conditioner_repair"
Project = tuple[Path, Params]


@pytest.fixture(scope="module")
def project(tiny_chain: Project) -> Project:
    """The project after the whole chain, with the base as champion."""
    return tiny_chain


def fork(project: Project, target: Path, **promotion: object) -> Project:
    root, params = project
    shutil.copytree(root, target)
    changed = params.promotion.model_copy(update=promotion)
    return target, params.model_copy(update={"promotion": changed})


def other_adapter(root: Path, folder: Path) -> Champion:
    """Write an adapter that differs from the candidate's and return it as a champion."""
    card = read_card(root / f"data/train/{ARM}")
    weights = load_file(root / f"data/train/{ARM}/adapter_model.safetensors")
    moved = {name: tensor + 0.05 * torch.ones_like(tensor) for name, tensor in weights.items()}
    save_adapter(moved, card, card.measures, folder)
    return make_champion(3, ARM, adapter_identity(folder))


def test_against_the_base_the_verdicts_are_those_of_the_evaluation(project: Project) -> None:
    root, _ = project
    challenge = read_json(root / "data/challenge/challenge.json")
    assert challenge["champion"]["name"] == "the base" and challenge["arms"][ARM]["looks"] == 1
    evaluated = read_jsonl(root / f"data/evaluate/{ARM}/verdicts.jsonl")
    assert read_jsonl(root / f"data/challenge/{ARM}/verdicts.jsonl") == evaluated
    assert sorted(challenge["arms"][ARM]["objects"]) == sorted({row["object"] for row in evaluated})


def test_what_was_not_measured_holds_the_candidate(project: Project) -> None:
    root, params = project
    decision = read_json(root / "data/gate/decision.json")
    mine = decision["arms"][ARM]
    assert mine["decision"] != "PROMOTE" and decision["chosen"] is None
    states = {condition["name"]: condition for condition in mine["conditions"]}
    for name in ("certificate: training", "certificate: evaluation"):
        assert states[name]["state"] == "open" and "allow_uncertified" in states[name]["words"]
    assert decision["rule"]["objects"] == params.promotion.objects
    assert decision["adapters"][ARM] == adapter_identity(root / f"data/train/{ARM}")


def test_the_same_inputs_give_the_same_bytes(project: Project, tmp_path: Path) -> None:
    root, params = fork(project, tmp_path / "again")
    before = {name: digest_directory(root / "data" / name) for name in ("challenge", "gate")}
    tasks.challenge.run(params, root)
    tasks.gate.run(params, root)
    assert {name: digest_directory(root / "data" / name) for name in before} == before


def test_a_champion_with_an_adapter_generates_anew_from_the_same_noise(
    project: Project, tmp_path: Path
) -> None:
    root, params = fork(project, tmp_path / "champion")
    champion = other_adapter(root, tmp_path / "adapter")
    assert place_champion(root, champion, tmp_path / "adapter")
    assert not place_champion(root, champion, tmp_path / "adapter")
    tasks.challenge.run(params, root)
    theirs = read_jsonl(root / "data/challenge/champion/generations.jsonl")
    mine = read_jsonl(root / f"data/evaluate/{ARM}/generations.jsonl")
    keys = ("asset", "regime", "number", "seed", "condition", "steps")
    assert [[row[key] for key in keys] for row in theirs] == [[row[key] for key in keys] for row in mine]
    assert [row["mesh_digest"] for row in theirs] != [row["mesh_digest"] for row in mine]
    tasks.gate.run(params, root)
    decision = read_json(root / "data/gate/decision.json")
    assert decision["champion"] == {**champion.model_dump(), "name": f"version 3 ({ARM})"}
    bar = next(found for found in decision["arms"][ARM]["conditions"] if found["name"] == "bar")
    assert f"version 3 ({ARM})" in bar["words"]

    (root / "data/registry/champion/adapter_model.safetensors").write_bytes(b"other weights")
    with pytest.raises(Verdict3DError, match="fetches it again"):
        read_champion(root)
    assert place_champion(root, BASE, None) and read_champion(root) == BASE


def test_the_champion_cannot_challenge_itself(project: Project, tmp_path: Path) -> None:
    root, params = fork(project, tmp_path / "self")
    adapter = root / f"data/train/{ARM}"
    place_champion(root, make_champion(1, ARM, adapter_identity(adapter)), adapter)
    tasks.challenge.run(params, root)
    rows = read_jsonl(root / f"data/challenge/{ARM}/verdicts.jsonl")
    assert {row["outcome"] for row in rows} <= {"same", "invalid"}  # the same bytes on both sides
    tasks.gate.run(params, root)
    found = read_json(root / "data/gate/decision.json")["arms"][ARM]["conditions"]
    assert found[0]["words"] == "this adapter is the champion already"


def test_certificates_count_for_the_judge_they_name(project: Project, tmp_path: Path) -> None:
    root, params = fork(project, tmp_path / "certified")
    judge = read_json(root / "data/challenge/challenge.json")["judge"]
    params = params.model_copy(update={"audit": params.audit.model_copy(update={"allow_uncertified": False})})
    certificate = filled(Certificate, passed=True, judge=filled(JudgeUsed, digest=judge))
    path = root / "data/certify/evaluation/certificate.json"
    write_record(path, certificate)
    assert tasks.gate.read_certificates(params, root, judge)["evaluation"].state == "met"
    failed = {"passed": False, "reasons": ["clear gap: 0.70 is below 0.83"]}
    write_record(path, certificate.model_copy(update=failed))
    found = tasks.gate.read_certificates(params, root, judge)["evaluation"]
    assert found.state == "open" and "0.70 is below 0.83" in found.words
    write_record(path, certificate.model_copy(update={"judge": filled(JudgeUsed, digest="another")}))
    assert "another judge" in tasks.gate.read_certificates(params, root, judge)["evaluation"].words


def test_held_out_objects_remember_what_they_were_used_for(project: Project, tmp_path: Path) -> None:
    root, params = fork(project, tmp_path / "used")
    challenge = read_record(root / "data/challenge/challenge.json", Challenge)
    mine = challenge.holdout
    adapter = adapter_identity(root / f"data/train/{ARM}")
    assert mine.objects == sorted(digest_objects(root, read_assets(root)).values())
    # every evaluated arm is a candidate, in promotion.arms or not
    assert set(mine.arms) == {adapter_identity(root / f"data/train/{arm}") for arm in params.train.arms}
    asked = [
        row
        for name in ("verdicts", "texture")
        for row in read_jsonl(root / f"data/evaluate/{ARM}/{name}.jsonl")
        for one in row["sets"]
        if one is not None
    ]
    assert mine.arms[adapter] == 2 * len(asked)
    # the audit's questions and those of the controls count too
    files = [root / f"data/{stage}/evaluation/verdicts.jsonl" for stage in ("audit", "certify")]
    audit = [row for path in files if path.exists() for row in read_rows(path, ControlVerdict)]
    heldout = {asset.id for asset in read_assets(root) if asset.split == "heldout"}
    controls = [
        *(row for row in audit if row.object in heldout),
        *read_rows(root / f"data/evaluate/{ARM}/controls.jsonl", HeldoutVerdict),
    ]
    assert mine.audits == {challenge.judge: 2 * sum(len(row.sets) for row in controls)}

    grown = HoldoutSet(objects=[*mine.objects[:1], "another"], arms={"a": 10, adapter: 0}, audits={})
    unrelated = HoldoutSet(objects=["others"], arms={"c": 1}, audits={})
    same = mine.model_copy(update={"arms": {"b": 6}, "audits": {}})
    write_record(root / "data/registry/holdout.json", HoldoutSets(sets=[grown, unrelated, same]))
    found = tasks.gate.collect_evidence(params, root, ARM, challenge).holdout
    own = sum(mine.arms.values()) + sum(mine.audits.values())
    # half of the ten answers about `a` were about an object of ours
    assert found == HoldoutUse(candidates=len(mine.arms) + 2, queries=own + 5 + 6, looks=2)


def test_a_sequential_challenge_stops_when_it_is_decided(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, params = fork(project, tmp_path / "sequential", test="sequential", batch_objects=1)
    tasks.challenge.run(params, root)
    whole = read_json(root / "data/challenge/challenge.json")["arms"][ARM]
    assert whole["looks"] == 2 == len(whole["objects"])  # two objects decide nothing
    monkeypatch.setattr(tasks.challenge, "is_decided", lambda params, rows, order: True)
    tasks.challenge.run(params, root)
    short = read_json(root / "data/challenge/challenge.json")["arms"][ARM]
    assert short["looks"] == 1 and short["objects"] == whole["objects"][:1]


def test_when_a_sequential_test_is_decided(project: Project) -> None:
    params = project[1].model_copy(
        update={"promotion": project[1].promotion.model_copy(update={"test": "sequential"})}
    )
    order = [f"o{number}" for number in range(60)]
    said = {"win": (1.0, -1.0), "loss": (-1.0, 1.0), "flip": (1.0, 1.0), "close": (-1.0, -1.0)}

    def rows(severe: str, clean: str, objects: int) -> list[HeldoutVerdict]:
        return [
            filled(HeldoutVerdict, object=name, regime=regime, outcome=outcome, sets=[said[outcome]])
            for name in order[:objects]
            for regime, outcome in (("severe", severe), ("clean", clean))
        ]

    def decided(severe: str, clean: str, objects: int) -> bool:
        return tasks.challenge.is_decided(params, rows(severe, clean, objects), order)

    assert not decided("win", "win", 3) and decided("win", "win", 20)
    assert decided("loss", "win", 20) and not decided("win", "loss", 20) and not decided("flip", "close", 60)
    assert not tasks.challenge.is_decided(
        project[1], rows("win", "win", 20), order
    )  # a fixed number is fixed
