"""Workers that behave badly, for whatever finishes batches."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tasks.making.batches import run_batches
from verdict3d.errors import Verdict3DError
from verdict3d.records.record import RecordPart


class Piece(RecordPart):
    """What an item becomes: a number and a file."""

    item: int
    file: str


def write_pieces(items: Sequence[int], folder: Path) -> list[Piece]:
    """Write a file an item."""
    for item in items:
        (folder / f"{item}.bin").write_bytes(bytes([item]) * 100)
    return [Piece(item=2 * item, file=f"{item}.bin") for item in items]


def die(log: Path, items: Sequence[int]) -> None:
    """End the process as the kernel does."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(log: Path, items: Sequence[int]) -> None:
    """End the process where it has not been done before."""
    if (log / f"begun-{items[0]}").read_text().count("\n") == 1:
        die(log, items)


def stop_once(log: Path, items: Sequence[int]) -> None:
    """Stop the process, which then gives no sign of life, where it has not been done before."""
    if (log / f"begun-{items[0]}").read_text().count("\n") == 1:
        os.kill(os.getpid(), signal.SIGSTOP)


def hang_once(log: Path, items: Sequence[int]) -> None:
    """Live on without an end, where it has not been done before."""
    if (log / f"begun-{items[0]}").read_text().count("\n") == 1:
        time.sleep(3600)


def wait_for_another(log: Path, items: Sequence[int]) -> None:
    """Go on when a second process has begun something: a busy machine starts it long after the first."""
    until = time.monotonic() + 120
    while len({line for lines in begun(log).values() for line in lines}) < 2:
        assert time.monotonic() < until, "no second process began anything"
        time.sleep(0.05)


def fail(log: Path, items: Sequence[int]) -> None:
    """Raise what a user can mend."""
    raise Verdict3DError(f"{items[0]} is too much")


def do_nothing(log: Path, items: Sequence[int]) -> None:
    """Behave well."""


class Worker:
    """Writes pieces, and does something before those of one item.

    Args:
        log: Folder where it writes down which process began what, a line a time.
        act: Done before the batch with the item ``at``.
        at: The item.
        pause_s: What each batch takes.
    """

    def __init__(
        self, log: Path, act: Callable[[Path, Sequence[int]], None], at: int, pause_s: float
    ) -> None:
        self.log = log
        self.act = act
        self.at = at
        self.pause_s = pause_s

    def __call__(self, items: Sequence[int], folder: Path) -> list[Piece]:
        """Finish a batch."""
        with (self.log / f"begun-{items[0]}").open("a") as log:
            log.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n")
        if self.at in items:
            self.act(self.log, items)
        time.sleep(self.pause_s)
        return write_pieces(items, folder)

    def close(self) -> None:
        """Say that it was closed."""
        (self.log / f"closed-{os.getpid()}").touch()


class Making:
    """Makes the worker, in whichever process."""

    def __init__(
        self,
        log: Path,
        act: Callable[[Path, Sequence[int]], None] = do_nothing,
        at: int = -1,
        pause_s: float = 0.0,
    ) -> None:
        log.mkdir(exist_ok=True)
        self.made_of = (log, act, at, pause_s)

    def __call__(self) -> Worker:
        """Make it."""
        return Worker(*self.made_of)


def run(folder: Path, make_worker: Callable[[], Any], items: int = 6) -> list[int]:
    """Make pieces of some items, one a batch."""
    folder.mkdir(exist_ok=True)
    results = run_batches(range(items), make_worker, Piece, folder=folder, batch_size=1, description="pieces")
    assert all((one.folder / one.record.file).stat().st_size == 100 for one in results)
    return [one.record.item for one in results]


def begun(log: Path) -> dict[int, list[str]]:
    """Return who began each item."""
    return {
        int(path.name.removeprefix("begun-")): path.read_text().splitlines() for path in log.glob("begun-*")
    }


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files of all batches, without what says where they were made."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.glob("0*/*")
        if path.name != "machine.json"
    }
