"""A map over batches of items that survives ``kill -9``; every stage that infers is one.

Batches are composed from the order of the manifest alone. Each finished batch is a folder that appears by one
rename, so a later run with the same identity does only what is missing and ends with the same bytes as a run
that was never interrupted, whatever the number of processes that share the batches: one for each visible GPU,
or as many as ``VERDICT3D_WORKERS`` says.
These folders lie outside the stage's outputs, which DVC deletes before a run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from pydantic import ValidationError
from tqdm import tqdm

from tasks.making.executors import finish_batches
from tasks.making.finishing import RECORDS, UNFINISHED, Item, Made, Worker, name_host
from verdict3d.errors import Verdict3DError
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

    Raises:
        Verdict3DError: Another process is at this stage of this checkout.
    """
    home = root / stage
    folder = home / digest_json(identity)[:32]
    if root.is_file():
        root.unlink()
    root.mkdir(parents=True, exist_ok=True)
    with _alone(root / f".{stage.replace('/', '.')}.lock", stage):
        for place in (home.parent, home, folder):
            if place.is_file():
                place.unlink()
        for stale in home.glob("*"):
            if stale != folder:
                _remove(stale)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        _remove(folder)


@contextmanager
def _alone(path: Path, stage: str) -> Iterator[None]:
    """Hold the lock of a stage's unfinished work; the system frees it when this process ends."""
    while True:
        with path.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise Verdict3DError(
                    f"{stage} is being worked on in this checkout by {lock.read() or 'another process'}; "
                    "wait for it, end it, or use a checkout of your own"
                ) from None
            if not _is_still(path, lock.fileno()):
                continue  # whoever had it has just removed it
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {name_host()}")
            lock.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_still(path: Path, descriptor: int) -> bool:
    """Tell whether a path is the file that was opened there."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


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
    folder = folder.absolute()  # other processes may start elsewhere
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
        for count in finish_batches(worker_factory, missing, folder):
            progress.update(count)
        for batch, home in zip(batches, homes, strict=True):
            for position, made in zip(batch, _read_batch(home, kind, len(batch)), strict=True):
                results[position] = Finished(made, home)
    return [results[position] for position in range(len(items))]


def _read_batch(home: Path, kind: type[Made], count: int) -> list[Made]:
    """Return the records of a finished batch.

    Raises:
        Verdict3DError: Somebody, or a disk, has damaged them.
    """
    try:
        values = read_json(home / RECORDS)
        if isinstance(values, list) and len(values) == count:
            return [kind.model_validate(value) for value in values]
        problem = f"{home / RECORDS} does not hold {count} records"
    except (Verdict3DError, ValidationError) as error:
        problem = str(error)
    raise Verdict3DError(f"{home} is no finished batch any more: remove it and run again ({problem})")
