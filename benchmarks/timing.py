"""Seconds and memory of a call on a device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch


def synchronize(device: str) -> None:
    """Wait until the device is done."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def measure_once(call: Callable[[], Any], device: str) -> float:
    """Return the seconds of a single call."""
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - start


def measure_seconds(call: Callable[[], Any], device: str, times: int) -> float:
    """Return the median seconds of a call that has been made before."""
    return statistics.median(measure_once(call, device) for _ in range(times))


def measure(call: Callable[[], Any], device: str, times: int, weights: int = 0) -> tuple[float, float | None]:
    """Return the median seconds of a call that has been made before, and its peak of memory in GiB.

    The peak is that of a network that works alone: its ``weights`` in bytes, and what the call takes beside
    all that was allocated before it; None on a CPU.
    """
    read_peak_gib(device)
    before = torch.cuda.memory_allocated() if device.startswith("cuda") else 0
    took = measure_seconds(call, device, times)
    if not device.startswith("cuda"):
        return took, None
    return took, round((torch.cuda.max_memory_allocated() - before + weights) / 2**30, 3)


def read_peak_gib(device: str) -> float | None:
    """Return the most memory allocated since the last call; None on a CPU."""
    if not device.startswith("cuda"):
        return None
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 2)
