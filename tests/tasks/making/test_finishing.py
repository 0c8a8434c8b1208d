"""A worker that is done with a batch before its files are written gets the next one meanwhile."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.making.batches import run_batches
from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_directory
from verdict3d.records.record import RecordPart

PATIENCE_S = 60


class Number(RecordPart):
    """What an item becomes."""

    item: int


class Writer:
    """Doubles numbers; a thread of its own writes the files.

    Args:
        log: Where it says what it does.
        broken: The item whose file cannot be written.
    """

    def __init__(self, log: Path, broken: int = -1) -> None:
        self.log = log
        self.broken = broken
        self.threads = ThreadPoolExecutor(2)

    def __call__(self, items, folder):
        self.say(f"begin {items[0]}")
        return self.threads.submit(self.write, items, folder)

    def write(self, items, folder):
        if self.broken in items:
            raise Verdict3DError(f"the disk does not like {self.broken}")
        for item in items:
            (folder / f"{item}.bin").write_bytes(bytes([item]) * 100)
        return [Number(item=2 * item) for item in items]

    def close(self):
        self.threads.shutdown()
        self.say("closed")

    def say(self, words: str) -> None:
        with self.log.open("a") as log:
            log.write(f"{words}\n")


class Plain(Writer):
    """The same, all in one call."""

    def __call__(self, items, folder):
        return super().__call__(items, folder).result()


class Making:
    """Makes a worker, in whichever process."""

    def __init__(self, kind, *arguments):
        self.kind = kind
        self.arguments = arguments

    def __call__(self):
        return self.kind(*self.arguments)


def run(folder: Path, make_worker, items=range(12)) -> list[int]:
    folder.mkdir()
    results = run_batches(items, make_worker, Number, folder=folder, batch_size=2, description="double")
    return [result.record.item for result in results]


@pytest.mark.parametrize("workers", ["1", "3"])
def test_the_same_bytes_whether_a_worker_waits_for_its_files_or_not(tmp_path, monkeypatch, workers):
    monkeypatch.setenv("VERDICT3D_WORKERS", workers)
    log = tmp_path / "log"
    for kind in (Writer, Plain):
        assert run(tmp_path / kind.__name__, Making(kind, log)) == [2 * item for item in range(12)]
    assert digest_directory(tmp_path / "Writer") == digest_directory(tmp_path / "Plain")
    assert log.read_text().splitlines().count("closed") == 2 * int(workers)


class Meeting:
    """Ends no batch before the next one has begun, and sees how many are unfinished."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.begun: list[threading.Event] = [threading.Event() for _ in range(last + 1)]
        self.unfinished: set[Path] = set()
        self.most = 0
        self.thread = threading.get_ident()
        self.threads = ThreadPoolExecutor(4)

    def __call__(self, items, folder):
        (number,) = items
        assert threading.get_ident() == self.thread
        self.unfinished = {folder, *folder.parent.glob(".unfinished-*")}
        self.most = max(self.most, len(self.unfinished))
        self.begun[number].set()
        return self.threads.submit(self.write, number)

    def write(self, number):
        assert self.begun[min(number + 1, self.last)].wait(PATIENCE_S)
        return [Number(item=number)]


def test_the_next_batch_begins_while_the_files_of_one_are_written_and_no_third(tmp_path):
    worker = Meeting(last=5)
    results = run_batches(
        range(6), lambda: worker, Number, folder=tmp_path, batch_size=1, description="meeting"
    )
    assert [result.record.item for result in results] == list(range(6))
    assert worker.most == 2


class Waiting(Writer):
    """Writes no file of a batch before the process has begun the next one, or all batches have begun."""

    def __init__(self, log: Path) -> None:
        super().__init__(log)
        self.before: threading.Event | None = None

    def __call__(self, items, folder):
        if self.before:
            self.before.set()
        self.before = threading.Event()
        self.say(f"begin in {os.getpid()}")
        return self.threads.submit(self.wait, items, folder, self.before)

    def wait(self, items, folder, next_begins):
        while not next_begins.wait(0.05):
            if self.log.read_text().count("begin") == 6:
                break
        if next_begins.is_set():
            self.say("overlapped")
        return self.write(items, folder)


def test_batches_of_each_of_several_processes_overlap(tmp_path, monkeypatch):
    monkeypatch.setenv("VERDICT3D_WORKERS", "2")
    run(tmp_path / "work", Making(Waiting, tmp_path / "log"))
    said = (tmp_path / "log").read_text().splitlines()
    processes = {words for words in said if words.startswith("begin")}
    assert said.count("overlapped") == 6 - len(processes)  # all but the last of each process
    assert said.count("closed") == 2


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_error_while_files_are_written_is_raised_and_leaves_the_other_batches(
    tmp_path, monkeypatch, workers
):
    monkeypatch.setenv("VERDICT3D_WORKERS", workers)
    log = tmp_path / "log"
    with pytest.raises(Verdict3DError, match="the disk does not like 5"):
        run(tmp_path / "work", Making(Writer, log, 5), range(6))
    left = {path.name for path in (tmp_path / "work").iterdir()}
    assert "000002" not in left and not any(name.startswith(".") for name in left)
    assert log.read_text().splitlines().count("closed") == int(workers)
    assert run_again(tmp_path / "work", log) == [2 * item for item in range(6)]


def run_again(folder: Path, log: Path) -> list[int]:
    results = run_batches(
        range(6), Making(Writer, log), Number, folder=folder, batch_size=2, description="double"
    )
    return [result.record.item for result in results]


def test_a_future_with_too_few_records_is_refused(tmp_path):
    def work(items, folder):
        made: Future[list[Number]] = Future()
        made.set_result([])
        return made

    with pytest.raises(Verdict3DError, match="0 records for 2 items"):
        run(tmp_path / "work", lambda: work, range(2))


class Unsendable(Exception):
    """Cannot be made again from its message."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")


class Odd(Writer):
    """Raises what does not travel."""

    def __call__(self, items, folder):
        raise Unsendable("disk", "odd")


def test_an_error_that_does_not_travel_arrives_in_words(tmp_path, monkeypatch):
    monkeypatch.setenv("VERDICT3D_WORKERS", "2")
    with pytest.raises(RuntimeError, match="Unsendable: disk: odd"):
        run(tmp_path / "work", Making(Odd, tmp_path / "log"), range(4))


class Unclosable(Writer):
    """Fails at the end."""

    def close(self):
        super().close()
        raise Verdict3DError("the last file is missing")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_error_of_closing_is_raised(tmp_path, monkeypatch, workers):
    monkeypatch.setenv("VERDICT3D_WORKERS", workers)
    with pytest.raises(Verdict3DError, match="the last file is missing"):
        run(tmp_path / "work", Making(Unclosable, tmp_path / "log"), range(4))
