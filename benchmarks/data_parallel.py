"""LoRA steps of the structure flow in one process and in several: seconds a step, and how weights differ.

    python -m benchmarks.data_parallel                    random weights of the released size, a GPU a process
    python -m benchmarks.data_parallel --tiny             the same code on small networks, on the CPU

The batch is the same however many share it, and so are data, noise and times. Every line is a JSON object;
the last compares the weights of the first and the last run, also relative to how far training moved them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.full_size_trellis import FULL, TINY, draw_structure_state
from benchmarks.lora_step import Step
from benchmarks.timing import read_peak_gib, synchronize
from benchmarks.trellis import DTYPES
from verdict3d.adapt.flow_losses import velocity_error
from verdict3d.adapt.parallel import (
    Processes,
    join_processes,
    launch_command,
    leave_processes,
)
from verdict3d.adapt.training import Schedule, train
from verdict3d.device import settle_torch
from verdict3d.randomness import torch_generator
from verdict3d.records.files import Row
from verdict3d.trellis.losses import compute_velocity, diffuse, sample_times

RESULT = "PARALLEL_RESULT"
"""Environment variable: the folder that a process of a run leaves its result in."""


def measure(given: argparse.Namespace, folder: Path, processes: Processes, device: str) -> None:
    """Train as one of several processes; the main one writes weights and a row."""
    settle_torch()
    size = TINY if given.tiny else FULL
    step = Step("structure_flow", size, device, DTYPES[given.dtype], given.checkpointing)
    start = {name: weight.detach().cpu().clone() for name, weight in step.adapters.items()}
    clean, cond = draw_structure_state(size, given.batch, "cpu")
    clean, cond = processes.own(clean).to(device), processes.own(cond).to(device)
    marks: list[float] = []

    def loss_at(number: int) -> Tensor:
        synchronize(device)
        marks.append(time.perf_counter())
        generator = torch_generator(0, "data_parallel", number)
        t = processes.own(sample_times(given.batch, generator)).to(device)
        noise = processes.own(torch.randn(given.batch, *clean.shape[1:], generator=generator)).to(device)
        state = diffuse(clean, noise, t)
        return velocity_error(state, step.flow(state, 1000 * t, cond), compute_velocity(clean, noise)).mean()

    schedule = Schedule(given.steps, 1e-4, given.steps)
    state = train(step.adapters, loss_at, dict, schedule, folder / "checkpoints", "steps", processes)
    if not processes.main:
        return
    save_file(
        {name: value.detach().cpu() for name, value in step.adapters.items()}, folder / "end.safetensors"
    )
    save_file(start, folder / "start.safetensors")
    took = [after - before for before, after in pairwise(marks[1:])]  # the first warms up
    row: Row = {
        "processes": processes.count,
        "batch": given.batch,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "s_per_step": round(median(took), 4),
        "peak_gib": read_peak_gib(device),
        "first_loss": state.losses[1]["train_loss"],
        "last_loss": state.losses[-1]["train_loss"],
    }
    (folder / "row.json").write_text(json.dumps(row))


def run(count: int, folder: Path, arguments: Sequence[str]) -> Row:
    """Run in ``count`` processes; return the row, with seconds from start to end."""
    folder.mkdir()
    module = "benchmarks.data_parallel"
    command = [sys.executable, "-m", module, *arguments]
    if count > 1:
        command = launch_command(count, module, arguments)
    began = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, RESULT: str(folder)})
    row: Row = json.loads((folder / "row.json").read_text())
    return {**row, "s_in_all": round(time.perf_counter() - began, 1)}


def measure_difference(one: Path, other: Path) -> dict[str, Any]:
    """Compare what two runs trained."""
    start, end, found = (
        torch.cat([value.flatten() for _, value in sorted(load_file(path).items())])
        for path in (one / "start.safetensors", one / "end.safetensors", other / "end.safetensors")
    )
    return {
        "largest_difference": float((end - found).abs().max()),
        "largest_movement": float((end - start).abs().max()),
        "relative": float((end - found).norm() / (end - start).norm()),
    }


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """Print the rows, and return them."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(description="Data-parallel LoRA steps; a JSON object a line.")
    parser.add_argument("--tiny", action="store_true", help="small networks, on the CPU")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, default=8, help="items of a step, whoever computes them")
    parser.add_argument("--steps", type=int, default=12, help="at least 3; the first is not timed")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16", help="of the frozen weights")
    parser.add_argument("--checkpointing", action="store_true")
    given = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() and not given.tiny else "cpu"
    if RESULT in os.environ:
        processes = join_processes(torch.device(device))
        measure(given, Path(os.environ[RESULT]), processes, device)
        leave_processes(processes)
        return []
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as place:
        folders = [Path(place) / str(number) for number in range(len(given.processes))]
        for count, folder in zip(given.processes, folders, strict=True):
            rows.append(run(count, folder, arguments))
            print(json.dumps(rows[-1]), flush=True)
        rows.append(measure_difference(folders[0], folders[-1]))
    print(json.dumps(rows[-1]), flush=True)
    return rows


if __name__ == "__main__":
    main()
