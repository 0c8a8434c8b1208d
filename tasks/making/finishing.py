"""From a batch to its finished folder: files in a folder of their own, records, syncs, one rename."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from tasks.making.machine import describe_machine
from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_file
from verdict3d.records.files import read_json, sync_file, write_json
from verdict3d.records.record import RecordPart

RECORDS, MACHINE = "records.json", "machine.json"
"""Files of a finished batch beside those of its worker: its records, and where it was made."""
UNFINISHED = ".unfinished-"
"""What the names of folders begin with that are no batch yet; host and process follow."""
AT_ONCE = 2
"""Unfinished batches of one worker: one in the networks, one whose files are still being written."""

Item = TypeVar("Item")
Made = TypeVar("Made", bound=RecordPart)
"""The kind of record that an item becomes."""
Worker = Callable[[Sequence[Item], Path], Sequence[Made] | Future[Sequence[Made]]]
"""Maps a batch to one record an item; files go into the given folder and are named there.

The folder counts only when it is whole and on the disk, so a worker need not write them atomically. A worker
that is done with a batch but for its files returns a future of the records, and gets the next batch while
they are written: of at most two batches at a time, in the thread that made the worker. It is closed at the
end, however that comes, where it has a method ``close``.
"""
MakeWorker = Callable[[], Worker[Any, Any]]
Task = tuple[Sequence[Any], Path]
"""A batch, and the folder that it becomes."""


class Finisher(Generic[Item, Made]):
    """Takes batches through one worker. Use :func:`finishing`."""

    def __init__(self, worker: Worker[Item, Made], threads: ThreadPoolExecutor) -> None:
        self.worker = worker
        self.threads = threads

    def begin(self, batch: Sequence[Item], home: Path) -> Future[None]:
        """Return once the worker can take another batch: a future of the moment when ``home`` is there.

        Raises:
            Verdict3DError: In the future: the worker returned another number of records than of items, or
                other bytes than another worker, which has finished the same batch meanwhile.
            Exception: Here and in the future: whatever the worker raises.
        """
        unfinished = Path(tempfile.mkdtemp(prefix=name_unfinished(), dir=home.parent))
        try:
            records = self.worker(batch, unfinished)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return self.threads.submit(_finish, records, len(batch), unfinished, home)


@contextmanager
def finishing(make_worker: MakeWorker) -> Iterator[Finisher[Any, Any]]:
    """Make a worker and yield what takes batches through it; wait for those begun, and close the worker."""
    worker = make_worker()
    try:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            yield Finisher(worker, threads)
    finally:
        close = getattr(worker, "close", None)
        if close is not None:
            close()


def name_host() -> str:
    """Return this machine's name as file names can have it."""
    return re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())


def name_unfinished() -> str:
    """Return what the name of a folder begins with that this process has not finished."""
    return f"{UNFINISHED}{name_host()}-{os.getpid()}-"


def _finish(
    records: Sequence[Made] | Future[Sequence[Made]], count: int, unfinished: Path, home: Path
) -> None:
    """Wait for the files of a batch and rename their folder to ``home``."""
    try:
        made = records.result() if isinstance(records, Future) else records
        if len(made) != count:
            raise Verdict3DError(f"the worker returned {len(made)} records for {count} items")
        write_json(unfinished / RECORDS, [record.model_dump() for record in made])
        write_json(unfinished / MACHINE, {"host": name_host(), **describe_machine()})
        with ThreadPoolExecutor(8) as threads:  # a disk takes syncs together faster than in turn
            list(threads.map(sync_file, unfinished.iterdir()))
        settle(unfinished, home)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def settle(unfinished: Path, home: Path) -> None:
    """Give a whole batch its place; where it has been finished by another worker meanwhile, compare both.

    Raises:
        Verdict3DError: The other worker made other bytes of the same batch.
    """
    try:
        unfinished.replace(home)
    except OSError:
        if not home.is_dir():
            raise
        other = sorted(name for name in _digest_files(home) ^ _digest_files(unfinished))
        if other:
            places = [read_json(folder / MACHINE)["host"] for folder in (home, unfinished)]
            raise Verdict3DError(
                f"batch {home.name} was made twice, on {places[0]} and on {places[1]}, with other bytes: "
                f"{', '.join(dict.fromkeys(name for name, _ in other))}. The machines differ (hardware, "
                "driver, packages), or the stage does not repeat: take out one of them and run again"
            ) from None


def _digest_files(folder: Path) -> set[tuple[str, str]]:
    return {(path.name, digest_file(path)) for path in folder.iterdir() if path.name != MACHINE}
