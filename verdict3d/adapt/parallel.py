"""Data-parallel training: each process computes the losses of its share of a step's items.

Every process draws the items of a step, and everything random, for the whole batch, as one process would, and
takes its own share. Gradients are averaged. Losses are means over items and shares are equally large, so the
weights are those of one process up to the rounding of sums.

The processes find each other through accelerate (``accelerate launch``, :func:`launch_command`).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor

from verdict3d.errors import Verdict3DError

LAUNCHER = "VERDICT3D_LAUNCHER"
"""Environment variable: id of the process that launched the others."""
_PATIENCE = timedelta(days=7)
"""The others wait while the main process validates; a process that dies is noticed by the launcher."""
_POLL_S = 0.2

Items = TypeVar("Items", Tensor, list[int], list[Tensor])
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Processes:
    """The processes that train together, as one of them sees them.

    Attributes:
        rank: Number of this process; process 0 validates, writes and shows progress.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def main(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    def require_shares(self, batch_size: int) -> None:
        """Check that a batch can be shared out equally.

        Raises:
            Verdict3DError: It cannot.
        """
        if batch_size % self.count:
            raise Verdict3DError(
                f"a batch of {batch_size} items cannot be shared equally by {self.count} processes: set "
                f"batch_size to a multiple of {self.count}, or start another number of processes"
            )

    def own(self, items: Items) -> Items:
        """Return this process's share of a batch, along the first dimension; of one process, all of it."""
        self.require_shares(len(items))
        return items[self.rank :: self.count]

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of the processes' values, the same bits for all."""
        if self.count == 1:
            return value
        from accelerate.utils import reduce

        averaged: Tensor = reduce(value, reduction="mean")
        return averaged

    def average_gradients(self, weights: Iterable[Tensor]) -> None:
        """Put the mean of the processes' gradients in the place of each one's own."""
        if self.count == 1:
            return
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        averaged = self.mean(torch.cat([gradient.flatten() for gradient in gradients]))
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, mean in zip(gradients, averaged.split(sizes), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def from_main(self, ask: Callable[[], Answer]) -> Answer:
        """Return what ``ask`` returns in the main process; it is called nowhere else, and all wait for it."""
        if self.count == 1:
            return ask()
        from accelerate.utils import broadcast_object_list

        answers: list[Answer] = broadcast_object_list([ask() if self.main else None])
        return answers[0]


ALONE = Processes()


def is_launched() -> bool:
    """Return whether this process was started by ``accelerate launch`` or by what it is made of."""
    return "WORLD_SIZE" in os.environ or "ACCELERATE_MIXED_PRECISION" in os.environ


def shows_progress() -> bool:
    """Return whether this process shows progress: of several only the main one does."""
    return int(os.environ.get("RANK", "0")) == 0


def join_processes(device: torch.device) -> Processes:
    """Join the processes that were launched together; alone there is nothing to join.

    From then on ``cuda`` is this process's own GPU, and the process ends when its launcher does.

    Args:
        device: What is trained on; on a CPU processes talk through gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    _end_with_launcher()
    from accelerate import PartialState

    state = PartialState(cpu=device.type == "cpu", timeout=_PATIENCE)
    return Processes(state.process_index, state.num_processes)


def leave_processes(processes: Processes) -> None:
    """Wait for the main process, then leave the group."""
    if processes.count > 1:
        from accelerate import PartialState

        processes.from_main(lambda: None)
        PartialState().destroy_process_group()


def launch_command(count: int, module: str, arguments: Sequence[str]) -> list[str]:
    """Return the command that runs ``python -m module`` in ``count`` processes of this machine.

    ``--multi_gpu`` names the way they are started; where there is no GPU they run on the CPU.
    """
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // count))
    options = {
        "num_processes": str(count),
        "num_machines": "1",
        "mixed_precision": "no",
        "dynamo_backend": "no",
        "main_process_port": "0",
        "num_cpu_threads_per_process": threads,
    }
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    start = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", *flags]
    return [*start, "-m", module, *arguments]


def become_launcher(count: int, module: str, arguments: Sequence[str]) -> None:
    """Replace this process by one that runs ``python -m module`` in ``count`` processes."""
    command = launch_command(count, module, arguments)
    os.execve(command[0], command, {**os.environ, LAUNCHER: str(os.getpid())})


def count_processes(devices: int, batch_sizes: Sequence[int]) -> int:
    """Return how many processes to start: at most one a device, and every batch shared out equally."""
    fitting = (
        count
        for count in range(devices, 1, -1)
        if batch_sizes and all(size % count == 0 for size in batch_sizes)
    )
    return next(fitting, 1)


def _end_with_launcher() -> None:
    """Kill this process when its launcher is gone.

    The launcher starts it in a session of its own, so a signal to the launcher's group does not reach it.
    """
    launcher = int(os.environ.get(LAUNCHER, os.getppid()))

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(_POLL_S)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="launcher").start()
