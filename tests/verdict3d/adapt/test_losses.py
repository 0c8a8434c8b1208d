"""Losses of adaptation: values by hand, gradients by finite differences, on dense and sparse states."""

from __future__ import annotations

import math

import pytest
import torch

from verdict3d.adapt.flow_losses import (
    flow_dpo,
    guidance_weights,
    odds,
    orpo,
    per_sample,
    safeguard,
    velocity_error,
    with_gradient_share,
)
from verdict3d.trellis.sparse import SparseTensor

gradcheck = torch.autograd.gradcheck


def values(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64, requires_grad=True)


def test_errors_are_means_or_sums_of_each_sample():
    state = torch.zeros(2, 1, 2)
    predicted, target = torch.tensor([[[1.0, 3.0]], [[0.0, 2.0]]]), torch.zeros(2, 1, 2)
    assert velocity_error(state, predicted, target).tolist() == [5.0, 2.0]
    assert velocity_error(state, predicted, target, "sum").tolist() == [10.0, 4.0]


def test_errors_of_sparse_items_count_their_own_voxels():
    coords = [torch.tensor([[0, 0, 0]]), torch.tensor([[0, 0, 1], [1, 0, 0], [1, 1, 1]])]
    state = SparseTensor.stack([torch.zeros(1, 2), torch.zeros(3, 2)], coords)
    squares = torch.tensor([[2.0, 4.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    assert per_sample(state, squares).tolist() == [3.0, 2.0]
    assert per_sample(state, squares, "sum").tolist() == [6.0, 12.0]


def test_flow_dpo_by_hand():
    """Margins -0.5 and +0.5 at beta 4: logits 1 and -1."""
    numbers = [torch.tensor(row) for row in ([0.5, 1.5], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0])]
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(1))) / 2
    assert flow_dpo(*numbers, beta=4.0).item() == pytest.approx(expected, rel=1e-6)


def test_flow_dpo_of_the_untouched_flow_is_log_two():
    errors = torch.rand(5, generator=torch.Generator().manual_seed(0))
    assert flow_dpo(errors, errors + 1, errors, errors + 1, beta=0.1).item() == pytest.approx(math.log(2))


def test_small_beta_makes_flow_dpo_linear_and_the_two_betas_one_direction():
    """The trap: with mean-reduced errors the gradients at beta 0.1 and 0.5 are parallel."""
    gradients = []
    for beta in (0.1, 0.5):
        winner, loser = values(0.11, 0.2, 0.3), values(0.12, 0.18, 0.35)
        flow_dpo(winner, loser, values(0.1, 0.2, 0.31), values(0.1, 0.2, 0.3), beta).backward()
        gradients.append(torch.cat([winner.grad, loser.grad]))
    assert torch.cosine_similarity(*gradients, dim=0).item() > 0.99999


def test_odds_and_orpo_by_hand():
    assert odds(torch.tensor([0.0, 1e-6]), 0.5).tolist() == pytest.approx([1.0, 1.0], abs=1e-6)
    one = 0.5 / math.expm1(0.5)
    assert odds(torch.tensor([1.0]), 0.5).item() == pytest.approx(one, rel=1e-6)
    expected = 0.0 + 0.1 * math.log(1 + math.exp(-2.0 * (1.0 - one)))
    found = orpo(torch.tensor([0.0]), torch.tensor([1.0]), weight=0.1, slope=0.5, temperature=2.0)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_safeguard_by_hand():
    """g_w = (2, 0); g_l along it by 8, across it, against it."""
    winner, zero = torch.tensor([[2.0, 0.0]] * 3), torch.zeros(3, 2)
    loser = torch.tensor([[8.0, 1.0], [0.0, 5.0], [-3.0, 0.0]])
    share = safeguard(winner, zero, loser, zero, mu=0.6)
    assert share.tolist() == pytest.approx([0.4 * 4 / 16, 1.0, 1.0])


def test_a_step_with_the_safeguard_never_raises_the_winners_error():
    generator = torch.Generator().manual_seed(3)
    for _ in range(50):
        winner, loser = torch.randn(2, 1, 6, generator=generator).unbind()
        share = safeguard(winner, torch.zeros(1, 6), loser, torch.zeros(1, 6), mu=0.0)
        step = -(winner - share[:, None] * loser)  # down the winner's error, up the loser's
        assert (winner * step).sum() <= 1e-5


def test_gradient_share_keeps_the_value():
    value = values(2.0, 3.0)
    shared = with_gradient_share(value, torch.tensor([0.25, 1.0], dtype=torch.float64))
    assert shared.tolist() == [2.0, 3.0]
    shared.sum().backward()
    assert value.grad.tolist() == [0.25, 1.0]


def test_guidance_weights_have_mean_one_and_the_samplers_ratio():
    weights = guidance_weights(torch.tensor([0.1, 0.5, 0.9, 1.0]), 3.0, (0.5, 0.95))
    assert weights.mean().item() == pytest.approx(1.0)
    assert (weights[1:3] / weights[0]).tolist() == pytest.approx([16.0, 16.0])
    assert weights[3] == weights[0]


def test_gradients_equal_finite_differences():
    errors = [values(0.4, 1.2), values(0.9, 0.7), values(0.5, 0.9), values(0.8, 0.8)]
    assert gradcheck(lambda *four: flow_dpo(*four, beta=3.0), tuple(errors))
    assert gradcheck(lambda w, lo: orpo(w, lo, 0.1, 0.5, 5.0), tuple(errors[:2]))
    target = torch.zeros(2, 3, dtype=torch.float64)
    predicted = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradient = torch.autograd.functional.jacobian(
        lambda given: velocity_error(given, given, target).sum(), predicted
    )
    torch.testing.assert_close(gradient, 2 * predicted / 3, atol=1e-5, rtol=1e-5)
