"""The full-size benchmarks run, small; the operations they count are those that run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import lora_step, sparse_convolution, trellis
from benchmarks.full_size_trellis import (
    FULL,
    TINY,
    counted,
    draw_latents,
    draw_structure_state,
    draw_tokens,
    make_random_network,
    read_config,
)
from benchmarks.trellis import Bench, sample_plainly, time_embedded
from support.tiny_trellis import write_tiny_generator
from verdict3d.config_generators import SamplerParams
from verdict3d.trellis.sampler import get_values, sample_flow

GUIDED = SamplerParams(steps=4, guidance=2.0, guidance_interval=(0.5, 1.0), rescale_t=1.0)


@torch.no_grad()
def test_operations_of_a_block_as_worked_out_by_hand() -> None:
    flow = make_random_network("structure_flow", TINY, "cpu", torch.float32)
    noise, cond = draw_structure_state(TINY, 2, "cpu")
    with counted(flow) as found, FlopCounterMode(display=False) as counter:
        flow(noise, torch.full((2,), 500.0), cond)
    rows, tokens, width, seen = 2, 4**3, 64, 9
    per_token = (3 + 1 + 1 + 1 + 8) * width * width + 2 * 8 * width  # attention, feed-forward, ends
    by_hand = rows * (tokens * per_token + seen * 2 * width * width)
    by_hand += rows * (256 * width + width * width + 6 * width * width)  # time and its modulation
    assert found["products"] == 2 * by_hand
    assert found["attention"] == 2 * rows * (2 * tokens * tokens + 2 * tokens * seen) * width
    run = counter.get_total_flops()
    assert run in (found["products"], found["products"] + found["attention"])


@torch.no_grad()
def test_sparse_operations_count_only_neighbours_that_exist() -> None:
    flow = make_random_network("latent_flow", TINY, "cpu", torch.float32)
    latents, cond = draw_latents(TINY, [60, 35], "cpu"), draw_tokens(TINY, 2, "cpu")
    with counted(flow) as found, FlopCounterMode(display=False) as counter:
        flow(latents, torch.full((2,), 500.0), cond)
    fine, coarse = latents.structure, latents.structure.coarse[0]
    absent = {structure: int((structure.neighbours == len(structure)).sum()) for structure in (fine, coarse)}
    executed = found["products"] + 2 * absent[fine] * (16 * 16 * 4 + 32 * 16)  # 128 to 16 is an unpooled one
    executed += 2 * absent[coarse] * 16 * 64  # the other one, 64 to 64, leaves them out itself
    if not flow.input_blocks[1].conv2._is_sparse(latents.replace(latents.feats)):
        executed += 2 * absent[coarse] * 64 * 64
    executed += 2 * 27 * 128 * 16  # of the row of zeros that stands for absent voxels
    run = counter.get_total_flops()
    assert run in (executed, executed + found["attention"])


@pytest.mark.parametrize("name", ["structure_flow", "latent_flow", "mesh_decoder"])
def test_tiny_networks_differ_from_the_released_ones_in_size_alone(name: str) -> None:
    tiny, full = read_config(name, TINY), read_config(name, FULL)
    assert tiny["name"] == full["name"] and tiny["args"].keys() == full["args"].keys()
    assert full["args"]["model_channels"] in (768, 1024)


def test_every_table_of_the_full_size_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    rows = trellis.main(["--full", "--tiny", "--device", "cpu", "--times", "1", "--dtype", "bfloat16"])
    assert len(capsys.readouterr().out.splitlines()) == len(rows)
    tables = {row["table"] for row in rows}
    flows = ("structure_flow", "latent_flow")
    assert tables == {
        "ceilings", "structure_decoder", "mesh_decoder", "gaussian_decoder", "mesh_extraction",
        "decode_meshes", "conditioner", "precision", "batch_invariance",
        *(f"{flow}_{what}" for flow in flows for what in ("forward", "guided_step", "sample_3_steps")),
    }  # fmt: skip
    for row in rows:
        assert row.get("ms", 1.0) > 0 and row.get("gflop", 1.0) > 0
    by_items = {row["items"]: row for row in rows if row["table"] == "structure_flow_guided_step"}
    once = next(row for row in rows if row["table"] == "structure_flow_forward")
    assert 1.5 * once["gflop"] < by_items[1]["gflop"] < 2 * once["gflop"]  # zeros are not attended to
    assert by_items[3]["gflop"] == pytest.approx(3 * by_items[1]["gflop"], abs=5e-3)
    errors = [row for row in rows if row["table"] == "precision"]
    assert len(errors) == 10 and all(row["finite"] and 0 < row["rms"] < 0.1 for row in errors)
    same = next(row for row in rows if row.get("compared") == "same shape, other neighbours")
    assert same["same_bits"]


def test_compiled_flows_are_measured() -> None:
    plain = list(Bench(TINY, "cpu", torch.float32, 1).structure_flow())
    compiled = list(Bench(TINY, "cpu", torch.float32, 1, "eager").structure_flow())
    assert [row["gflop"] for row in compiled] == [row["gflop"] for row in plain]


def test_the_plain_sampler_is_the_same_sampler() -> None:
    flow = make_random_network("latent_flow", TINY, "cpu", torch.float32)
    noise, cond = draw_latents(TINY, [60, 35], "cpu"), draw_tokens(TINY, 2, "cpu")
    ours = get_values(sample_flow(flow, noise, cond, GUIDED))
    for one_batch in (True, False):
        for skip in (True, False):
            other = get_values(sample_plainly(flow, noise, cond, GUIDED, one_batch, skip))
            torch.testing.assert_close(other, ours, atol=1e-4, rtol=1e-4)


def test_the_embedded_tricks_are_compared(tmp_path: Path) -> None:
    rows = list(time_embedded(write_tiny_generator(tmp_path), 2, 1))
    assert [row["sample"] for row in rows] == [
        "structure",
        "latents_maps",
        "latents_guided",
        "latents_guided_maps",
    ]
    differences: list[Any] = [value for row in rows for key, value in row.items() if "difference" in key]
    assert len(differences) == 8 and max(differences) < 1e-3


def test_the_convolution_benchmark_runs_without_the_other_library() -> None:
    row = sparse_convolution.measure(64, 200, 16, 1)
    assert row["ours_ms"] > 0 and 1 < row["neighbours"] <= 27


def test_a_training_step_of_both_flows_is_measured() -> None:
    rows = lora_step.main(["--tiny", "--device", "cpu", "--times", "1"])
    steps = [row for row in rows if "items" in row]
    assert len(steps) == 8 and all(row["finite"] and row["s"] > 0 for row in steps)
    step = {
        again: lora_step.Step("latent_flow", TINY, "cpu", torch.float32, again) for again in (False, True)
    }
    data = step[False].data(2, 90)
    assert step[True].kept_bytes(*data) < 0.8 * step[False].kept_bytes(*data)
    names = step[False].adapters
    for layer in (
        "input_layer",
        "blocks.0.mlp.mlp.2",
        "blocks.0.self_attn.to_qkv",
        "blocks.0.cross_attn.to_kv",
    ):
        assert any(name.startswith(f"{layer}.lora_A") for name in names), layer


def test_the_batch_that_fits_is_worked_out_from_two_sizes() -> None:
    room = 80e9 / 2**30 * 0.95  # 70.8 GiB
    assert room == pytest.approx(70.8, abs=0.1)
    assert lora_step.find_largest_batch(10.0, 16.0, 80) == 1 + 10
    assert (
        lora_step.find_largest_batch(71.0, 80.0, 80) == 0
        and lora_step.find_largest_batch(70.0, 80.0, 80) == 1
    )
