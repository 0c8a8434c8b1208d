"""Two-order verdicts per second at full size, random weights, bf16: `python -m benchmarks.judge_full_size`.

Three ways in one run: the ordinary one (one pair and one order at a time, pictures prepared each time, 64
tokens by `generate`), the batched one-token reading without anything shared, and the product's. Beside them
the floor: the operations the product's way needs, at the rate of a large matrix product of the same run. At
last verdicts over several view sets beside one: a pair's reference is encoded and read once for all sets.
Needs a GPU of 40 GiB; `--small` runs tiny networks on a CPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.full_size_judges import (
    FULL,
    SIDE_PX,
    SMALL,
    Size,
    count_language_operations,
    count_picture_operations,
    make_random_judge,
)
from verdict3d.judge.families import compile_judge
from verdict3d.judge.local.network import lay_out_panel
from verdict3d.judge.local.vlm import TransformersJudge
from verdict3d.judge.panel import PairRequest, Panel, Pixels


def make_pairs(count: int, per_reference: int, seed: int, views: int = 1) -> list[PairRequest]:
    """Return questions about pairs of meshes that stand in one pair each, some with the same reference.

    Those about one pair from its view sets follow each other; each set has montages of its own.
    """
    rng = np.random.default_rng(seed)

    def draw() -> Pixels:
        coarse = rng.integers(0, 256, (SIDE_PX // 8, SIDE_PX // 8, 3), dtype=np.uint8)
        return coarse.repeat(8, axis=0).repeat(8, axis=1)

    references = [draw() for _ in range(-(-count // per_reference))]
    return [
        PairRequest.of(
            Panel(references[number // per_reference], draw(), draw()), f"{number}x", f"{number}y", f"{view}"
        )
        for number in range(count)
        for view in range(views)
    ]


def read_ordinary_margin(
    judge: TransformersJudge, family: str, pair: PairRequest, first: str, tokens: int
) -> float:
    """Answer one order as users of the class do: prepare pictures, generate, look at the first token."""
    candidates = [pair.panel.x, pair.panel.y]
    shown = [pair.panel.reference, *(candidates if first == "x" else candidates[::-1])]
    inputs = dict(
        judge.loaded.image_processor(images=shown, input_data_format="channels_last", return_tensors="pt")
    )
    inputs.pop("num_patches", None)
    model, reader = judge.loaded.model, judge._reader
    grid = (SIDE_PX // 14, SIDE_PX // 14) if family == "qwen2_5_vl" else (SIDE_PX, SIDE_PX)
    layout = lay_out_panel(reader._family, model, judge.loaded.tokenizer, reader._ids, [grid] * 3)
    ids = layout.ids[None].to(model.device)
    if family == "qwen2_5_vl":
        inputs["mm_token_type_ids"] = (ids == model.config.image_token_id).int()
    moved = {name: torch.as_tensor(value).to(model.device) for name, value in inputs.items()}
    with torch.inference_mode():
        made = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            **moved,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
    logits = made.logits[0][0].float()
    a, b = (logits[answers.to(logits.device)].logsumexp(0) for answers in reader._answers)
    return float(a - b)


def count_operations(judge: TransformersJudge, family: str, size: Size, pairs: list[PairRequest]) -> int:
    """Return the operations of `pairs` when each picture and each beginning is computed once a batch."""
    grid = (SIDE_PX // 14, SIDE_PX // 14) if family == "qwen2_5_vl" else (SIDE_PX, SIDE_PX)
    layout = judge._reader._find_layout((grid,) * 3)
    shared = layout.starts[1]
    rest = len(layout.ids) - shared
    total = 0
    for start in range(0, len(pairs), judge.batch_size):
        batch = pairs[start : start + judge.batch_size]
        pictures = {digest for pair in batch for digest in pair.panel.digests}
        total += len(pictures) * sum(count_picture_operations(family, size))
        total += len({pair.reference for pair in batch}) * sum(count_language_operations(size, shared))
        orders = 2 * len(batch)
        total += orders * (
            sum(count_language_operations(size, rest, shared)) + 2 * size.language[0] * size.vocabulary
        )
    return total


def measure_matrix_rate(device: str, dtype: torch.dtype) -> float:
    """Return operations per second of a large square matrix product, best of ten."""
    side = 8192 if device == "cuda" else 512
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return max(2 * side**3 / measure_seconds(lambda: left @ right, device) for _ in range(10))


def measure_seconds(work: Callable[[], Any], device: str) -> float:
    """Return the wall time of `work`, the GPU's work included."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def forget(judge: TransformersJudge) -> None:
    """Drop every remembered picture."""
    judge._encoder._kept.clear()
    judge._encoder._kept_bytes = 0


def measure(family: str, given: argparse.Namespace) -> None:
    device, size = ("cpu", SMALL) if given.small else ("cuda", FULL)
    dtype = torch.float32 if given.small else torch.bfloat16
    judge = make_random_judge(family, size, device, dtype, given.batch_size)
    pairs = make_pairs(given.pairs, given.per_reference, seed=1)
    rate = measure_matrix_rate(device, dtype)
    floor = rate / count_operations(judge, family, size, pairs) * len(pairs)
    parameters = sum(p.numel() for p in judge.loaded.model.parameters())
    print(f"\n{family}, {dtype}, {parameters / 1e9:.2f} G parameters")
    print(f"matrix product: {rate / 1e12:.0f} TFLOP/s; floor {floor:.2f} verdicts/s")

    judge.loaded.model.model.language_model.config._attn_implementation = "sdpa"
    few = pairs[: given.ordinary]
    read_ordinary_margin(judge, family, pairs[-1], "x", 4)
    taken = measure_seconds(
        lambda: [read_ordinary_margin(judge, family, p, f, 64) for p in few for f in "xy"], device
    )
    ordinary = len(few) / taken
    print(f"ordinary, one order at a time, 64 tokens: {ordinary:.3f} verdicts/s")

    judge.loaded.model.model.language_model.config._attn_implementation = "verdict3d_causal"
    ways = [("one token, batched, nothing shared", False), ("one token, batched, shared", True)]
    ways += [("the same, compiled", True)] if given.compile else []
    warm_up = make_pairs(given.batch_size, given.per_reference, seed=2)
    results: list[np.ndarray] = []
    for name, shares in ways:
        judge._reader._shares = shares
        if len(results) == 2:
            compile_judge(judge.loaded.model)
        forget(judge)
        first = measure_seconds(lambda: judge.compare(warm_up), device)
        forget(judge)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        verdicts: list[Any] = []
        taken = measure_seconds(lambda found=verdicts: found.extend(judge.compare(pairs)), device)
        results.append(np.array([verdict.m1 for verdict in verdicts]))
        memory = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else 0.0
        speed = len(pairs) / taken
        print(
            f"{name}: {speed:.2f} verdicts/s, {speed / ordinary:.0f} x ordinary, "
            f"{speed / floor:.0%} of the floor, peak {memory:.1f} GiB; first batch {first:.1f} s"
        )
        if shares:
            time_parts(judge, pairs[: given.batch_size], device)
    for views in (1, given.views):
        asked = make_pairs(max(1, given.pairs // views), given.per_reference, seed=3, views=views)
        forget(judge)
        speed = len(asked) / views / measure_seconds(lambda asked=asked: judge.compare(asked), device)
        print(f"verdicts over {views} view sets: {speed:.2f} a second, {speed * views:.2f} sets a second")
    apart = [f"{np.abs(margins - results[0]).max():.4f}" for margins in results[1:]]
    print(f"margins: spread {results[0].std():.4f}, largest difference to nothing shared {', '.join(apart)}")


def time_parts(judge: TransformersJudge, batch: list[PairRequest], device: str) -> None:
    """Print where the time of one batch goes."""
    forget(judge)
    arranged = [pair.panel.arrange("three_images") for pair in batch]
    wanted = {name: pixels for part in arranged for name, pixels in part.pictures.items()}
    shown = list(dict.fromkeys(order for part in arranged for order in part.orders))
    prepare = measure_seconds(lambda: judge._encoder.prepare(wanted), device)
    pictures, _ = judge._encoder.prepare(wanted)
    encode = measure_seconds(lambda: judge._encoder.encode(pictures), device)
    read = measure_seconds(lambda: judge._reader.read_margins(shown, pictures), device)
    print(
        f"one batch of {len(batch)}: prepare {len(wanted)} pictures {prepare:.2f} s, encode {encode:.2f} s, "
        f"language model {read:.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=("qwen2_5_vl", "internvl"))
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--per-reference", type=int, default=2, help="pairs with the same reference")
    parser.add_argument("--views", type=int, default=8, help="view sets beside one")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--ordinary", type=int, default=4, help="pairs asked in the ordinary way")
    parser.add_argument("--compile", action="store_true", help="measure compiled as well")
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    if not given.small:
        print(torch.cuda.get_device_name(), torch.__version__)
    for family in [given.family] if given.family else ["qwen2_5_vl", "internvl"]:
        measure(family, given)
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
