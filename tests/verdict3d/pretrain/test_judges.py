"""Pretraining of judges, on pictures small enough for a CPU."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from support.judge_examples import FAMILIES, load, noise_picture
from verdict3d.errors import Verdict3DError
from verdict3d.judge.family import PreparedPicture
from verdict3d.pretrain.embedded import build_judge
from verdict3d.pretrain.judge_measures import GAPS, measure_judge
from verdict3d.pretrain.judge_pool import JudgePool, prepare_pixels, resize_pictures
from verdict3d.pretrain.judges import _draw, _make_pairs, train_judge
from verdict3d.pretrain.training import Schedule, Training

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def bars_pool(objects: int, candidates: int, seed: int) -> JudgePool:
    """Objects are bars of some width; a worse candidate is a shorter bar."""
    generator = torch.Generator().manual_seed(seed)
    references = torch.zeros(objects, 48, 48, 3, dtype=torch.uint8)
    montages = torch.full((objects, candidates, 48, 48, 3), 255, dtype=torch.uint8)
    quality = torch.rand(objects, candidates, generator=generator)
    for number, candidate in itertools.product(range(objects), range(candidates)):
        width = 4 + 3 * (number % 6)
        height = round(4 + 40 * float(quality[number, candidate]))
        references[number, 2:46, 24 - width : 24 + width] = 200
        montages[number, candidate, :height, 24 - width : 24 + width] = 90
    valid = torch.ones(objects, candidates, dtype=torch.bool)
    valid[0, 0] = False
    return JudgePool(references, montages, quality, valid)


@pytest.mark.parametrize("family", FAMILIES)
def test_training_pixels_are_those_of_the_image_processor(
    family: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp(family)
    embedded = build_judge(family, seed=1)
    embedded.save(directory)
    judge = load(directory)
    size = embedded.pictures.size_px
    shown = np.asarray(Image.fromarray(noise_picture(5, 224)).resize((size, size), Image.Resampling.BICUBIC))
    mine = prepare_pixels(embedded, torch.from_numpy(shown.copy())[None])[0]
    theirs = judge._encoder.prepare({"shown": shown})[0]["shown"]
    assert isinstance(theirs, PreparedPicture)
    torch.testing.assert_close(mine, theirs.pixels, atol=1e-5, rtol=1e-5)


def test_resizing_is_pillows() -> None:
    picture = noise_picture(4, 160)
    theirs = np.asarray(Image.fromarray(picture).resize((112, 112), Image.Resampling.BICUBIC))
    mine = resize_pictures(torch.from_numpy(picture)[None], 112, CPU)[0].numpy()
    assert np.abs(mine.astype(int) - theirs.astype(int)).max() <= 2


@pytest.mark.parametrize("family", FAMILIES)
def test_training_repeats_itself_and_moves_every_part(family: str) -> None:
    pool = bars_pool(4, 3, seed=0)
    trainings = [Training(family, Schedule(3, 8, 1e-3, 1), 11) for _ in range(2)]
    judges = [train_judge(family, pool, training, CPU) for training in trainings]
    rows = trainings[0].losses
    assert rows == trainings[1].losses and [row["step"] for row in rows] == [0.0, 1.0, 2.0]
    first, second = (judge.model.state_dict() for judge in judges)
    fresh = build_judge(family, 11).model.state_dict()
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], atol=0, rtol=0)
    moved = [name for name, value in first.items() if not torch.equal(value, fresh[name])]
    assert any("visual" in name or "vision_tower" in name for name in moved) and any(
        "mlp" in name for name in moved
    )


def test_saved_judges_answer_as_trained(tmp_path_factory: pytest.TempPathFactory) -> None:
    pool = bars_pool(4, 3, seed=0)
    trained = train_judge("internvl", pool, Training("internvl", Schedule(2, 8, 1e-3, 1), 3), CPU)
    directory = tmp_path_factory.mktemp("trained")
    trained.save(directory)
    loaded = load(directory).loaded.model.state_dict()
    for name, value in trained.model.state_dict().items():
        torch.testing.assert_close(loaded[name], value.half().float(), atol=0, rtol=0)


def test_pairs_have_a_known_winner() -> None:
    pool = bars_pool(6, 5, seed=2)
    generator = torch.Generator().manual_seed(0)
    chosen, candidates, usable = _draw(pool, 6, generator)
    assert sorted(chosen.tolist()) == list(range(6))
    assert usable.all() and all(len(set(row.tolist())) == 4 for row in candidates)
    quality = pool.quality[chosen[:, None], candidates]
    tag = torch.arange(24.0).view(6, 4, 1, 1)  # stands for the features of a montage
    x, y, gaps, weight, wrong = _make_pairs(tag, quality, usable, generator)
    assert x.shape == y.shape == (6, 7, 1, 1) and wrong[:, :6].sum() == 0 and wrong[:, 6].all()
    flat = quality.flatten()
    for row, column in itertools.product(range(6), range(7)):
        left, right = int(x[row, column]), int(y[row, column])
        assert left // 4 == row and (right // 4 == row) == (column < 6)
        if column < 6:
            gap = float(flat[left] - flat[right])
            assert float(weight[row, column]) == float(abs(gap) >= 0.01)
            assert float(gaps[row, column]) == pytest.approx(gap)
        else:
            assert float(gaps[row, column]) == 1.0
            assert float(flat[right]) == float(quality[right // 4].max())
            assert float(weight[row, column]) == float(flat[left] >= 0.6)


def test_measures_count_every_valid_pair() -> None:
    pool = bars_pool(17, 3, seed=5)
    measured = measure_judge(build_judge("internvl", 0), pool)
    gaps = [
        abs(float(pool.quality[number, left] - pool.quality[number, right]))
        for number in range(17)
        for left, right in itertools.combinations(range(3), 2)
        if pool.valid[number, left] and pool.valid[number, right]
    ]
    assert len(gaps) == 17 * 3 - 2
    counted = {tuple(row["gap"]): row["pairs"] for row in measured["gaps"]}
    assert counted == {
        (low, high): sum(low <= gap < high for gap in gaps) for low, high in itertools.pairwise(GAPS)
    }
    assert measured["clear_gap"]["pairs"] == sum(gap >= 0.2 for gap in gaps)
    for row in measured["gaps"]:
        if row["pairs"]:
            assert row["coverage"] + row["flip_rate"] == pytest.approx(1.0)
            assert 0.0 <= row["half_credit"] <= 1.0


def test_pools_that_do_not_fit_are_refused() -> None:
    pool = bars_pool(2, 2, seed=0)
    with pytest.raises(Verdict3DError, match="does not fit"):
        JudgePool(pool.references.float(), pool.montages, pool.quality, pool.valid)
    with pytest.raises(Verdict3DError, match="two objects"):
        JudgePool(pool.references[:1], pool.montages[:1], pool.quality[:1], pool.valid[:1])
    with pytest.raises(Verdict3DError, match="allowed: qwen2_5_vl, internvl"):
        build_judge("llava", 0)
    with pytest.raises(Verdict3DError, match="batch 2 must be 7"):
        train_judge("internvl", pool, Training("internvl", Schedule(1, 2, 1e-3, 1), 0), CPU)
