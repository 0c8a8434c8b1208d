"""generate, pairs, train and evaluate on a tiny project of real classes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import tasks.evaluate
import tasks.generate
import tasks.pairs
import tasks.train
from support.rows import filled
from support.tiny_project import SPLITS
from support.tiny_trellis import tiny_photo, write_tiny_generator
from tasks.making.generation import GenerationWorker
from tasks.making.networks import load_networks
from tasks.tracking.run_values import collect_win_rates
from verdict3d.adapt.method import Tools
from verdict3d.adapt.methods.conditioner_repair import ConditionerRepair, TokenRepair
from verdict3d.adapt.registry import find_method, list_methods
from verdict3d.asking.pairings import STORE
from verdict3d.asking.preferences import make_search_tools
from verdict3d.config import Params, load_params
from verdict3d.errors import Verdict3DError
from verdict3d.judge.store import VerdictStore
from verdict3d.making.arms import load_arm, select_arm_params
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import mesh_digest
from verdict3d.pretrain.embedded import build_judge
from verdict3d.provenance import digest_directory
from verdict3d.records.certificates import Certificate, Finding
from verdict3d.records.files import read_json, read_jsonl
from verdict3d.records.generations import Generation
from verdict3d.records.record import read_record, read_rows, write_record, write_rows
from verdict3d.records.results import JudgeUsed, Results
from verdict3d.trellis.pipeline import TrellisPipeline

pytestmark = pytest.mark.slow

ARM = "conditioner_repair"
Project = tuple[Path, Params]


@pytest.fixture(scope="module")
def project(tiny_chain: Project) -> Project:
    """The project after the whole chain."""
    return tiny_chain


def fork(project: Project, target: Path, **changes: object) -> Project:
    """Copy the project, with top-level sections of its parameters replaced."""
    root, params = project
    shutil.copytree(root, target)
    return target, params.model_copy(update=changes)


def test_generations_have_their_files_or_a_reason(project):
    root, _ = project
    rows = read_jsonl(root / "data/generate/generations.jsonl")
    assert len(rows) == 2 * 3 + 2 * 3
    made = [row for row in rows if row["failure"] is None]
    for row in made:
        mesh = read_mesh(root / row["mesh"])
        assert len(mesh.faces) > 0
        assert mesh_digest(mesh) == row["mesh_digest"]
        assert (root / row["montage"]).stat().st_size > 0
        assert set(row["montages"]) == {"normal", *(["rgb"] if row["split"] == "heldout" else [])}
        assert row["montages"]["normal"] == row["montage"]
        assert 0 <= row["truth"]["f_score"] <= 1
    failed = [row for row in rows if row not in made]
    assert {(row["asset"], row["regime"], row["failure"]) for row in failed} >= {
        (f"chair-{len(SPLITS) - 1:05d}", "severe", "no_foreground")
    }
    assert all(row["mesh"] is None and row["failure_message"] for row in failed)
    metrics = read_json(root / "data/generate/metrics.json")
    assert metrics["failures"]["no_foreground"] == 1
    assert metrics["non_empty_share"] == len(made) / len(rows)


def exchange_meshes(root: Path) -> None:
    """Give every held-out generation another one's mesh: the barely trained arm makes the base's own."""
    path = root / "data/generate/generations.jsonl"
    rows = read_rows(path, Generation)
    before = list(rows)
    places = [place for place, row in enumerate(rows) if row.split == "heldout" and not row.failure]
    for place, other in zip(places, [*places[1:], places[0]], strict=True):
        names = ("mesh", "mesh_digest", "montage", "montages")
        rows[place] = rows[place].model_copy(update={name: getattr(before[other], name) for name in names})
    write_rows(path, rows)


def test_nothing_is_left_in_the_resume_folder(project):
    root, _ = project
    left = [path for path in (root / ".verdict3d/resume").rglob("*") if path.is_file()]
    assert left == []


def test_evaluation_uses_the_bases_noise_and_counts_failures_as_invalid(project):
    root, params = project
    base = {row["id"]: row for row in read_jsonl(root / "data/generate/generations.jsonl")}
    arm = {row["id"]: row for row in read_jsonl(root / f"data/evaluate/{ARM}/generations.jsonl")}
    rows = read_jsonl(root / f"data/evaluate/{ARM}/verdicts.jsonl")
    assert len(rows) == 2 * len(params.evaluate.regimes)
    for row in rows:
        mine, theirs = arm[row["arm"]["generation"]], base[row["base"]["generation"]]
        for key in ("asset", "seed", "condition", "steps", "regime", "number"):
            assert mine[key] == theirs[key]
        if row["outcome"] == "invalid":
            assert row["m1"] is None
            assert row["reason"]
        elif row["outcome"] == "same":
            assert (row["d"], row["sets"]) == (0.0, [])
        else:
            assert row["d"] == pytest.approx((row["m1"] - row["m2"]) / 2)
    results = read_json(root / f"data/evaluate/{ARM}/results.json")
    assert results["failures"]["no_foreground"] == 1
    assert results["regimes"]["severe"]["summary"]["invalid"] >= 1
    assert set(results["regimes"]) == {"clean", "severe"}
    assert results["controls"]["base_vs_base"]["pairs"] == 2
    assert results["judge"]["model"] == params.judges.evaluation.model


def test_a_third_judge_is_asked_about_the_same_pairs_and_decides_nothing(project, tmp_path):
    params = project[1]
    place = tmp_path / "judge-third"
    build_judge("internvl", seed=11).save(place)
    third = params.judges.evaluation.model_copy(update={"model": str(place), "mode": "clay"})
    _, changed = fork(project, tmp_path / "fork", judges=params.judges.model_copy(update={"third": third}))
    for stage in (tasks.generate.run, tasks.pairs.run):  # the third judge looks at montages of its own
        stage(changed, tmp_path / "fork")
    exchange_meshes(tmp_path / "fork")
    out = tmp_path / f"fork/data/evaluate/{ARM}"
    tasks.evaluate.run(params, tmp_path / "fork", ARM)
    before = read_json(out / "results.json")
    tasks.evaluate.run(changed, tmp_path / "fork", ARM)
    rows, said = read_jsonl(out / "verdicts.jsonl"), read_jsonl(out / "third_judge.jsonl")
    assert [row["arm"]["generation"] for row in said] == [row["arm"]["generation"] for row in rows]
    assert all("/clay/" in row["arm"]["montage"] for row in said if not row["reason"])
    assert any(one["m1"] != other["m1"] for one, other in zip(rows, said, strict=True) if not one["reason"])
    found = read_json(out / "results.json")
    metrics, sent = (
        read_json(out / "metrics.json"),
        collect_win_rates(read_record(out / "results.json", Results)),
    )
    for regime, part in found["regimes"].items():
        assert part["summary"] == before["regimes"][regime]["summary"]
        mine = [row for row in said if row["regime"] == regime]
        assert part["third_judge"]["pairs"] == len(mine)
        agreed = part["judge_agreement"]
        assert set(agreed) == {"evaluation_training", "evaluation_third", "training_third"}
        same = [
            one["outcome"] == other["outcome"]
            for one, other in zip([row for row in rows if row["regime"] == regime], mine, strict=True)
            if "invalid" not in (one["outcome"], other["outcome"])
        ]
        assert agreed["evaluation_third"]["observed"] == pytest.approx(sum(same) / len(same))
        assert (
            metrics["regimes"][regime]["judge_agreement"]["evaluation_third"]
            == agreed["evaluation_third"]["value"]
        )
        assert (
            sent[f"{regime}/judge_agreement.evaluation_third.observed"]
            == agreed["evaluation_third"]["observed"]
        )


def test_evaluation_writes_what_stands_beside_the_win_rates(project):
    root, params = project
    results = read_json(root / f"data/evaluate/{ARM}/results.json")
    rows = read_jsonl(root / f"data/evaluate/{ARM}/verdicts.jsonl")
    trained = read_jsonl(root / f"data/evaluate/{ARM}/training_judge.jsonl")
    colours = read_jsonl(root / f"data/evaluate/{ARM}/texture.jsonl")
    assert [row["arm"]["generation"] for row in trained] == [row["arm"]["generation"] for row in rows]
    assert all(
        row["arm"]["montage"].startswith(f"data/evaluate/{ARM}/montages/rgb/")
        for row in colours
        if not row["reason"]
    )
    for regime in params.evaluate.regimes:
        part = results["regimes"][regime]
        gap, mine = part["over_optimisation_gap"], part["training_judge"]["half_credit"]["value"]
        if part["summary"]["invalid"] == 0:
            assert gap["value"] == pytest.approx(mine - part["summary"]["half_credit"]["value"])
        assert results["texture"][regime]["pairs"] == part["summary"]["pairs"]
    assert 0 < results["validity"]["base"] <= 1
    for regime, way in results["washout"].items():
        assert set(way["velocities"]) == {"0.95", "0.75", "0.5", "0.25"}
        assert 0 <= way["structure_iou"] <= 1
        assert (way["tokens"] is None) == (regime == "clean"), "on clean pictures there is no gap to close"


def test_a_judge_that_sees_no_colours_is_asked_nothing_about_texture(project, tmp_path):
    root, params = fork(project, tmp_path / "colour_blind")
    blind = filled(Certificate, controls={"colour": filled(Finding, passed=False)})
    write_record(root / "data/certify/evaluation/certificate.json", blind)
    tasks.evaluate.run(params, root, ARM)
    assert read_json(root / f"data/evaluate/{ARM}/results.json")["texture"] == {}
    assert read_jsonl(root / f"data/evaluate/{ARM}/texture.jsonl") == []


def test_evaluating_again_asks_nothing_and_writes_the_same_bytes(project, tmp_path):
    root, params = fork(project, tmp_path / "again")
    before = digest_directory(root / f"data/evaluate/{ARM}")
    store = VerdictStore(root / STORE).rows()
    tasks.evaluate.run(params, root, ARM)
    assert digest_directory(root / f"data/evaluate/{ARM}") == before
    assert VerdictStore(root / STORE).rows() == store


def test_the_same_judge_twice_is_refused_before_any_work(project, tmp_path):
    _, params = project
    judges = params.judges.model_copy(update={"evaluation": params.judges.training})
    root, changed = fork(project, tmp_path / "same", judges=judges)
    shutil.rmtree(root / f"data/evaluate/{ARM}")
    with pytest.raises(Verdict3DError, match="same model"):
        tasks.evaluate.run(changed, root, ARM)
    assert not (root / f"data/evaluate/{ARM}").exists()


def test_every_judge_of_an_evaluation_is_shown_the_panel_that_its_audit_chose(project, tmp_path):
    root, params = fork(project, tmp_path / "panels")
    chosen = {"training": "two_sheets", "evaluation": "seven_images"}
    for role, panel in chosen.items():
        certificate = filled(Certificate, judge=filled(JudgeUsed, panel=panel))
        write_record(root / f"data/audit/{role}/certificate.json", certificate)
    exchange_meshes(root)
    store = VerdictStore(root / STORE)
    before = len(store.rows())
    tasks.evaluate.run(params, root, ARM)
    asked = {(row["model"], row["panel"], row["mode"]) for row in store.rows()[before:]}
    training, evaluation = params.judges.training.model, params.judges.evaluation.model
    assert asked == {
        (training, "two_sheets", "normal"),
        (evaluation, "seven_images", "normal"),
        (evaluation, "seven_images", "rgb"),
    }
    assert read_json(root / f"data/evaluate/{ARM}/results.json")["judge"]["panel"] == "seven_images"
    prefers = make_search_tools(params, root).prefers()
    mesh, other = (read_mesh(path) for path in sorted((root / "data/assets/meshes").iterdir())[:2])
    prefers([(Image.new("RGB", (64, 64), "teal"), mesh, other)])
    last = store.rows()[-1]
    assert (last["model"], last["panel"]) == (training, "two_sheets")


def test_adapter_of_another_base_is_refused_with_both_digests(project, tmp_path):
    root, params = fork(project, tmp_path / "other")
    ours = load_networks(params, root).digest
    shutil.rmtree(root / params.generator.model)
    write_tiny_generator(root / params.generator.model, seed=9)
    other = load_networks(params, root).digest
    with pytest.raises(Verdict3DError, match=f"{ours}.*{other}"):
        load_arm(params, root, ARM, Tools())


def test_training_again_writes_the_same_bytes(project, tmp_path):
    root, params = fork(project, tmp_path / "again")
    before = digest_directory(root / f"data/train/{ARM}")
    tasks.train.run(params, root, ARM)
    assert digest_directory(root / f"data/train/{ARM}") == before


def test_train_records_losses_and_where_the_adapter_comes_from(project):
    root, params = project
    out = root / f"data/train/{ARM}"
    lines = (out / "losses.csv").read_text().splitlines()
    assert lines[0].startswith("step,learning_rate,train_loss,validation_loss,base_validation_loss,")
    assert len(lines) == 1 + 1 + params.train.sections[ARM].steps
    card = read_json(out / "card.json")
    assert card["arm"] == ARM
    assert card["base_digest"] == load_networks(params, root).digest
    assert card["assets"] == {"train": 2, "validation": 1}
    metrics = read_json(out / "metrics.json")
    assert metrics["adapter"]["validation_loss"] <= metrics["base"]["validation_loss"]
    assert metrics["base"]["validation_loss_clean"] < 1e-9


def untrained_weights(pipeline: TrellisPipeline) -> dict[str, torch.Tensor]:
    return TokenRepair(pipeline.conditioner.channels, 16).state_dict()


def test_untrained_adapter_is_the_base_and_a_trained_one_is_not(project):
    root, params = project
    base = load_networks(params, root)
    pictures = [base.preprocess(tiny_photo(number)) for number in range(3)]
    tokens = base.encode(pictures)
    method, section = ConditionerRepair(), params.train.sections[ARM]
    untrained = method.wrap(base, section, untrained_weights(base), Tools())
    assert torch.equal(untrained.encode(pictures), tokens)
    seeds = [1, 2, 3]
    expected = base.generate_from_tokens(tokens, seeds)
    made = untrained.generate([tiny_photo(number) for number in range(3)], seeds)
    assert [mesh_digest(mesh) for mesh in made] == [mesh_digest(mesh) for mesh in expected]

    moved = {name: tensor + 0.3 for name, tensor in untrained_weights(base).items()}
    moved["outer.bias"] = torch.linspace(-1, 1, 24)
    adapted = method.wrap(base, section, moved, Tools())
    assert not torch.allclose(adapted.encode(pictures), tokens, atol=1e-2)
    assert torch.equal(base.encode(pictures), tokens), "the base must not change when an adapter is on"
    stacked = method.wrap(adapted, section, untrained_weights(base), Tools())
    assert stacked.image_size == base.image_size
    assert torch.equal(stacked.encode(pictures), adapted.encode(pictures))


def test_unknown_arms_and_methods_name_the_known_ones(project):
    with pytest.raises(Verdict3DError, match=f"'wishful'.*{', '.join(list_methods())}"):
        find_method("wishful")
    with pytest.raises(Verdict3DError, match=f"'wishful'.*{ARM}"):
        select_arm_params(project[1], "wishful")


KILLED_AT_THE_THIRD_BATCH = """
import os, runpy
from tasks.making.generation import GenerationWorker
work, done = GenerationWorker.__call__, []

def counted(self, items, folder):
    if len(done) == 2:
        os.kill(os.getpid(), 9)
    done.append(items)
    return work(self, items, folder)

GenerationWorker.__call__ = counted
runpy.run_module("tasks.generate", run_name="__main__")
"""


def test_killed_generate_resumes_to_the_same_bytes(project, tmp_path, monkeypatch):
    root, _ = fork(project, tmp_path / "killed")
    before = digest_directory(root / "data/generate")
    shutil.rmtree(root / "data/generate")
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_THE_THIRD_BATCH], cwd=root, stderr=subprocess.DEVNULL, check=False
    )
    assert done.returncode == -signal.SIGKILL
    kept = len(list((root / ".verdict3d/resume/generate").glob("*/0*")))
    assert kept in (1, 2), "a batch is generated while at most one other is being finished"

    calls = []
    work = GenerationWorker.__call__

    def counted(self, items, folder):
        calls.append(items)
        return work(self, items, folder)

    monkeypatch.setattr(GenerationWorker, "__call__", counted)
    tasks.generate.run(load_params(root / "params.yaml"), root)
    assert digest_directory(root / "data/generate") == before
    assert len(calls) == 6 - kept
