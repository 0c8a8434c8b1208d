"""The judge server of a run: judges stay loaded between its stages, and end with it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from verdict3d.judge.served.wire import ADDRESS
from verdict3d.processes.commands import supervised

GPU_DEVICES = ("/dev/nvidia0", "/dev/dxg")
"""Where there is one of these, stages share a GPU."""
POLL_S = 0.02


def has_gpu() -> bool:
    """Return whether the stages may have a GPU."""
    return any(Path(device).exists() for device in GPU_DEVICES)


@contextmanager
def serving_judges(state: Path, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Keep judges loaded while the block runs; yield the variables that lead stages to them.

    There is one server for each run, and none without a GPU, where a judge is loaded in seconds. It dies with
    this process, however that ends; a stage whose server is gone loads the judge itself.

    Args:
        state: Folder of the project's state, which others may not enter.
        environment: Of the stages.
    """
    if not has_gpu():
        yield {}
        return
    address = state / "judges.sock"
    command = [sys.executable, "-m", "verdict3d.judge.served.server", str(address)]
    log_file = state / "logs/judges.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    address.unlink(missing_ok=True)
    with supervised(command, state.parent, environment, log_file) as server:
        while not address.is_socket() and server.poll() is None:
            time.sleep(POLL_S)
        yield {ADDRESS: str(address)}
