"""Pretraining: exact targets, pools that fill and resume, losses that fall on a tiny problem."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from support.tiny_trellis import write_tiny_generator
from verdict3d.pretrain.architectures import MESH_RESOLUTION, STRUCTURE_RESOLUTION
from verdict3d.pretrain.generator import Cells, Codes, train_latent_flow, train_mesh_decoder
from verdict3d.pretrain.judged_rows import generated_rows
from verdict3d.pretrain.pool import DevicePool, Pool, PoolRecipe, Row, fill_pools
from verdict3d.pretrain.progress import Average, Budget, Log
from verdict3d.pretrain.rows import grid_rows, object_parts
from verdict3d.pretrain.sdf import pack_parts, signed_distance
from verdict3d.pretrain.solids import REACH, distance_grid, latent_codes, solid_voxels
from verdict3d.trellis.conditioner import Conditioner, dinov2_config
from verdict3d.trellis.latent_flow import SLatFlowModel
from verdict3d.trellis.latent_vae import SLatMeshDecoder
from verdict3d.trellis.mesh_extraction import extract_meshes

CPU = torch.device("cpu")


def test_the_windowed_distance_grid_is_the_whole_one_clamped() -> None:
    parts = object_parts(5, 3)
    distance, _ = distance_grid(parts, 24)
    ticks = np.arange(25, dtype=np.float32) / 24 - 0.5
    points = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1).reshape(1, -1, 3)
    whole = signed_distance(torch.from_numpy(points), pack_parts([parts])).numpy().reshape(25, 25, 25)
    np.testing.assert_allclose(distance, whole.clip(-REACH, REACH), atol=1e-6)


def test_every_inside_vertex_lies_in_a_marked_voxel() -> None:
    distance, color = distance_grid(object_parts(5, 0))
    structure = solid_voxels(distance)
    stride = MESH_RESOLUTION // STRUCTURE_RESOLUTION
    inside = np.argwhere(distance < 0)
    voxel = np.minimum(inside // stride, STRUCTURE_RESOLUTION - 1)
    assert structure[tuple(voxel.T)].all()
    codes = latent_codes(distance, color)
    np.testing.assert_array_equal(codes[3, 4, 5, 0], distance[12, 16, 20] / REACH)
    np.testing.assert_array_equal(codes[3, 4, 5, 7], distance[16, 20, 24] / REACH)
    np.testing.assert_array_equal(codes[3, 4, 5, 8], distance[14, 18, 22] / REACH)


def _numbers(offset: int) -> object:
    return lambda index: {"value": np.array([index + offset], dtype=np.int64)}


def numbers(offset: int) -> object:
    """Row maker for the pool test; importable from worker processes."""
    return _numbers(offset)


def test_a_pool_fills_in_processes_and_goes_on_from_what_is_there(tmp_path: Path) -> None:
    row: Row = {"value": np.array([-1], dtype=np.int64)}
    pool = Pool.create(tmp_path / "pool", 7, row)
    pool.put(2, row)
    assert pool.ready().tolist() == [2]
    fill_pools([PoolRecipe(str(tmp_path / "pool"), 7, 2, numbers, {"offset": 10})], 60)
    held = DevicePool(Pool(tmp_path / "pool"), ("value",), CPU)
    assert held.rows == 7
    assert held.arrays["value"][:, 0].tolist() == [10, 11, -1, 13, 14, 15, 16]


def test_the_schedule_warms_up_and_ends_near_zero() -> None:
    budget = Budget(1.0, steps=100, warmup=0.1)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    rates = [optimizer.param_groups[0]["lr"] for _ in budget.steps(optimizer)]
    assert len(rates) == 100 and max(rates) == rates[10] and rates[0] < 0.05 and rates[-1] < 0.03


def test_the_average_follows_a_constant() -> None:
    module = torch.nn.Linear(2, 2)
    average = Average(module, 0.5)
    with torch.no_grad():
        module.weight.fill_(3.0)
    for _ in range(40):
        average.update()
    average.apply()
    torch.testing.assert_close(module.weight, torch.full((2, 2), 3.0))


def test_the_mesh_decoder_learns_and_exact_features_give_the_surface(tmp_path: Path) -> None:
    torch.manual_seed(0)
    decoder = SLatMeshDecoder(16, 256, 12, 0, 4, representation_config={"use_color": True})
    log = Log("decoder", 1)
    row = grid_rows(5)(0)
    source = Pool.create(tmp_path / "grids", 1, row)
    source.put(0, row)
    pool = DevicePool(source, ("structure", "codes", "distance", "color"), CPU)
    train_mesh_decoder(decoder, pool, Budget(2e-3, steps=3), 1, log)
    assert log.rows[-1]["distance"] < log.rows[0]["distance"]

    cells = Cells.of(pool, torch.tensor([0]))
    fine = cells.codes.structure.subdivided().subdivided()
    distance, _ = cells.at_corners(fine.coords)
    features = torch.zeros(len(fine), 101)
    features[:, :8] = distance + 1.0 / MESH_RESOLUTION
    (mesh,) = extract_meshes(fine.coords, features, MESH_RESOLUTION)
    truth = signed_distance(mesh.vertices[None], pack_parts([object_parts(5, 0)]))[0]
    assert truth.abs().median() < 0.15 / MESH_RESOLUTION


def test_the_latent_flow_trains_on_codes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    distance, color = distance_grid(object_parts(5, 4))
    structure, codes = solid_voxels(distance), latent_codes(distance, color)
    structure[:, :, 8:] = False
    row: Row = {
        "conditions": np.zeros((1, 28, 28, 3), dtype=np.uint8),
        "structure": structure.astype(np.uint8),
        "codes": codes.astype(np.float16),
    }
    pool = Pool.create(tmp_path / "pool", 2, row)
    for index in range(2):
        pool.put(index, row)
    held = DevicePool(pool, tuple(row), CPU)
    conditioner = Conditioner(
        dinov2_config(hidden_size=12, num_hidden_layers=1, num_attention_heads=1, image_size=28)
    )
    flow = SLatFlowModel(
        16, 12, 24, 12, 12, 1, num_heads=2, patch_size=2, num_io_res_blocks=2, io_block_channels=[8]
    )
    log = Log("flow", 1)
    train_latent_flow(flow, Codes.over(held), conditioner, Budget(5e-3, steps=8), 2, log)
    assert log.rows[-1]["loss"] < log.rows[0]["loss"]


def test_rows_of_generations_rank_the_damaged_copy_below_its_original(tmp_path: Path) -> None:
    write_tiny_generator(tmp_path)
    regimes = {"severe": {"operators": ["blur"], "count": 1, "severities": [5]}}
    make = generated_rows(3, str(tmp_path), 48, 32, regimes, 1, ("wrong_proportions",))
    row = make(0)
    assert row["montages"].shape == (6, 48, 48, 3) and row["references"].shape == (48, 48, 3)
    truth, clean, *damaged, severe, damaged_severe = row["quality"]
    assert truth == 1.0
    assert max(damaged) < clean < 1 and damaged_severe < severe < 1
    again = make(0)
    for name, value in row.items():
        np.testing.assert_array_equal(value, again[name])
