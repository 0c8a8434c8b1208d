"""Processes that draw, measure and write beside the process that has the networks."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from tasks.making.machine import end_with_parent, read_workers

MOST_HELPERS = 12
"""A batch has no more to do at the same time."""
GIVING_WAY = 10
"""Niceness of helpers: the process that feeds the GPU goes first."""


def count_helpers() -> int:
    """Return how many helpers one process has: its share of the cores but one, 1 to 12."""
    share = len(os.sched_getaffinity(0)) // (read_workers(None) or 1)
    return max(1, min(MOST_HELPERS, share - 1))


def open_helpers() -> ProcessPoolExecutor:
    """Return helpers: begun when they are needed, gone with this process, even if it is killed."""
    return ProcessPoolExecutor(count_helpers(), multiprocessing.get_context("spawn"), _begin)


def _begin() -> None:
    end_with_parent()
    os.nice(GIVING_WAY)
