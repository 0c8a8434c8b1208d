"""The floor that full-size judges are measured against is counted right; the full-size code runs, small."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.full_size_judges import (
    FULL,
    SMALL,
    count_language_operations,
    count_picture_operations,
    make_random_judge,
    make_random_model,
)
from benchmarks.judge_full_size import count_operations, make_pairs, read_ordinary_margin
from support.judge_examples import FAMILIES
from verdict3d.hub import EXPECTED_BYTES


@pytest.mark.parametrize("family", FAMILIES)
def test_operations_are_those_that_run(family: str) -> None:
    torch.set_num_threads(1)
    judge = make_random_judge(family, SMALL, "cpu", torch.float32, batch_size=4)
    rng = np.random.default_rng(0)
    wanted = {name: rng.integers(0, 256, (448, 448, 3), dtype=np.uint8) for name in "rxy"}
    pictures, _ = judge._encoder.prepare(wanted)
    with FlopCounterMode(display=False) as counter:
        judge._encoder.encode(pictures)
    assert (
        counter.get_total_flops() == 3 * count_picture_operations(family, SMALL)[0]
    )  # it counts no attention here
    shared, rest = judge._reader._find_layout(tuple(shown.grid for shown in pictures.values())).split(315)
    with FlopCounterMode(display=False) as counter:
        judge._reader.read_margins([("r", "x", "y"), ("r", "y", "x")], pictures)
    layers = [
        count_language_operations(SMALL, len(shared.ids))[0],
        2 * count_language_operations(SMALL, len(rest.ids))[0],
    ]
    assert counter.get_total_flops() == sum(layers) + 2 * 2 * SMALL.language[0] * SMALL.vocabulary


def test_attention_is_counted_by_hand() -> None:
    hidden, _, layers, *_ = SMALL.language
    for new, before in ((1, 0), (3, 0), (2, 5)):
        products = sum(
            2 * hidden * (before + place + 1) for place in range(new)
        )  # query times key, weight times value
        assert count_language_operations(SMALL, new, before)[1] == 2 * layers * products


@pytest.mark.parametrize("family", FAMILIES)
def test_both_ways_ask_the_same(family: str) -> None:
    judge = make_random_judge(family, SMALL, "cpu", torch.float32, batch_size=4)
    pairs = make_pairs(3, per_reference=2, seed=0)
    verdicts = judge.compare(pairs)
    assert len({pair.reference for pair in pairs}) == 2 and all(verdict.valid for verdict in verdicts)
    assert read_ordinary_margin(judge, family, pairs[0], first="x", tokens=3) == pytest.approx(
        verdicts[0].m1, abs=1e-4
    )
    assert read_ordinary_margin(judge, family, pairs[0], first="y", tokens=3) == pytest.approx(
        verdicts[0].m2, abs=1e-4
    )
    assert count_operations(judge, family, SMALL, pairs) > 6 * count_picture_operations(family, SMALL)[0]


@pytest.mark.parametrize(
    ("family", "model"),
    [("qwen2_5_vl", "Qwen/Qwen2.5-VL-7B-Instruct"), ("internvl", "OpenGVLab/InternVL3-8B-hf")],
)
def test_the_full_size_is_that_of_the_released_weights(family: str, model: str) -> None:
    with torch.device("meta"):
        network = make_random_model(family, FULL, torch.bfloat16)
    assert 2 * sum(weight.numel() for weight in network.parameters()) == EXPECTED_BYTES[model]
