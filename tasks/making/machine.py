"""The machine: what results depend on, what makes them repeat, and processes that share the work."""

from __future__ import annotations

import multiprocessing
import os
import re
import reprlib
import sys
import threading
from typing import Any

from verdict3d.errors import Verdict3DError

WORKERS = "VERDICT3D_WORKERS"
"""Environment variable: how many processes share the work of a stage; results do not change."""
_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Where there is none of these, of NVIDIA, AMD and Windows' Linux, torch has no GPU."""
_PROCESSES_A_CORE = 16
"""More of them only wait for each other; a thousand take the memory of any machine."""


def count_workers() -> int:
    """Return how many processes a stage uses for its batches: one a visible GPU, unless the environment says.

    Raises:
        Verdict3DError: What it says is no such number.
    """
    return read_workers() or max(1, len(list_visible_gpus()))


def read_workers(most: int | None = _PROCESSES_A_CORE * (os.cpu_count() or 1)) -> int | None:
    """Return the number of processes that the environment asks for; None where it asks for none.

    Args:
        most: The largest number that makes sense: of this machine, unless given.

    Raises:
        Verdict3DError: What it says is no such number.
    """
    value = os.environ.get(WORKERS)
    if value is None:
        return None
    largest = most or 10**6
    if not re.fullmatch(r"[0-9]{1,9}", value) or not 1 <= int(value) <= largest:
        raise Verdict3DError(f"{WORKERS} is {reprlib.repr(value)}; give a whole number from 1 to {largest}")
    return int(value)


def end_with_parent() -> None:
    """Let this process end with the one that started it, even when that is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait_and_end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait_and_end, daemon=True).start()


def describe_machine() -> dict[str, Any]:
    """Return what bits of results may depend on here, as far as this process uses it: JSON values.

    That is torch's version and number of threads, and the accelerator; all None where torch is not used.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return {"torch": None, "threads": None, "accelerator": None}
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_initialized() else None
    return {"torch": torch.__version__, "threads": torch.get_num_threads(), "accelerator": accelerator}


def list_visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, each as ``CUDA_VISIBLE_DEVICES`` would name it."""
    if not any(map(os.path.exists, _DRIVERS)):
        return []  # torch takes seconds to import
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",")[:count] if named else [str(number) for number in range(count)]
