"""Sparse layers against dense ones, hand-derived values and their own gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from verdict3d.trellis import attention, gathering, sparse
from verdict3d.trellis.attention import CrossAttention, SelfAttention
from verdict3d.trellis.gathering import RowSums, gather_linear, multiply_pairs
from verdict3d.trellis.latent_flow import SLatFlowModel
from verdict3d.trellis.latent_vae import SLatEncoder, SLatMeshDecoder, SparseSubdivideBlock3d
from verdict3d.trellis.losses import flow_matching_loss
from verdict3d.trellis.sparse import (
    SparseConv3d,
    SparseGroupNorm32,
    SparseTensor,
    pool_half,
    subdivide,
    unpool,
)
from verdict3d.trellis.structure import Structure
from verdict3d.trellis.structure_flow import SparseStructureFlowModel
from verdict3d.trellis.transformer import Block


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def voxels(*counts: int, side: int = 7, channels: int = 6, seed: int = 0) -> SparseTensor:
    """Random distinct voxels in random order, one item per count."""
    generator = torch.Generator().manual_seed(seed)
    axis = torch.arange(side)
    grid = torch.cartesian_prod(axis, axis, axis)
    coords = [grid[torch.randperm(len(grid), generator=generator)[:count]] for count in counts]
    feats = [torch.randn(count, channels, generator=generator) for count in counts]
    return SparseTensor.stack(feats, coords)


def dense(x: SparseTensor, side: int) -> Tensor:
    out = torch.zeros(x.batch_size, side, side, side, x.feats.shape[1], dtype=x.feats.dtype)
    out[tuple(x.coords.long().unbind(1))] = x.feats
    return out.permute(0, 4, 1, 2, 3)


def at(grid: Tensor, x: SparseTensor) -> Tensor:
    return grid.permute(0, 2, 3, 4, 1)[tuple(x.coords.long().unbind(1))]


def fill(module: torch.nn.Module, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1


def test_convolution_equals_a_dense_one() -> None:
    x, conv = voxels(120, 60), SparseConv3d(6, 5, 3)
    fill(conv)
    expected = F.conv3d(dense(x, 7), conv.conv.weight.permute(0, 4, 1, 2, 3), conv.conv.bias, padding=1)
    torch.testing.assert_close(conv(x).feats, at(expected, x), atol=1e-5, rtol=0)


def test_convolution_in_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, conv = voxels(200, 150), SparseConv3d(6, 5, 3)
    fill(conv)
    whole = conv(x).feats
    monkeypatch.setattr(gathering, "CPU_BLOCK", 1)
    torch.testing.assert_close(conv(x).feats, whole, atol=1e-6, rtol=0)


def test_kernel_one_reads_its_buffer_row_major() -> None:
    x, conv = voxels(3, channels=2), SparseConv3d(2, 3, 1)
    with torch.no_grad():
        conv.conv.weight.copy_(torch.arange(6.0).reshape(3, 1, 1, 1, 2))
        conv.conv.bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
    expected = x.feats @ torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]) + torch.tensor([1.0, 0.0, -1.0])
    torch.testing.assert_close(conv(x).feats, expected)


def test_neighbours_of_a_subdivision_are_derived_rightly() -> None:
    child = voxels(90, 40).structure.subdivide()
    plain = Structure(child.coords, child.batch_size)
    assert torch.equal(child.neighbours, plain.neighbours)
    assert torch.equal(child.subdivide().neighbours, Structure(child.subdivide().coords).neighbours)


def test_subdivision_order() -> None:
    child = Structure(torch.tensor([[0, 1, 2, 3]])).subdivide()
    expected = [[0, 2 + i // 4, 4 + i // 2 % 2, 6 + i % 2] for i in range(8)]
    assert child.coords.tolist() == expected and child.coords.dtype == torch.int32


def test_convolution_of_a_subdivision_needs_no_subdivision() -> None:
    x, conv = voxels(60, 30), SparseConv3d(6, 5, 3)
    fill(conv)
    target = x.structure.subdivide()
    weights = torch.randn(8 * len(x), 5, generator=torch.Generator().manual_seed(1))
    results = []
    for convolve in (lambda y: conv(subdivide(y)), lambda y: conv.forward_subdivided(y, target)):
        feats = x.feats.clone().requires_grad_()
        conv.zero_grad()
        out = convolve(x.replace(feats)).feats
        (out * weights).sum().backward()
        results.append((out, feats.grad, conv.conv.weight.grad, conv.conv.bias.grad))
    for slow, fast in zip(*results, strict=True):
        torch.testing.assert_close(fast, slow, atol=2e-5, rtol=1e-5)


def test_convolution_of_an_unpooling_needs_no_unpooling() -> None:
    fine = voxels(60, 30).structure
    coarse = fine.coarse[0]
    conv = SparseConv3d(6, 5, 3)
    fill(conv)
    results = []
    for convolve in (lambda y: conv(unpool(y, fine)), lambda y: conv.forward_unpooled(y, fine)):
        feats = torch.randn(len(coarse), 6, generator=torch.Generator().manual_seed(1)).requires_grad_()
        conv.zero_grad()
        out = convolve(SparseTensor(feats, structure=coarse)).feats
        (out * torch.arange(5.0)).sum().backward()
        results.append((out, feats.grad, conv.conv.weight.grad, conv.conv.bias.grad))
    for slow, fast in zip(*results, strict=True):
        torch.testing.assert_close(fast, slow, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("at_once", [1, 9, 27])
def test_products_may_be_gathered_instead_of_rows(at_once: int) -> None:
    x = voxels(60, 30, channels=7)
    rows = x.structure.neighbours
    kernel = torch.randn(5, 27, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    feats = x.feats.double()
    gathered = gather_linear(feats, kernel, rows, rows.flip(1))
    products = gathering._multiply_gathered(feats, kernel, rows, at_once, RowSums())
    torch.testing.assert_close(products, gathered)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_compiled_sums_of_rows_are_those_of_torch(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(40, 6, dtype=dtype, generator=generator)
    places = torch.randint(40, (50, 27), generator=generator)
    sums, compiled = RowSums(), RowSums()
    compiled.compile(backend="aot_eager", dynamic=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(rows, places), sums(rows, places))
    gradients = []
    for module in (sums, compiled):
        learned = rows.double().requires_grad_()
        module(learned, places).square().sum().backward()
        gradients.append(learned.grad)
    torch.testing.assert_close(*gradients)


def test_convolution_gradients() -> None:
    x = voxels(9, 5, side=3, channels=2)
    rows = x.structure.neighbours
    kernel = torch.randn(3, 27, 2, dtype=torch.float64, requires_grad=True)
    feats = x.feats.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda f, k: gather_linear(f, k, rows, rows.flip(1)), (feats, kernel))


def test_convolution_by_pairs_is_the_same_and_is_used_where_neighbours_are_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = voxels(90, 40, channels=64)
    conv = SparseConv3d(64, 64, 3)
    weights = torch.randn(len(x), 64)
    results = []
    for share in (0.0, 0.5):
        monkeypatch.setattr(sparse, "PAIRS_SHARE", share)
        assert conv._is_sparse(x) == (share > 0)
        feats = x.feats.clone().requires_grad_()
        conv.zero_grad()
        out = conv(x.replace(feats)).feats
        (out * weights).sum().backward()
        results.append((out, feats.grad, conv.conv.weight.grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-5)
    assert not SparseConv3d(64, 32, 3)._is_sparse(x)
    assert not conv._is_sparse(subdivide(x)) and not conv._is_sparse(voxels(300, channels=64))
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(x).feats.dtype == torch.bfloat16


def test_gradients_is_sparse() -> None:
    x = voxels(9, 5, side=3, channels=2)
    kernel = torch.randn(3, 27, 2, dtype=torch.float64, requires_grad=True)
    feats = x.feats.double().requires_grad_()
    pairs = x.structure.pairs
    assert torch.autograd.gradcheck(lambda f, k: multiply_pairs(f, k, pairs), (feats, kernel))


def test_pooling_counts_a_zero_row_and_sorts() -> None:
    coords = torch.tensor([[0, 2, 0, 0], [0, 0, 0, 1], [0, 3, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]])[
        [0, 1, 2, 4, 3]
    ]
    x = SparseTensor(torch.tensor([[6.0], [1.0], [3.0], [2.0], [8.0]]), coords)
    pooled = pool_half(x)
    assert pooled.coords.tolist() == [[0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
    assert pooled.feats.flatten().tolist() == [1.0, 3.0, 4.0]
    assert unpool(pooled, x.structure).feats.flatten().tolist() == [3.0, 1.0, 3.0, 1.0, 4.0]


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_group_norm_is_per_item(levels: int) -> None:
    x = voxels(30, 11, channels=64)
    for _ in range(levels):
        x = subdivide(x)
        noise = torch.randn(x.feats.shape, generator=torch.Generator().manual_seed(levels))
        x = x.replace(x.feats + noise)
    norm = SparseGroupNorm32(32, 64)
    fill(norm)
    parts = [F.group_norm(feats.t()[None], 32, norm.weight, norm.bias, 1e-5)[0].t() for feats, _ in x.split()]
    torch.testing.assert_close(norm.normalize(x), torch.cat(parts), atol=1e-5, rtol=0)


def masked_block(block: Block, feats: Tensor, group: Tensor) -> Tensor:
    """The block over all rows at once with a mask that only lets equal groups see one another."""
    attn = block.attn
    q, k, v = attn.to_qkv(block.norm1(feats)).unflatten(-1, (3, attn.heads, -1)).permute(1, 2, 0, 3)
    seen = F.scaled_dot_product_attention(q, k, v, attn_mask=group[:, None] == group)
    h = feats + attn.to_out(seen.permute(1, 0, 2).flatten(1))
    return h + block.mlp(block.norm2(h))


@pytest.mark.parametrize("shift", [0, 2])
def test_windowed_attention_equals_masked_attention(shift: int) -> None:
    x, block = voxels(150, 7, 60, channels=16), Block(16, 2, 2)
    place = (x.coords[:, 1:] + shift) // 4
    group = ((x.coords[:, 0] * 9 + place[:, 0]) * 9 + place[:, 1]) * 9 + place[:, 2]
    out = block(x.feats, x.structure.cut_windows(4, shift))
    torch.testing.assert_close(out, masked_block(block, x.feats, group), atol=1e-5, rtol=0)
    assert x.structure.cut_windows(4, shift) is x.structure.cut_windows(4, shift)


def _models() -> dict[str, tuple[torch.nn.Module, Callable[[torch.nn.Module, SparseTensor, Tensor], Tensor]]]:
    flow = SLatFlowModel(16, 6, 32, 8, 6, 2, 2, io_block_channels=[8], share_mod=True, qk_rms_norm=True)
    encoder = SLatEncoder(16, 6, 32, 4, 2, 2, window_size=4)
    config = {"use_color": True}
    decoder = SLatMeshDecoder(16, 256, 6, 2, 4, 1, window_size=4, representation_config=config)
    for network in (flow, encoder, decoder):
        fill(network)
    return {
        "flow": (flow, lambda m, x, c: m(x, torch.arange(1.0, 1 + len(c)) * 100, c).feats),
        "encoder": (encoder, lambda m, x, c: m(x).feats),
        "decoder": (decoder, lambda m, x, c: m(x).feats),
    }


@pytest.mark.parametrize("name", ["flow", "encoder", "decoder"])
def test_a_batch_equals_its_items(name: str) -> None:
    model, call = _models()[name]
    if name == "flow":

        def call(m: torch.nn.Module, x: SparseTensor, c: Tensor) -> Tensor:
            return m(x, torch.full((len(c),), 300.0), c).feats

    x = voxels(70, 31, 50, side=8)
    cond = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole = call(model, x, cond)
        alone = [
            call(model, SparseTensor.stack([feats], [xyz]), cond[i : i + 1])
            for i, (feats, xyz) in enumerate(x.split())
        ]
        doubled = call(model, x.repeat(2), cond.repeat(2, 1, 1))
    torch.testing.assert_close(whole, torch.cat(alone), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(doubled, whole.repeat(2, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["flow", "encoder", "decoder"])
def test_row_order_does_not_matter(name: str) -> None:
    model, call = _models()[name]
    x = voxels(60, 20, side=6)
    order = torch.cat([torch.randperm(60), 60 + torch.randperm(20)])
    shuffled = SparseTensor(x.feats[order], x.coords[order])
    cond = torch.randn(2, 5, 8)
    with torch.no_grad():
        straight, mixed = call(model, x, cond), call(model, shuffled, cond)
    straight = straight.reshape(len(x), -1)[order].reshape(straight.shape)
    torch.testing.assert_close(mixed, straight, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["flow", "encoder", "decoder"])
def test_all_weights_get_gradients_in_float32_and_under_autocast(name: str) -> None:
    model, call = _models()[name]
    x, cond = voxels(60, 20, side=6), torch.randn(2, 5, 8)
    norms = []
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            call(model, x, cond).float().square().mean().backward()
        grads = {key: value.grad for key, value in model.named_parameters()}
        assert all(grad is not None and torch.isfinite(grad).all() for grad in grads.values())
        norms.append(torch.stack([grad.norm() for grad in grads.values() if grad is not None]).norm())
    assert norms[1].item() == pytest.approx(norms[0].item(), rel=0.05)


def test_gradient_against_finite_differences() -> None:
    block = SparseSubdivideBlock3d(32, 32).double()
    fill(block)
    block.double()
    x = voxels(4, 3, side=3, channels=32)

    def loss(feats: Tensor) -> Tensor:
        return block(x.replace(feats)).feats.square().sum()

    feats, step = x.feats.double(), torch.randn(7, 32, dtype=torch.float64)
    grad = torch.autograd.functional.jacobian(loss, feats)
    slope = (loss(feats + 1e-3 * step) - loss(feats - 1e-3 * step)) / 2e-3
    assert (grad * step).sum().item() == pytest.approx(slope.item(), rel=1e-3)


def test_untrained_flow_predicts_zero_and_its_loss_is_the_target_power() -> None:
    model = SLatFlowModel(16, 6, 32, 8, 6, 1, 2, io_block_channels=[8])
    clean, cond = voxels(60, 20, side=6), torch.randn(2, 5, 8)
    loss = flow_matching_loss(model, clean, cond, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    torch.randn(2, generator=generator), torch.rand(2, generator=generator)
    noise = torch.randn(clean.feats.shape, generator=generator)
    torch.testing.assert_close(loss.detach(), (noise * (1 - 1e-5) - clean.feats).square().mean())


@pytest.mark.parametrize(
    ("coords", "message"),
    [([[0, 0, 0, -1]], ">= 0"), ([[1, 0, 0, 0], [0, 0, 0, 0]], "ascending"), ([[0, 0, 0]], r"\(T, 4\)")],
)
def test_wrong_coordinates_are_refused(coords: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Structure(torch.tensor(coords))


def test_batch_size_is_kept_for_empty_items() -> None:
    x = SparseTensor.stack([torch.ones(2, 3), torch.ones(0, 3)], [torch.eye(3)[:2].int(), torch.zeros(0, 3)])
    assert x.batch_size == 2 and [len(feats) for feats, _ in x.split()] == [2, 0]
    assert x.repeat(2).coords[:, 0].tolist() == [0, 0, 2, 2]
    with pytest.raises(ValueError, match="has 1 items"):
        Structure(torch.tensor([[1, 0, 0, 0]]), batch_size=1)


def one_sequence_at_a_time(
    q: Tensor, k: Tensor, v: Tensor, ends_q: Tensor, ends_k: Tensor, longest_q: int, longest_k: int
) -> Tensor:
    """What a GPU's kernel for uneven sequences computes; the longest lengths are upper bounds."""
    starts = zip(ends_q.tolist(), ends_q.tolist()[1:], ends_k.tolist(), ends_k.tolist()[1:], strict=False)
    parts = []
    for begin, end, first, last in starts:
        assert end - begin <= longest_q and last - first <= longest_k
        parts.append(attention.attend(q[None, begin:end], k[None, first:last], v[None, first:last])[0])
    return torch.cat(parts).unflatten(1, q.shape[1:])


def test_attention_without_padding_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, context = voxels(70, 0, 31, channels=16), torch.randn(3, 5, 12)
    within, across = SelfAttention(16, 2, True), CrossAttention(16, 12, 2)
    items = x.structure.items
    windows = x.structure.cut_windows(4, 2)
    assert items.order is None and windows.order is not None
    found = []
    for unpadded in (False, True):
        monkeypatch.setattr(attention, "in_half_on_gpu", lambda _, unpadded=unpadded: unpadded)
        monkeypatch.setattr(attention, "varlen_attn", one_sequence_at_a_time)
        feats = x.feats.clone().requires_grad_()
        out = [within(feats, items), within(feats, windows), across(feats, context, items)]
        gradient = torch.autograd.grad(torch.stack(out).square().sum(), feats)
        found.append([*out, *gradient])
    for padded, unpadded in zip(*found, strict=True):
        torch.testing.assert_close(unpadded, padded, atol=1e-5, rtol=1e-5)


def small_flow(
    channels: int = 6, patch_size: int = 1, io_block_channels: list[int] | None = None
) -> SLatFlowModel:
    flow = SLatFlowModel(
        resolution=8, in_channels=channels, model_channels=16, cond_channels=12, out_channels=6,
        num_blocks=2, num_heads=2, patch_size=patch_size, io_block_channels=io_block_channels,
    )  # fmt: skip
    fill(flow)
    return flow


@pytest.mark.parametrize("counts", [(70, 31, 40), (50, 50, 50)])
def test_items_without_a_context_have_one_of_zeros(counts: tuple[int, ...]) -> None:
    flow, x, context = small_flow(), voxels(*counts), torch.randn(2, 5, 12)
    t = torch.full((3,), 300.0)
    left_out = flow(x, t, context).feats
    nothing = flow(x, t, context[:0]).feats
    torch.testing.assert_close(nothing, flow(x, t, torch.zeros(3, 5, 12)).feats, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        left_out, flow(x, t, torch.cat([context, torch.zeros(1, 5, 12)])).feats, atol=1e-5, rtol=1e-5
    )
    dense = SparseStructureFlowModel(
        resolution=4, in_channels=6, model_channels=16, cond_channels=12, out_channels=6,
        num_blocks=2, num_heads=2, patch_size=1,
    )  # fmt: skip
    fill(dense)
    noise = torch.randn(3, 6, 4, 4, 4)
    torch.testing.assert_close(
        dense(noise, t, context),
        dense(noise, t, torch.cat([context, torch.zeros(1, 5, 12)])),
        atol=1e-5,
        rtol=1e-5,
    )


@pytest.mark.parametrize("widths", [None, [8]])
def test_compiled_blocks_compute_the_same(widths: list[int] | None) -> None:
    flow = small_flow(io_block_channels=widths, patch_size=2 if widths else 1)
    arguments = voxels(70, 31), torch.tensor([300.0, 700.0]), torch.randn(2, 5, 12)
    plain = flow(*arguments).feats
    flow.compile_blocks("aot_eager")
    for learning in (True, False):
        with torch.set_grad_enabled(learning):
            torch.testing.assert_close(flow(*arguments).feats, plain, atol=1e-5, rtol=1e-5)
