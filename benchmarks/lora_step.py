"""One LoRA step on each flow at the released size: memory, seconds, and the batch that fits.

    python -m benchmarks.lora_step --device cuda          random weights of the released size
    python -m benchmarks.lora_step --tiny --device cpu    the same code on small networks

Rank 64 on the attention projections, on the latent flow also on the layers that are SparseLinear in the
released code. Every line is a JSON object. ``kept_gib`` is what the forward pass keeps for the backward pass,
``peak_gib`` the most that was allocated (on a GPU). The batch that fits follows from the peaks at one and two
items and, where the device has the memory, is tried.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.full_size_trellis import (
    FULL,
    TINY,
    Size,
    draw_latents,
    draw_structure_state,
    draw_tokens,
    make_random_network,
)
from benchmarks.timing import read_peak_gib, synchronize
from benchmarks.trellis import DTYPES
from verdict3d.adapt.layers import FLOW_LAYERS, checkpoint_blocks, trainable_copy
from verdict3d.records.files import Row
from verdict3d.trellis.losses import flow_matching_loss

ATTENTION = ("self_attention", "cross_attention")
LAYERS = {"structure_flow": ATTENTION, "latent_flow": (*ATTENTION, "sparse_linear")}
RANK = 64
LIMITS_GB = (80, 140)
RESERVE = 0.05
"""Share of the memory left for the context and fragmentation."""


class Step:
    """A flow with adapters and its optimiser.

    Args:
        part: ``structure_flow`` or ``latent_flow``.
        size: Full or tiny.
        device: "cuda" or "cpu".
        dtype: Type of the frozen torso; adapters are float32.
        again: Compute blocks again in the backward pass instead of keeping their insides.
    """

    def __init__(self, part: str, size: Size, device: str, dtype: torch.dtype, again: bool) -> None:
        self.part, self.size, self.device = part, size, device
        base = make_random_network(part, size, device, dtype)
        generator = torch.Generator().manual_seed(0)
        self.flow, self.adapters = trainable_copy(base, FLOW_LAYERS, LAYERS[part], RANK, generator)
        if again:
            checkpoint_blocks(self.flow)
        self.optimizer = torch.optim.AdamW(self.adapters.values(), lr=1e-4)
        self.generator = torch.Generator(device).manual_seed(1)

    def data(self, items: int, voxels: int) -> tuple[Any, Tensor]:
        """Return clean latents and condition tokens of a batch."""
        if self.part == "structure_flow":
            return draw_structure_state(self.size, items, self.device)
        latents = draw_latents(self.size, [voxels] * items, self.device)
        return latents, draw_tokens(self.size, items, self.device)

    def take(self, clean: Any, cond: Tensor) -> float:
        """Take a step; return its loss."""
        self.optimizer.zero_grad()
        loss = flow_matching_loss(self.flow, clean, cond, self.generator)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def kept_bytes(self, clean: Any, cond: Tensor) -> int:
        """Return the bytes of what the forward pass keeps, weights left out, each storage once."""
        weights = {value.untyped_storage().data_ptr() for value in self.flow.parameters()}
        kept: dict[int, int] = {}

        def pack(value: Tensor) -> Tensor:
            storage = value.untyped_storage()
            if storage.data_ptr() not in weights:
                kept[storage.data_ptr()] = storage.nbytes()
            return value.detach()  # a result that its own node keeps would otherwise never be freed

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
            flow_matching_loss(self.flow, clean, cond, self.generator)
        return sum(kept.values())


def measure(step: Step, items: int, voxels: int, times: int, **more: Any) -> Row:
    """Take steps at one batch size."""
    clean, cond = step.data(items, voxels)
    kept = step.kept_bytes(clean, cond)
    losses = [step.take(clean, cond)]
    read_peak_gib(step.device)
    synchronize(step.device)
    start = time.perf_counter()
    losses += [step.take(clean, cond) for _ in range(times)]
    synchronize(step.device)
    took = (time.perf_counter() - start) / times
    return {
        "step": step.part,
        **more,
        "items": items,
        **({"voxels": voxels} if step.part == "latent_flow" else {}),
        "adapter_weights": sum(value.numel() for value in step.adapters.values()),
        "s": round(took, 4),
        "s_per_item": round(took / items, 4),
        "kept_gib": round(kept / 2**30, 4),
        "peak_gib": read_peak_gib(step.device),
        "finite": all(math.isfinite(loss) for loss in losses),
    }


def find_largest_batch(one: float, two: float, limit_gb: float) -> int:
    """Return the items that fit into ``limit_gb`` (10^9 bytes), from the GiB that one and two take."""
    room = limit_gb * 1e9 / 2**30 * (1 - RESERVE)
    return 0 if room < one else 1 + int((room - one) / max(two - one, 1e-9))


def make_rows(
    part: str, size: Size, device: str, dtype: torch.dtype, again: bool, times: int
) -> Iterator[Row]:
    """Measure one flow, with or without checkpointing."""
    step = Step(part, size, device, dtype, again)
    voxels = size.voxels[len(size.voxels) // 2]
    more = {"checkpointing": again, "dtype": str(dtype)}
    one, two = (measure(step, items, voxels, times, **more) for items in (1, 2))
    yield from (one, two)
    measured = "kept_gib" if one["peak_gib"] is None else "peak_gib"
    for limit in LIMITS_GB:
        items = find_largest_batch(one[measured], two[measured], limit)
        row: Row = {"step": part, **more, "limit_gb": limit, "items_that_fit": items, "judged_by": measured}
        if device.startswith("cuda") and torch.cuda.mem_get_info()[1] >= 0.9 * limit * 1e9 and items:
            try:
                tried = measure(step, items, voxels, 1, **more)
                row |= {"tried": True, "peak_gib": tried["peak_gib"], "s_per_item": tried["s_per_item"]}
            except torch.OutOfMemoryError:
                row["tried"] = False
                torch.cuda.empty_cache()
        yield row


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """Print the rows, and return them."""
    parser = argparse.ArgumentParser(description="A LoRA step at full size; a JSON object a line.")
    parser.add_argument("--tiny", action="store_true", help="small networks")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16", help="of the frozen weights")
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args(arguments)
    rows = []
    for part in LAYERS:
        for again in (False, True):
            size = TINY if given.tiny else FULL
            for row in make_rows(part, size, given.device, DTYPES[given.dtype], again, given.times):
                print(json.dumps(row), flush=True)
                rows.append(row)
            gc.collect()
            if given.device.startswith("cuda"):
                torch.cuda.empty_cache()
    return rows


if __name__ == "__main__":
    main()
