"""Recorded calls: what is not recorded goes through as it is, and a copy is no recording."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from support.tiny_trellis import tiny_latents, tiny_network, tiny_noise, tiny_tokens
from verdict3d.trellis import transformer
from verdict3d.trellis.replay import MOST_KINDS, Replayed
from verdict3d.trellis.transformer import FeedForward


@torch.no_grad()
def test_a_compiled_network_is_replayed_and_its_copy_is_not() -> None:
    network = tiny_network("sparse_structure_flow_model")
    noise, cond = tiny_noise(2), tiny_tokens(2)
    times = torch.full((2,), 700.0)
    expected = network(noise, times, cond)
    network.compile_blocks("eager")
    assert isinstance(network.forward, Replayed)
    copied = copy.deepcopy(network)
    assert copied.forward.__self__ is copied
    copied.out_layer.bias += 1
    assert torch.equal(network(noise, times, cond), expected)
    assert torch.equal(copied(noise, times, cond), expected + 1)
    kinds = network.forward._kinds
    network.forward._describe_kind(noise, (noise, times))
    assert kinds
    network.double()
    assert not kinds


def test_only_the_last_kinds_of_calls_are_remembered() -> None:
    replayed = Replayed(lambda x: x)
    states = [tiny_latents([60]) for _ in range(MOST_KINDS + 1)]
    first = replayed._describe_kind(states[0], (states[0].feats,))
    assert replayed._describe_kind(states[0], (states[0].feats,)) is first
    assert replayed._describe_kind(states[0], (states[0].feats.double(),)) is not first
    for state in states[1:]:
        assert replayed._describe_kind(state, (state.feats,)).structure is state.structure
    assert len(replayed._kinds) == MOST_KINDS
    assert replayed._describe_kind(states[0], (states[0].feats,)) is not first


@torch.no_grad()
def test_a_compiled_latent_flow_is_the_same() -> None:
    network = tiny_network("slat_flow_model")
    latents, cond = tiny_latents([60, 35]), tiny_tokens(2)
    times = torch.full((2,), 700.0)
    expected = network(latents, times, cond).feats
    network.compile_blocks("eager")
    assert torch.equal(network(latents, times, cond).feats, expected)
    network.out_layer.bias += 1
    assert torch.equal(copy.deepcopy(network)(latents, times, cond).feats, expected + 1)


def test_calls_with_gradients_or_on_a_cpu_are_made_as_they_are() -> None:
    calls: list[Tensor] = []

    def double(x: Tensor) -> Tensor:
        calls.append(x)
        return 2 * x

    x = torch.ones(3, requires_grad=True)
    Replayed(double)(x).sum().backward()
    assert calls == [x] and x.grad is not None and x.grad.tolist() == [2, 2, 2]


def test_gelu_goes_along_with_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, x = FeedForward(8, 4), torch.randn(2, 5, 8)
    apart = layer(x)
    first = layer.mlp[0]
    assert isinstance(first, nn.Linear) and not transformer.take_gelu_along(first, x)
    monkeypatch.setattr(transformer, "in_half_on_gpu", lambda x: True)
    assert not transformer.take_gelu_along(first, x)  # there is something to learn
    with torch.no_grad():
        assert transformer.take_gelu_along(first, x)
        along = layer(x)  # a CPU's kernel takes the exact form of GELU
        torch.testing.assert_close(along, apart, atol=2e-3, rtol=0)
        hook = first.register_forward_hook(lambda *_: None)
        assert not transformer.take_gelu_along(first, x)
        hook.remove()
