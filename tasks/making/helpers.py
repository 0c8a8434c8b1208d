"""Processes that draw, measure and write beside the process that has the networks."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from tasks.making.machine import WORKERS, end_with_parent, list_visible_gpus, read_workers
from verdict3d.errors import Verdict3DError

MOST_HELPERS = 12
"""A batch has no more to do at the same time."""
GIVING_WAY = 5
"""Niceness of helpers: the process that feeds the GPU goes first."""


def count_helpers() -> int:
    """Return how many helpers one process has: its share of the cores, beside a GPU but one, 1 to 12."""
    share = len(os.sched_getaffinity(0)) // (read_workers(None) or 1)
    return max(1, min(MOST_HELPERS, share - bool(list_visible_gpus())))


def open_helpers() -> ProcessPoolExecutor:
    """Return helpers, which start at once and are gone with this process, even if it is killed."""
    count = count_helpers()
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin)
    for _ in range(count):
        pool.submit(os.getpid)  # a pool starts a process for a task that finds none idle
    return pool


@contextmanager
def naming_death() -> Iterator[None]:
    """Say what happened when a helper dies while the block runs.

    Raises:
        Verdict3DError: One has died.
    """
    try:
        yield
    except BrokenProcessPool as error:
        raise Verdict3DError(
            "a process that draws and measures meshes has died; most often the machine had no memory left. "
            f"Finished batches are kept: run again, with a larger {WORKERS}, whose processes have fewer "
            "helpers each, if it happens again"
        ) from error


def _begin() -> None:
    end_with_parent()
    os.nice(GIVING_WAY)
