"""A map over batches of items that survives ``kill -9``; every stage that infers is one.

Batches are composed from the order of the manifest alone. Each finished batch is a folder that appears by one
rename, so a later run with the same identity does only what is missing and ends with the same bytes as a run
that was never interrupted, whatever the number of processes that share the batches (``VERDICT3D_WORKERS``).
These folders lie outside the stage's outputs, which DVC deletes before a run.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from tqdm import tqdm

from tasks.making.machine import count_workers, end_with_parent, list_visible_gpus
from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_json
from verdict3d.records.files import read_json, sync_file, write_json
from verdict3d.records.record import RecordPart

RESUME_ROOT = Path(".verdict3d/resume")
RECORDS = "records.json"

Item = TypeVar("Item")
Made = TypeVar("Made", bound=RecordPart)
"""The kind of record that an item becomes."""
Worker = Callable[[Sequence[Item], Path], Sequence[Made]]
"""Maps a batch to one record an item; files go into the given folder and are named there.

The folder counts only when it is whole and on the disk, so a worker need not write them atomically.
"""


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
    """
    batches = compose_batches(items, batch_size, group_by)
    for leftover in folder.glob(".unfinished-*"):
        shutil.rmtree(leftover)
    homes = [folder / f"{number:06d}" for number in range(len(batches))]
    finished = sum(len(batch) for batch, home in zip(batches, homes, strict=True) if home.exists())
    missing = [
        ([items[position] for position in batch], home)
        for batch, home in zip(batches, homes, strict=True)
        if not home.exists()
    ]
    several = min(count_workers(), len(missing)) > 1
    results: dict[int, Finished[Made]] = {}
    with tqdm(total=len(items), initial=finished, desc=description, unit="item", mininterval=1.0) as progress:
        for done in (_finish_together if several else _finish_here)(worker_factory, missing):
            progress.update(done)
        for batch, home in zip(batches, homes, strict=True):
            for position, values in zip(batch, read_json(home / RECORDS), strict=True):
                results[position] = Finished(kind.model_validate(values), home)
    return [results[position] for position in range(len(items))]


def _finish_here(
    worker_factory: Callable[[], Worker[Item, Made]], missing: Sequence[tuple[Sequence[Item], Path]]
) -> Iterator[int]:
    """Finish batches one after another; yield the number of items of each."""
    worker = worker_factory() if missing else None
    for batch, home in missing:
        assert worker is not None
        _finish_batch(worker, batch, home)
        yield len(batch)


def _finish_together(
    worker_factory: Callable[[], Worker[Item, Made]], missing: Sequence[tuple[Sequence[Item], Path]]
) -> Iterator[int]:
    """Finish batches in several processes, spread over the GPUs; yield the number of items of each."""
    context = multiprocessing.get_context("spawn")
    count, gpus, places = min(count_workers(), len(missing)), list_visible_gpus(), context.SimpleQueue()
    for number in range(count):
        places.put(gpus[number % len(gpus)] if gpus else None)
    with ProcessPoolExecutor(count, context, _enter_process, (worker_factory, places)) as pool:
        done = {pool.submit(_finish_in_process, batch, home): len(batch) for batch, home in missing}
        try:
            for future in as_completed(done):
                future.result()
                yield done[future]
        finally:
            pool.shutdown(cancel_futures=True)


_process: dict[str, Any] = {}
"""In a process of a pool: the factory, and the worker once it is made."""


def _enter_process(worker_factory: Callable[[], Worker[Item, Made]], places: Any) -> None:
    """Settle on a GPU."""
    gpu = places.get()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    _process["factory"] = worker_factory
    end_with_parent()


def _finish_in_process(batch: Sequence[Any], home: Path) -> None:
    if "worker" not in _process:
        _process["worker"] = _process["factory"]()
    _finish_batch(_process["worker"], batch, home)


def _finish_batch(worker: Worker[Item, Made], batch: Sequence[Item], home: Path) -> None:
    """Run one batch into a temporary folder and rename it to ``home``."""
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=home.parent))
    try:
        records = worker(batch, unfinished)
        if len(records) != len(batch):
            raise Verdict3DError(f"the worker returned {len(records)} records for {len(batch)} items")
        write_json(unfinished / RECORDS, [record.model_dump() for record in records])
        with ThreadPoolExecutor(8) as threads:  # a disk takes syncs together faster than in turn
            list(threads.map(sync_file, unfinished.iterdir()))
        unfinished.replace(home)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
