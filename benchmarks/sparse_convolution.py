"""Our sparse convolution beside spconv's CPU build, in one process: same voxels, same weights, same threads.

    OMP_NUM_THREADS=2 python -m benchmarks.sparse_convolution

The other library is no dependency; into an environment with the same torch:  pip install spconv  (for CPUs).
Without it only our times are printed. Its gradients want a CUDA device, so they are not compared; with
several threads its sums lose terms now and then, so the least and the largest difference of several calls are
shown. Voxels are a shell of 20,000 in a grid of 64 a side, as thick as it takes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from verdict3d.trellis.sparse import SparseConv3d, SparseTensor
from verdict3d.trellis.structure import Structure

REPEATS = 8


def make_shell(count: int, side: int) -> Tensor:
    """Return (count, 4) int32 voxels closest to a sphere, shuffled."""
    axis = torch.arange(side)
    grid = torch.cartesian_prod(axis, axis, axis)
    distance = ((grid - (side - 1) / 2).square().sum(1).sqrt() - 0.35 * side).abs()
    chosen = grid[distance.argsort(stable=True)[:count]]
    shuffled = chosen[torch.randperm(count, generator=torch.Generator().manual_seed(0))]
    return torch.nn.functional.pad(shuffled, (1, 0)).to(torch.int32)


def load_other_library(coords: Tensor, side: int, conv: SparseConv3d) -> Callable[[Tensor], Tensor] | None:
    """Return spconv's convolution with the weights of ours, its neighbour map made; None: not installed."""
    try:
        import spconv.pytorch as spconv
    except ImportError:
        return None
    size = conv.in_channels, conv.out_channels
    layer = spconv.SubMConv3d(*size, 3, bias=True, indice_key="shell", algo=spconv.ConvAlgo.Native)
    with torch.no_grad():
        layer.weight.copy_(conv.conv.weight)
        layer.bias.copy_(conv.conv.bias)
    first = spconv.SparseConvTensor(torch.zeros(len(coords), size[0]), coords, [side] * 3, 1)
    layer(first)

    def call(feats: Tensor) -> Tensor:
        out: Any = layer(first.replace_feature(feats))
        return out.features

    return call


def measure_median_seconds(calls: dict[str, Callable[[], Any]], times: int) -> dict[str, float]:
    """Return the median seconds of each call, in turns so that a busy machine slows all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(times):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure(channels: int, count: int, side: int, times: int) -> dict[str, Any]:
    """Return times and differences at one width."""
    torch.manual_seed(0)
    coords, conv = make_shell(count, side), SparseConv3d(channels, channels, 3)
    structure, feats = Structure(coords), torch.randn(count, channels)
    pairs = int((structure.neighbours < count).sum())
    theirs = load_other_library(coords, side, conv)

    def ours(values: Tensor) -> Tensor:
        return conv(SparseTensor(values, structure=structure)).feats

    def with_gradients() -> None:
        ours(feats.clone().requires_grad_()).sum().backward()

    calls: dict[str, Callable[[], Any]] = {"ours": lambda: ours(feats)}
    row: dict[str, Any] = {"channels": channels, "voxels": count, "neighbours": round(pairs / count, 2)}
    with torch.no_grad():
        if theirs is not None:
            calls["spconv"] = lambda: theirs(feats)
            mine = ours(feats)
            row["largest_value"] = float(mine.abs().max())
            apart = [float((theirs(feats) - mine).abs().max()) for _ in range(REPEATS)]
            row["difference_least"], row["difference_most"] = min(apart), max(apart)
            row["ours_repeats"] = all(torch.equal(ours(feats), mine) for _ in range(REPEATS))
        found = measure_median_seconds(calls, times)
    found |= measure_median_seconds({"ours_with_gradients": with_gradients}, max(times // 3, 1))
    row |= {f"{name}_ms": round(1000 * value, 2) for name, value in found.items()}
    row["ours_gflops"] = round(2 * pairs * channels**2 / found["ours"] / 1e9, 1)
    row["spconv_over_ours"] = round(found["spconv"] / found["ours"], 2) if theirs is not None else None
    return row


def main() -> None:
    """Print a line of JSON for each width."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--voxels", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--times", type=int, default=15)
    arguments = parser.parse_args()
    for channels in arguments.channels:
        print(json.dumps(measure(channels, arguments.voxels, arguments.side, arguments.times)))


if __name__ == "__main__":
    main()
