"""The machine: what results depend on, what makes them repeat, and processes that share the work."""

from __future__ import annotations

import multiprocessing
import os
import re
import reprlib
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

from verdict3d.errors import Verdict3DError

WORKERS = "VERDICT3D_WORKERS"
"""Environment variable: how many processes share the work of a stage; results do not change."""
_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Where there is none of these, of NVIDIA, AMD and Windows' Linux, torch has no GPU."""
_PROCESSES_A_CORE = 16
"""More of them only wait for each other; a thousand take the memory of any machine."""
_THREADS = 2
"""For pictures, in one process: more of them wait for Python's lock."""


def count_workers() -> int:
    """Return how many processes a stage uses for its batches: one a visible GPU, unless the environment says.

    Raises:
        Verdict3DError: What it says is no such number.
    """
    return _read_workers() or max(1, len(list_visible_gpus()))


def _read_workers() -> int | None:
    value, most = os.environ.get(WORKERS), _PROCESSES_A_CORE * (os.cpu_count() or 1)
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", value) or not 1 <= int(value) <= most:
        raise Verdict3DError(f"{WORKERS} is {reprlib.repr(value)}; give a whole number from 1 to {most}")
    return int(value)


@contextmanager
def start_helpers() -> Iterator[Executor]:
    """Run functions on pictures: in two threads, or in as many processes as the environment says.

    The number of GPUs does not matter to them, and each of the processes that train has helpers of its own.
    """
    count, context = _read_workers() or 1, multiprocessing.get_context("spawn")
    pool: Executor = (
        ProcessPoolExecutor(count, context, end_with_parent) if count > 1 else ThreadPoolExecutor(_THREADS)
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """Let this process end with the one that started it, even when that is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait_and_end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait_and_end, daemon=True).start()


def list_visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, each as ``CUDA_VISIBLE_DEVICES`` would name it."""
    if not any(map(os.path.exists, _DRIVERS)):
        return []  # torch takes seconds to import
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",")[:count] if named else [str(number) for number in range(count)]
