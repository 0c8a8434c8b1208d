"""What the machine does while a run goes on: samples under the names that MLflow's system metrics have.

MLflow's own sampling needs a run that is open in the same process; here runs are recorded when they are over.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from verdict3d.records.stages import Samples

EVERY_S = 5.0
MOST_SAMPLES = 720
"""Of each number: where a run lasts longer, every other one is dropped and they become half as frequent."""
_GPUS = ["--query-gpu=index,utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits"]
_MIB_IN_MB = 2**20 / 1e6


@contextmanager
def sampling(every_s: float = EVERY_S) -> Iterator[Samples]:
    """Sample the machine in a thread until the block ends, and yield what there is, which grows.

    Args:
        every_s: Seconds from one sample to the next.
    """
    found: Samples = {}
    over = threading.Event()

    def sample() -> None:
        pause = every_s
        while not over.wait(pause):
            now_ms = int(time.time() * 1000)
            for name, value in read_machine().items():
                found.setdefault(name, []).append((now_ms, value))
            if any(len(series) >= MOST_SAMPLES for series in found.values()):
                pause *= 2
                for series in found.values():
                    del series[1::2]

    psutil.cpu_percent()  # from here on
    thread = threading.Thread(target=sample, name="machine samples", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def read_machine() -> dict[str, float]:
    """Return the use of processors (since the last call), memory and GPUs, by MLflow's names."""
    memory = psutil.virtual_memory()
    return {
        "cpu_utilization_percentage": psutil.cpu_percent(),
        "system_memory_usage_megabytes": memory.used / 1e6,
        "system_memory_usage_percentage": 100 * memory.used / memory.total,
        **_read_gpus(),
    }


def _read_gpus() -> dict[str, float]:
    found: dict[str, float] = {}
    if (program := shutil.which("nvidia-smi")) is None:
        return found
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run([program, *_GPUS], capture_output=True, text=True, timeout=EVERY_S, check=True)
        for line in said.stdout.splitlines():
            with suppress(ValueError):  # what a GPU does not tell is written in words
                number, busy, used, total = (float(cell) for cell in line.split(","))
                found[f"gpu_{number:.0f}_utilization_percentage"] = busy
                found[f"gpu_{number:.0f}_memory_usage_megabytes"] = used * _MIB_IN_MB
                found[f"gpu_{number:.0f}_memory_usage_percentage"] = 100 * used / total
    return found
