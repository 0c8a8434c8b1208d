"""Sampler and losses: hand-derived values and invariants."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from verdict3d.config_generators import SamplerParams
from verdict3d.trellis import sampler
from verdict3d.trellis.losses import (
    compute_velocity,
    dice_loss,
    diffuse,
    drop_conditions,
    flow_matching_loss,
    kl_divergence,
)
from verdict3d.trellis.sampler import sample_flow, sample_steps
from verdict3d.trellis.sparse import SparseTensor


class Affine:
    """A velocity that depends on state, time, item and condition; records its batch sizes."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, x: Tensor | SparseTensor, t: Tensor, cond: Tensor) -> Tensor | SparseTensor:
        self.batches.append(len(t))
        level = torch.zeros_like(t)
        level[: len(cond)] = cond.mean((1, 2))  # the others' tokens are zeros
        level = level + t / 1000
        if isinstance(x, SparseTensor):
            return x.replace(0.3 * x.feats + level[x.structure.item_of_row][:, None])
        return 0.3 * x + level[:, None, None]


def settings(**changes: object) -> SamplerParams:
    values = {"steps": 4, "guidance": 2.0, "guidance_interval": (0.5, 1.0), "rescale_t": 1.0}
    return SamplerParams.model_validate({**values, **changes})


def sparse_noise() -> SparseTensor:
    coords = torch.tensor([[0, 0, 0, 0], [0, 1, 2, 3], [1, 0, 1, 0], [2, 3, 3, 3]])
    return SparseTensor(torch.randn(4, 2, generator=torch.Generator().manual_seed(0)), coords)


def test_guidance_runs_as_one_batch_and_only_inside_its_interval() -> None:
    model, noise, cond = Affine(), torch.randn(3, 2, 2), torch.rand(3, 5, 4)
    steps = list(sample_steps(model, noise, cond, settings()))
    assert model.batches == [6, 6, 6, 3] == [3 * step.model_calls for step in steps]
    assert [step.t for step in steps] == [1.0, 0.75, 0.5, 0.25] and steps[-1].t_next == 0.0


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_one_batch_equals_two_branches(kind: str) -> None:
    noise = sparse_noise() if kind == "sparse" else torch.randn(3, 2, 2)
    cond, negative = torch.rand(3, 5, 4), torch.rand(1, 5, 4)
    first = next(sample_steps(Affine(), noise, cond, settings(), negative))
    t = torch.full((3,), 1000.0)
    yes, no = Affine()(noise, t, cond), Affine()(noise, t, negative.expand(3, -1, -1))
    values = [x.feats if isinstance(x, SparseTensor) else x for x in (noise, yes, no, first.state)]
    expected = values[0] - 0.25 * (3 * values[1] - 2 * values[2])
    torch.testing.assert_close(values[3], expected)


def test_no_unconditional_tokens_are_zeros() -> None:
    noise, cond = torch.randn(3, 2, 2), torch.rand(3, 5, 4)
    left_out = sample_flow(Affine(), noise, cond, settings())
    torch.testing.assert_close(
        left_out, sample_flow(Affine(), noise, cond, settings(), torch.zeros_like(cond))
    )


def test_large_states_go_through_twice_and_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, noise, cond = Affine(), torch.randn(3, 2, 2), torch.rand(3, 5, 4)
    together = sample_flow(Affine(), noise, cond, settings())
    monkeypatch.setattr(sampler, "ONE_BATCH", 11)
    torch.testing.assert_close(sample_flow(model, noise, cond, settings()), together)
    assert model.batches == [3] * 7


def test_items_do_not_see_one_another() -> None:
    noise, cond = torch.randn(3, 2, 2), torch.rand(3, 5, 4)
    whole = sample_flow(Affine(), noise, cond, settings())
    alone = [sample_flow(Affine(), noise[i : i + 1], cond[i : i + 1], settings()) for i in range(3)]
    torch.testing.assert_close(whole, torch.cat(alone))


def test_the_true_velocity_leads_to_the_data_in_one_step() -> None:
    clean, noise = torch.randn(2, 3, 3), torch.randn(2, 3, 3)
    params = settings(steps=1, guidance=0.0)
    end = sample_flow(lambda x, t, c: compute_velocity(clean, noise), noise, torch.zeros(2, 1, 1), params)
    torch.testing.assert_close(end, clean + 1e-5 * noise)


def test_the_path_from_data_to_noise() -> None:
    noise, t = sparse_noise(), torch.tensor([0.0, 0.3, 1.0])
    clean = noise.replace(torch.arange(8.0).reshape(4, 2))
    state = diffuse(clean, noise.feats, t)
    torch.testing.assert_close(state.feats[3], noise.feats[3])
    torch.testing.assert_close(state.feats[:2], clean.feats[:2] + 1e-5 * noise.feats[:2])
    torch.testing.assert_close(
        state.feats[2], 0.7 * clean.feats[2] + (1e-5 + (1 - 1e-5) * 0.3) * noise.feats[2]
    )


def test_conditions_are_dropped_whole_and_as_often_as_asked() -> None:
    cond = torch.ones(4000, 2, 3)
    kept = drop_conditions(cond, 0.1, torch.Generator().manual_seed(0)).sum((1, 2))
    assert set(kept.tolist()) == {0.0, 6.0}
    assert (kept == 0).float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert torch.equal(drop_conditions(cond, 0.0, torch.Generator()), cond)


def test_flow_loss_is_seeded_and_vanishes_for_the_true_velocity() -> None:
    clean, cond = torch.randn(4, 3, 2), torch.rand(4, 5, 4)

    def oracle(x: Tensor, t: Tensor, c: Tensor) -> Tensor:
        share = (1e-5 + (1 - 1e-5) * t / 1000)[:, None, None]
        noise = (x - (1 - t / 1000)[:, None, None] * clean) / share
        return compute_velocity(clean, noise)

    assert flow_matching_loss(oracle, clean, cond, torch.Generator().manual_seed(1)).item() < 1e-8
    losses = [
        flow_matching_loss(Affine(), clean, cond, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_structure_losses_by_hand() -> None:
    logits, occupancy = torch.tensor([0.0, math.log(3.0)]), torch.tensor([0.0, 1.0])
    dice = 1 - (2 * 0.75 + 1) / (0.5 + 0.75 + 1 + 1)
    assert dice_loss(logits, occupancy).item() == pytest.approx(dice)
    mean, logvar = torch.tensor([1.0, 0.0]), torch.tensor([0.0, math.log(4.0)])
    kl = 0.5 * (1.0 + (4 - math.log(4.0) - 1)) / 2
    assert kl_divergence(mean, logvar).item() == pytest.approx(kl)
