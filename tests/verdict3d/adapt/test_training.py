"""The shared training loop and adapter files: resume bit for bit, best weights, refusals."""

from __future__ import annotations

import copy
import itertools
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from support.adapters import make_origin
from support.places import TESTS
from verdict3d.adapt.adapter import load_adapter, save_adapter
from verdict3d.adapt.methods.conditioner_repair import TokenRepair
from verdict3d.adapt.training import CHECKPOINT, Schedule, train
from verdict3d.errors import Verdict3DError
from verdict3d.randomness import torch_generator

CHANNELS = 24


def tokens_problem(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Clean tokens on the layer norm's sphere, and the same with a third of the channels damped."""
    generator = torch_generator(5, "tokens", step)
    clean = nn.functional.layer_norm(torch.randn(6, 10, CHANNELS, generator=generator), (CHANNELS,))
    damping = torch.ones(CHANNELS)
    damping[::3] = 0.2
    return nn.functional.layer_norm(clean * damping, (CHANNELS,)), clean


def make_repair() -> TokenRepair:
    return TokenRepair(CHANNELS, 32, torch_generator(5, "initial_weights"))


def train_repair(
    repair: TokenRepair, folder, steps: int = 12, stop_at: int | None = None, rate: float = 3e-3
):
    def loss_at(step: int) -> torch.Tensor:
        if step == stop_at:
            raise KeyboardInterrupt
        degraded, clean = tokens_problem(step)
        return nn.functional.mse_loss(repair(degraded), clean)

    def validate() -> dict[str, float]:
        degraded, clean = tokens_problem(10_000)
        return {
            "clean": nn.functional.mse_loss(repair(clean), clean).item(),
            "severe": nn.functional.mse_loss(repair(degraded), clean).item(),
        }

    return train(repair, loss_at, validate, Schedule(steps, rate, 4), folder, "tokens")


def test_untrained_repair_is_the_identity_bit_for_bit():
    degraded, _ = tokens_problem(0)
    assert torch.equal(make_repair()(degraded), degraded)
    zeros = torch.zeros(1, 3, CHANNELS)
    assert torch.equal(make_repair()(zeros), zeros)


def test_repaired_tokens_keep_mean_and_length():
    repair = make_repair()
    nn.init.normal_(repair.outer.weight, generator=torch_generator(5, "outer"))
    degraded, _ = tokens_problem(0)
    repaired = repair(degraded)
    assert not torch.allclose(repaired, degraded, atol=0.1)
    torch.testing.assert_close(repaired.mean(-1), degraded.mean(-1), atol=1e-5, rtol=0)
    torch.testing.assert_close(repaired.square().mean(-1), degraded.square().mean(-1), atol=1e-4, rtol=1e-4)


def test_gradient_equals_finite_differences():
    repair = TokenRepair(6, 5, torch_generator(1, "initial_weights")).double()
    nn.init.normal_(repair.outer.weight, generator=torch_generator(1, "outer"))
    degraded = torch.randn(2, 3, 6, generator=torch_generator(1, "degraded"), dtype=torch.float64)
    clean = torch.randn(2, 3, 6, generator=torch_generator(1, "clean"), dtype=torch.float64)
    names = [name for name, _ in repair.named_parameters()]

    def loss(*weights: torch.Tensor) -> torch.Tensor:
        named = dict(zip(names, weights, strict=True))
        return nn.functional.mse_loss(torch.func.functional_call(repair, named, (degraded,)), clean)

    assert torch.autograd.gradcheck(loss, tuple(repair.parameters()))


def test_loss_is_the_mean_squared_error_by_hand():
    """Two channels, one token (1, -1): a correction along it is scaled away, so the loss stays."""
    repair = TokenRepair(2, 1, torch_generator(1, "initial_weights"))
    with torch.no_grad():
        repair.outer.bias.copy_(torch.tensor([1.0, -1.0]))
    token = torch.tensor([[[1.0, -1.0]]])
    torch.testing.assert_close(repair(token), token, atol=1e-5, rtol=0)
    target = torch.tensor([[[-1.0, 3.0]]])
    assert nn.functional.mse_loss(repair(token), target).item() == pytest.approx((4 + 16) / 2, abs=1e-4)


def test_training_lowers_the_loss_and_keeps_clean_tokens_usable(tmp_path):
    repair = make_repair()
    state = train_repair(repair, tmp_path, steps=200, rate=1e-2)
    first, last = state.losses[0], state.losses[-1]
    assert first["step"] == 0
    assert first["validation_loss"] == first["base_validation_loss"] == last["base_validation_loss"]
    assert last["validation_loss_severe"] < 0.7 * first["validation_loss_severe"]
    assert [row["step"] for row in state.losses] == list(range(201))


def test_resumed_training_equals_an_uninterrupted_one(tmp_path):
    whole, resumed = make_repair(), make_repair()
    expected = train_repair(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train_repair(resumed, tmp_path / "resumed", stop_at=6)
    fresh = make_repair()
    state = train_repair(fresh, tmp_path / "resumed")
    assert state.losses == expected.losses
    assert state.best_step == expected.best_step
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, fresh.state_dict()[name]), name
    checkpoints = [(tmp_path / run / CHECKPOINT).read_bytes() for run in ("whole", "resumed")]
    assert checkpoints[0] == checkpoints[1]


def train_to_an_adapter(folder: Path, killed_at: int = -1) -> None:
    """Train 24 steps with a checkpoint every second one; this process is killed when it comes to a step."""
    repair = make_repair()

    def loss_at(step: int) -> torch.Tensor:
        if step == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        degraded, clean = tokens_problem(step)
        return nn.functional.mse_loss(repair(degraded), clean)

    train(repair, loss_at, dict, Schedule(24, 3e-3, 2), folder, "tokens")
    save_adapter(repair.state_dict(), make_origin("a", "b"), {}, folder / "out")


def test_killed_training_ends_with_the_same_adapter(tmp_path):
    train_to_an_adapter(tmp_path / "whole")
    killed = tmp_path / "killed"
    code = f"from test_training import *; train_to_an_adapter(Path({str(killed)!r}), 13)"
    here = str(Path(__file__).parent)
    ended = subprocess.run(
        [sys.executable, "-c", code],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([here, str(TESTS)])},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert (killed / CHECKPOINT).exists() and not (killed / "out").exists()
    train_to_an_adapter(killed)
    for name in ("adapter_model.safetensors", "card.json"):
        assert (killed / "out" / name).read_bytes() == (tmp_path / "whole" / "out" / name).read_bytes()


def test_best_weights_are_kept_and_the_start_counts(tmp_path):
    repair = make_repair()
    untouched = copy.deepcopy(repair.state_dict())
    losses = iter([1.0, 3.0, 2.0])
    state = train(
        repair,
        lambda step: nn.functional.mse_loss(repair(tokens_problem(step)[0]), tokens_problem(step)[1]),
        lambda: {"severe": next(losses)},
        Schedule(4, 1e-2, 2),
        tmp_path,
        "worse and worse",
    )
    assert state.best_step == 0
    assert all(torch.equal(repair.state_dict()[name], weight) for name, weight in untouched.items())


def test_without_validation_the_last_weights_are_kept(tmp_path):
    repair = make_repair()
    state = train(
        repair,
        lambda step: nn.functional.mse_loss(repair(tokens_problem(step)[0]), tokens_problem(step)[1]),
        dict,
        Schedule(4, 1e-2, 3),
        tmp_path,
        "no validation",
    )
    assert state.best_step == 4
    assert repair.outer.weight.abs().max() > 0
    assert state.losses[-1]["validation_loss"] is None


def test_divergence_is_refused(tmp_path):
    repair = make_repair()
    with pytest.raises(Verdict3DError, match=r"diverged.*step 1 is nan"):
        train(
            repair,
            lambda step: repair(tokens_problem(step)[0]).sum() * math.nan,
            dict,
            Schedule(2, 1e-2, 1),
            tmp_path,
            "nan",
        )


def test_learning_rate_warms_up_and_ends_near_zero():
    schedule = Schedule(steps=100, learning_rate=1.0, checkpoint_every=10)
    rates = [schedule.learning_rate_at(step) for step in range(100)]
    assert rates[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert rates[-1] < 0.001
    assert all(late <= early for early, late in itertools.pairwise(rates[5:]))


def test_adapter_file_round_trip_and_refusals(tmp_path):
    repair = make_repair()
    origin = make_origin("conditioner_repair", "aa11")
    saved = save_adapter(repair.state_dict(), origin, {"best_step": 5}, tmp_path)
    loaded = load_adapter(tmp_path, arm="conditioner_repair", base_digest="aa11")
    assert loaded.card == saved.card
    assert all(torch.equal(loaded.tensors[name], weight) for name, weight in repair.state_dict().items())
    with pytest.raises(Verdict3DError, match=r"aa11.*bb22"):
        load_adapter(tmp_path, arm="conditioner_repair", base_digest="bb22")
    with pytest.raises(Verdict3DError, match="'conditioner_repair', not of 'other'"):
        load_adapter(tmp_path, arm="other", base_digest="aa11")
    broken = bytearray((tmp_path / "adapter_model.safetensors").read_bytes())
    broken[-1] ^= 1
    (tmp_path / "adapter_model.safetensors").write_bytes(bytes(broken))
    with pytest.raises(Verdict3DError, match="not the file its card describes"):
        load_adapter(tmp_path, arm="conditioner_repair", base_digest="aa11")
    with pytest.raises(Verdict3DError, match="missing"):
        load_adapter(tmp_path / "nowhere", arm="conditioner_repair", base_digest="aa11")
