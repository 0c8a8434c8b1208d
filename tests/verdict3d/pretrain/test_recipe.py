"""The whole recipe at a tiny size: it repeats bit for bit, also when it is interrupted again and again."""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from verdict3d.config import load_params
from verdict3d.errors import Verdict3DError
from verdict3d.pretrain.pool import Pool, PoolRow
from verdict3d.pretrain.recipe import JUDGES, TRAININGS, Recipe
from verdict3d.pretrain.sequence import ORDER, make_checkpoints
from verdict3d.pretrain.training import Training
from verdict3d.pretrain.workshop import Workshop
from verdict3d.provenance import digest_file
from verdict3d.records.files import read_json
from verdict3d.trellis.pipeline import TrellisPipeline
from verdict3d.weight_digests import SUMS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
STEPS = 3
BATCHES = {"structure_vae": 2, "structure_flow": 2, "mesh_decoder": 1, "latent_encoder": 1, "latent_flow": 1}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def tiny(root: Path, **changed: Any) -> Workshop:
    """Four objects for everything and three steps of every training."""
    short = {"steps": STEPS, "log_every": 1}
    recipe = Recipe(
        trainings={
            name: replace(schedule, **short, batch=BATCHES[name]) for name, schedule in TRAININGS.items()
        },
        judges={
            family: replace(
                judge,
                schedule=replace(judge.schedule, **short, batch=14),
                damaged=4,
                generated=4,
                coloured=4,
            )
            for family, judge in JUDGES.items()
        },
        furniture=4,
        feature_rows=2,
        grids=4,
    )
    params = load_params(ROOT / "params.yaml")
    sampler = params.generator.structure.model_copy(update={"steps": 2})
    generator = params.generator.model_copy(update={"structure": sampler, "latents": sampler})
    params, work = params.model_copy(update={"generator": generator}), root / "work"
    return Workshop(
        replace(recipe, **changed), params, work, work / "pools", root / "checkpoints", torch.device("cpu")
    )


def digests(root: Path) -> dict[str, str]:
    """Return the digest of every published file."""
    folder = root / "checkpoints"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): digest_file(path) for path in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an uninterrupted run."""
    root = tmp_path_factory.mktemp("whole")
    make_checkpoints(tiny(root))
    return root


def test_what_is_published_is_what_ships(whole: Path) -> None:
    shipped = ROOT / "data/checkpoints"
    found = [path.relative_to(shipped) for path in shipped.rglob("*") if path.is_file()]
    own = {"repair", SUMS}  # an arm's (docs/proof.md), and the digests of all that ships
    names = {str(path) for path in found if path.parts[0] not in own}
    assert set(digests(whole)) == names
    TrellisPipeline.from_pretrained(whole / "checkpoints/generator", device="cpu")
    for folder, trainings in {"generator": set(TRAININGS), "judge-train": {"judge"}}.items():
        card = read_json(whole / "checkpoints" / folder / "card.json")
        assert set(card["trainings"]) == trainings
        assert {one["steps"] for one in card["trainings"].values()} == {STEPS}


def test_an_interrupted_recipe_ends_with_the_same_bits_whatever_the_global_generator_holds(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(12345)
    stopped: list[str] = []

    def stop_once(name: str) -> None:
        if name not in stopped:
            stopped.append(name)
            raise KeyboardInterrupt

    def save(training: Training, step: int, *parts: Any) -> None:
        written(training, step, *parts)
        if step == STEPS - 1:
            stop_once(training.name)

    def put(pool: Pool, index: int, row: PoolRow) -> None:
        if index == 2 and pool.directory.name in ("furniture", "internvl-generated"):
            stop_once(pool.directory.name)
        kept(pool, index, row)

    written, kept = Training._save, Pool.put
    monkeypatch.setattr(Training, "_save", save)
    monkeypatch.setattr(Pool, "put", put)
    shop = tiny(tmp_path, checkpoint_every=1)
    for names in ORDER:
        while True:
            try:
                make_checkpoints(shop, [names])
                break
            except KeyboardInterrupt:
                continue
    assert set(stopped) == {*TRAININGS, *JUDGES, "furniture", "internvl-generated"}
    assert digests(tmp_path) == digests(whole)


def test_another_seed_gives_other_weights(whole: Path, tmp_path: Path) -> None:
    make_checkpoints(tiny(tmp_path, seed=72), [["decoder"]])
    name = "work/slat_decoder_mesh.safetensors"
    assert digest_file(tmp_path / name) != digest_file(whole / name)


def test_another_recipe_is_not_continued(whole: Path) -> None:
    with pytest.raises(Verdict3DError, match="another recipe or another --scale; choose an empty folder"):
        make_checkpoints(tiny(whole, seed=72))
    with pytest.raises(Verdict3DError, match="no phase structures; known: structure, decoder"):
        make_checkpoints(tiny(whole), [["structures"]])


def test_as_many_steps_as_the_run_that_made_what_ships() -> None:
    """A card of that run holds the last logged step: the count is known to one logging interval."""
    checkpoints = ROOT / "data/checkpoints"
    runs = read_json(checkpoints / "generator/card.json")["trainings"]
    counted = {name: (runs[name], schedule) for name, schedule in TRAININGS.items()}
    for family, judge in JUDGES.items():
        runs = read_json(checkpoints / judge.folder / "card.json")["trainings"]
        counted[family] = [runs["judge"]], judge.schedule
    for name, (shares, schedule) in counted.items():
        last = sum(share["losses"]["last"]["step"] for share in shares)
        assert last < schedule.steps <= last + schedule.log_every, name


def test_the_judges_learn_nothing_in_common() -> None:
    training, evaluation = JUDGES["qwen2_5_vl"], JUDGES["internvl"]
    assert training.seed != evaluation.seed and training.measure != evaluation.measure
    assert not set(training.defects) & set(evaluation.defects)
    assert not set(training.edits) & set(evaluation.edits)


def test_the_cards_say_what_the_shipped_judges_were_taught() -> None:
    for judge in JUDGES.values():
        card = read_json(ROOT / "data/checkpoints" / judge.folder / "card.json")
        assert card["taught"] == {
            "measure": judge.measure,
            "defects": list(judge.defects),
            "edits": list(judge.edits),
        }
        assert card["rows"]["damaged"] == judge.damaged and card["seed"] == judge.seed


def test_the_scale_multiplies_steps_and_rows() -> None:
    half, none = Recipe().scale(0.5), Recipe().scale(0.0)
    assert half.trainings["structure_flow"].steps == TRAININGS["structure_flow"].steps / 2
    assert (half.furniture, half.grids, half.judges["internvl"].damaged) == (8000, 1500, 2600)
    assert half.trainings["structure_flow"].batch == TRAININGS["structure_flow"].batch
    assert {schedule.steps for schedule in none.trainings.values()} == {1} and none.furniture == 4
    assert Recipe().scale(1.0) == Recipe()


def test_the_command_says_what_it_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pretrain", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("verdict3d.pretrain", run_name="__main__")
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "factor on the numbers of steps and rows" in told and "second" not in told
