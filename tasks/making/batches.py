"""A map over batches of items that survives ``kill -9``; every stage that infers is one.

Batches are composed from the order of the manifest alone. Each finished batch is a folder that appears by one
rename, so a later run with the same identity does only what is missing and ends with the same bytes as a run
that was never interrupted, whatever the number of processes that share the batches: one for each visible GPU,
or as many as ``VERDICT3D_WORKERS`` says.
These folders lie outside the stage's outputs, which DVC deletes before a run.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from tqdm import tqdm

from tasks.making.finishing import AT_ONCE, RECORDS, UNFINISHED, Item, Made, Worker, finishing
from tasks.making.machine import count_workers
from tasks.making.processes import Task, finish_in_processes
from verdict3d.provenance import digest_json
from verdict3d.records.files import read_json

RESUME_ROOT = Path(".verdict3d/resume")


@dataclass(frozen=True)
class Finished(Generic[Made]):
    """What one item became: its record, and the folder with the files that it names."""

    record: Made
    folder: Path


@contextmanager
def resuming(stage: str, identity: Any, root: Path = RESUME_ROOT) -> Iterator[Path]:
    """Yield the folder of unfinished work of ``stage`` for ``identity``; remove it when the block succeeds.

    Args:
        stage: Name of the stage, with the arm where there is one, such as ``evaluate/conditioner_repair``.
        identity: Everything the work depends on, as JSON values: items, values, digests of the files that are
            read, :func:`~verdict3d.provenance.code_of` the modules that do it. Work done for another identity
            is removed on entry.
        root: Where all stages keep their unfinished work.
    """
    home = root / stage
    folder = home / digest_json(identity)[:32]
    for place in (root, home.parent, home, folder):
        if place.is_file():
            place.unlink()
    for stale in home.glob("*"):
        if stale != folder:
            _remove(stale)
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    _remove(folder)


def _remove(folder: Path) -> None:
    """Delete a folder, or what lies in its place; a kill in between leaves no half of it under its name."""
    removed = folder.with_name(f".removed-{folder.name.removeprefix('.removed-')}")
    folder.rename(removed)
    removed.unlink() if removed.is_file() else shutil.rmtree(removed)


def compose_batches(
    items: Sequence[Item], batch_size: int, group_by: Callable[[Item], Hashable] | None = None
) -> list[list[int]]:
    """Cut the manifest into batches of positions, in order; unequal ``group_by`` never shares a batch."""
    groups: dict[Hashable, list[int]] = {}
    for position, item in enumerate(items):
        groups.setdefault(group_by(item) if group_by else None, []).append(position)
    return [
        group[start : start + batch_size]
        for group in groups.values()
        for start in range(0, len(group), batch_size)
    ]


def run_batches(
    items: Sequence[Item],
    worker_factory: Callable[[], Worker[Item, Made]],
    kind: type[Made],
    *,
    folder: Path,
    batch_size: int,
    description: str,
    group_by: Callable[[Item], Hashable] | None = None,
) -> list[Finished[Made]]:
    """Map a worker over batches of ``items``, skipping batches that an earlier run finished.

    Args:
        items: The manifest; its order alone decides the batches.
        worker_factory: Makes the worker (models, render context), once in each process, and only when a batch
            is left to do. Several processes get it by pickle.
        kind: The kind of record that it makes.
        folder: Where finished batches are kept, from :func:`resuming`, whose identity covers ``items``.
        batch_size: Largest number of items in a batch.
        description: What the progress bar says.
        group_by: Items with different values never share a batch.

    Returns:
        One result an item, in the order of ``items``.

    Raises:
        Verdict3DError: The worker returned another number of records than it was given items.
        Exception: What the worker raised, in its call or in the future of its records.
    """
    batches = compose_batches(items, batch_size, group_by)
    for leftover in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover)
    homes = [folder / f"{number:06d}" for number in range(len(batches))]
    finished = sum(len(batch) for batch, home in zip(batches, homes, strict=True) if home.exists())
    missing = [
        ([items[position] for position in batch], home)
        for batch, home in zip(batches, homes, strict=True)
        if not home.exists()
    ]
    results: dict[int, Finished[Made]] = {}
    with tqdm(total=len(items), initial=finished, desc=description, unit="item", mininterval=1.0) as progress:
        for count in _finish(worker_factory, missing):
            progress.update(count)
        for batch, home in zip(batches, homes, strict=True):
            for position, values in zip(batch, read_json(home / RECORDS), strict=True):
                results[position] = Finished(kind.model_validate(values), home)
    return [results[position] for position in range(len(items))]


def _finish(make_worker: Callable[[], Worker[Item, Made]], tasks: Sequence[Task]) -> Iterator[int]:
    """Finish batches, in this process or in several; yield the number of items of each."""
    if not tasks:
        return
    count = min(count_workers(), len(tasks))
    yield from (
        finish_in_processes(make_worker, tasks, count) if count > 1 else _finish_here(make_worker, tasks)
    )


def _finish_here(make_worker: Callable[[], Worker[Item, Made]], tasks: Sequence[Task]) -> Iterator[int]:
    """Finish batches in this process, in order; yield the number of items of each."""
    with finishing(make_worker) as finisher:
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
