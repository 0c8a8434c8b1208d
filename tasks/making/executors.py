"""Where batches are finished: here, in processes of this machine, or on a Ray cluster.

``VERDICT3D_EXECUTOR`` says where, and no parameter does: nothing is run again when the place changes, and the
bytes are the same, on the same kind of accelerator.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.making.crew import Crew, Sharing
from tasks.making.finishing import AT_ONCE, MakeWorker, Task, finishing
from tasks.making.machine import count_workers, describe_machine, end_with_parent, read_workers
from tasks.making.processes import ProcessCrew
from verdict3d.errors import Verdict3DError
from verdict3d.records.files import read_json, write_json

EXECUTOR = "VERDICT3D_EXECUTOR"
"""Environment variable: ``here``, ``processes`` or ``ray``; without it the number of workers decides."""
MIXED = "VERDICT3D_MIXED_ACCELERATORS"
"""Environment variable: ``1`` lets unlike machines share one stage."""
_THREADS = 2
"""For pictures, in one process: more of them wait for Python's lock."""
MACHINES = "machines.json"
"""Beside a stage's batches: the kinds of machines that made them."""
KIND = {"torch", "accelerator"}


def choose_executor() -> str:
    """Return where batches are finished.

    Raises:
        Verdict3DError: The environment names no such place.
    """
    chosen = os.environ.get(EXECUTOR)
    if chosen is None:
        return "processes" if count_workers() > 1 else "here"
    if chosen not in ("here", "processes", "ray"):
        raise Verdict3DError(f"{EXECUTOR} is {chosen!r}; choose here, processes or ray")
    return chosen


def finish_batches(make_worker: MakeWorker, tasks: Sequence[Task], folder: Path) -> Iterator[int]:
    """Finish batches where the environment says; yield the number of items of each.

    Args:
        make_worker: Makes a worker, in whichever process.
        tasks: What is to be done.
        folder: The stage's batches.

    Raises:
        Verdict3DError: The environment is wrong; machines are unlike; a batch kills what works on it.
        Exception: What a worker raised.
    """
    executor = choose_executor()
    if not tasks:
        return
    admit = _Machines(folder / MACHINES).admit
    if executor == "here" or (executor == "processes" and EXECUTOR not in os.environ and len(tasks) == 1):
        yield from _finish_here(make_worker, tasks, admit)
        return
    crew = _start_crew(executor, make_worker, folder)
    try:
        yield from Sharing(crew, tasks, admit).run()
    finally:
        crew.leave()


def _start_crew(executor: str, make_worker: MakeWorker, folder: Path) -> Crew:
    if executor == "processes":
        return ProcessCrew(make_worker, count_workers())
    from tasks.making.cluster import ClusterCrew

    return ClusterCrew(make_worker, folder)


def _finish_here(
    make_worker: MakeWorker, tasks: Sequence[Task], admit: Callable[[dict[str, Any], str], None]
) -> Iterator[int]:
    """Finish batches in this process, in order; yield the number of items of each."""
    with finishing(make_worker) as finisher:
        admit(describe_machine(), "this machine")
        begun: deque[tuple[Future[None], int]] = deque()
        for batch, home in tasks:
            begun.append((finisher.begin(batch, home), len(batch)))
            if len(begun) == AT_ONCE:
                yield _wait_for(begun)
        while begun:
            yield _wait_for(begun)


def _wait_for(begun: deque[tuple[Future[None], int]]) -> int:
    """Wait for the first of some batches; return the number of its items."""
    future, count = begun.popleft()
    future.result()
    return count


@contextmanager
def start_helpers() -> Iterator[Executor]:
    """Run functions on pictures: in two threads, as many processes as the environment says, or on a cluster.

    The number of GPUs does not matter to them, and each of the processes that train has helpers of its own.
    """
    count, context = read_workers() or 1, multiprocessing.get_context("spawn")
    pool: Executor
    if os.environ.get(EXECUTOR) == "ray":
        from tasks.making.cluster import ClusterHelpers

        pool = ClusterHelpers()
    elif count > 1:
        pool = ProcessPoolExecutor(count, context, end_with_parent)
    else:
        pool = ThreadPoolExecutor(_THREADS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


class _Machines:
    """The kinds of machines that have made batches of one stage.

    Raises:
        Verdict3DError: What is known of them is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: list[dict[str, str | None]] = read_json(path) if path.exists() else []
        if not isinstance(self.known, list) or any(not _is_kind(one) for one in self.known):
            raise Verdict3DError(
                f"{path} is damaged; it says on what machines the batches beside it were made: remove "
                f"{path.parent} to begin the stage again"
            )

    def admit(self, machine: dict[str, Any], name: str) -> None:
        """Note what kind of machine a place is.

        Raises:
            Verdict3DError: It is unlike those that have made batches so far, and that is not allowed.
        """
        kind = {key: machine[key] for key in sorted(KIND)}
        if kind["torch"] is None or kind in self.known:  # what uses no torch does not depend on it
            return
        if self.known and os.environ.get(MIXED) != "1":
            raise Verdict3DError(
                f"{name} has {_describe(kind)}, and batches of this stage were made with "
                f"{_describe(self.known[0])}: their bits differ. Give the stage machines of one kind, remove "
                f"{self.path.parent} to begin it again, or set {MIXED}=1 to mix them"
            )
        self.known.append(kind)
        write_json(self.path, self.known)


def _is_kind(value: object) -> bool:
    return isinstance(value, dict) and set(value) == KIND


def _describe(kind: dict[str, Any]) -> str:
    return f"{kind['accelerator'] or 'no accelerator in use'} and torch {kind['torch']}"
