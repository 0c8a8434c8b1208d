"""Pretraining: exact targets, pools that fill and resume, losses that fall on a tiny problem."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from verdict3d.errors import Verdict3DError
from verdict3d.pretrain.architectures import MESH_RESOLUTION, STRUCTURE_RESOLUTION
from verdict3d.pretrain.generator import Cells, Codes, train_latent_flow, train_mesh_decoder
from verdict3d.pretrain.pool import DevicePool, Pool, PoolRecipe, PoolRow, fill_pools
from verdict3d.pretrain.rows import make_grid_rows, make_parts
from verdict3d.pretrain.sdf import pack_parts, signed_distance
from verdict3d.pretrain.solids import REACH, compute_distance_grid, encode_latents, find_solid_voxels
from verdict3d.pretrain.training import Average, Schedule, Training, initial_weights
from verdict3d.trellis.conditioner import Conditioner, make_dinov2_config
from verdict3d.trellis.latent_flow import SLatFlowModel
from verdict3d.trellis.latent_vae import SLatMeshDecoder
from verdict3d.trellis.mesh_extraction import extract_meshes

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_the_windowed_distance_grid_is_the_whole_one_clamped() -> None:
    parts = make_parts(5, 3)
    distance, _ = compute_distance_grid(parts, 24)
    ticks = np.arange(25, dtype=np.float32) / 24 - 0.5
    points = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1).reshape(1, -1, 3)
    whole = signed_distance(torch.from_numpy(points), pack_parts([parts])).numpy().reshape(25, 25, 25)
    np.testing.assert_allclose(distance, whole.clip(-REACH, REACH), atol=1e-6)


def test_every_inside_vertex_lies_in_a_marked_voxel() -> None:
    distance, color = compute_distance_grid(make_parts(5, 0))
    structure = find_solid_voxels(distance)
    stride = MESH_RESOLUTION // STRUCTURE_RESOLUTION
    inside = np.argwhere(distance < 0)
    voxel = np.minimum(inside // stride, STRUCTURE_RESOLUTION - 1)
    assert structure[tuple(voxel.T)].all()
    codes = encode_latents(distance, color)
    np.testing.assert_array_equal(codes[3, 4, 5, 0], distance[12, 16, 20] / REACH)
    np.testing.assert_array_equal(codes[3, 4, 5, 7], distance[16, 20, 24] / REACH)
    np.testing.assert_array_equal(codes[3, 4, 5, 8], distance[14, 18, 22] / REACH)


def _numbers(offset: int) -> object:
    return lambda index: {"value": np.array([index + offset], dtype=np.int64)}


def numbers(offset: int) -> object:
    """Row maker for the pool test; importable from worker processes."""
    return _numbers(offset)


def faulty(offset: int) -> object:
    """Row maker that makes the first row only."""

    def make(index: int) -> PoolRow:
        if index:
            raise RuntimeError("the row that no process can make")
        return {"value": np.array([offset], dtype=np.int64)}

    return make


def test_a_pool_fills_in_processes_and_goes_on_from_what_is_there(tmp_path: Path) -> None:
    row: PoolRow = {"value": np.array([-1], dtype=np.int64)}
    pool = Pool.create(tmp_path / "pool", 7, row)
    pool.put(2, row)
    assert pool.list_missing() == [0, 1, 3, 4, 5, 6]
    fill_pools([PoolRecipe(tmp_path / "pool", 7, numbers, {"offset": 10})], 2)
    held = DevicePool(Pool(tmp_path / "pool"), ("value",), CPU)
    assert held.rows == 7
    assert held.arrays["value"][:, 0].tolist() == [10, 11, -1, 13, 14, 15, 16]
    with pytest.raises(Verdict3DError, match="has 7 rows, but 8 are wanted"):
        fill_pools([PoolRecipe(tmp_path / "pool", 8, numbers, {"offset": 10})], 2)


def test_a_process_that_fails_is_no_full_pool(tmp_path: Path) -> None:
    with pytest.raises(Verdict3DError, match="1 of 2 processes that make training rows failed"):
        fill_pools([PoolRecipe(tmp_path / "pool", 2, faulty, {"offset": 1})], 2)
    assert Pool(tmp_path / "pool").list_missing() == [1]


def test_the_schedule_warms_up_and_ends_near_zero() -> None:
    rates = [Schedule(1000, 1, 1.0, 1).learning_rate_at(step) for step in range(1000)]
    assert max(rates) == rates[30] == 1.0 and rates[0] == 0.02 and rates[-1] < 0.021
    assert all(later > earlier for earlier, later in pairwise(rates[1:31]))
    assert all(later < earlier for earlier, later in pairwise(rates[30:]))


def test_the_average_follows_a_constant() -> None:
    module = torch.nn.Linear(2, 2)
    average = Average(dict(module.named_parameters()), 0.5)
    with torch.no_grad():
        module.weight.fill_(3.0)
    for _ in range(40):
        average.update()
    average.apply()
    torch.testing.assert_close(module.weight, torch.full((2, 2), 3.0))


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    module = torch.nn.Linear(1, 1)
    training = Training("slope", Schedule(2, 1, 0.5, 1), 0)
    with pytest.raises(Verdict3DError, match=r"training slope: the loss of step 0 is nan; .* rate, 0\.5"):
        training.run({"slope": module}, lambda step, generator: {"loss": module.weight.sum() * torch.nan})


@pytest.fixture(scope="module")
def grids(tmp_path_factory: pytest.TempPathFactory) -> DevicePool:
    """One row of grids."""
    row = make_grid_rows(5)(0)
    source = Pool.create(tmp_path_factory.mktemp("grids") / "grids", 1, row)
    source.put(0, row)
    return DevicePool(source, ("structure", "codes", "distance", "color"), CPU)


def test_the_mesh_decoder_learns_and_repeats_bit_for_bit_on_several_threads(grids: DevicePool) -> None:
    torch.set_num_threads(2)
    decoders, losses = [], []
    for _ in range(2):
        with initial_weights(0, "initial_weights", "decoder"):
            decoder = SLatMeshDecoder(16, 256, 12, 0, 4, representation_config={"use_color": True})
        training = Training("mesh_decoder", Schedule(3, 1, 2e-3, 1), 0)
        train_mesh_decoder(decoder, grids, training)
        decoders.append(decoder.state_dict())
        losses.append(training.losses)
    assert losses[0] == losses[1] and losses[0][-1]["distance"] < losses[0][0]["distance"]
    for name, value in decoders[0].items():
        assert torch.equal(value, decoders[1][name]), name


def test_exact_features_give_the_surface(grids: DevicePool) -> None:
    cells = Cells.of(grids, torch.tensor([0]))
    fine = cells.codes.structure.subdivide().subdivide()
    distance, _ = cells.look_up_corners(fine.coords)
    features = torch.zeros(len(fine), 101)
    features[:, :8] = distance + 1.0 / MESH_RESOLUTION
    (mesh,) = extract_meshes(fine.coords, features, MESH_RESOLUTION)
    truth = signed_distance(mesh.vertices[None], pack_parts([make_parts(5, 0)]))[0]
    assert truth.abs().median() < 0.15 / MESH_RESOLUTION


def test_the_latent_flow_trains_on_codes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    distance, color = compute_distance_grid(make_parts(5, 4))
    structure, codes = find_solid_voxels(distance), encode_latents(distance, color)
    structure[:, :, 8:] = False
    row: PoolRow = {
        "conditions": np.zeros((1, 28, 28, 3), dtype=np.uint8),
        "structure": structure.astype(np.uint8),
        "codes": codes.astype(np.float16),
    }
    pool = Pool.create(tmp_path / "pool", 2, row)
    for index in range(2):
        pool.put(index, row)
    held = DevicePool(pool, tuple(row), CPU)
    conditioner = Conditioner(
        make_dinov2_config(hidden_size=12, num_hidden_layers=1, num_attention_heads=1, image_size=28)
    )
    flow = SLatFlowModel(
        16, 12, 24, 12, 12, 1, num_heads=2, patch_size=2, num_io_res_blocks=2, io_block_channels=[8]
    )
    training = Training("latent_flow", Schedule(8, 2, 5e-3, 1), 0)
    train_latent_flow(flow, Codes.over(held), conditioner, training)
    assert training.losses[-1]["loss"] < training.losses[0]["loss"]
