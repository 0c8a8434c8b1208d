"""Answers of people on disk: lines that are appended whole or not at all, by several servers at once."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from verdict3d.errors import Verdict3DError, storage_problem
from verdict3d.records.files import format_row_line
from verdict3d.records.record import as_values, parse_record
from verdict3d.records.votes import Vote

_LINE_END = b"\n"


class VoteJournal:
    """A file of answers that grows.

    Args:
        path: The file; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, votes: Sequence[Vote]) -> None:
        """Write answers behind those that are there, and wait until they are on the disk.

        What a crash has left of an unfinished line is cut off first.

        Raises:
            Verdict3DError: They cannot be written; the file is as it was.
        """
        lines = "".join(format_row_line(as_values(vote)) + "\n" for vote in votes).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._locked(os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) as file:
                end = _find_end(file)
                os.ftruncate(file, end)
                try:
                    _write_all(file, lines, end)
                    os.fsync(file)
                except OSError:
                    os.ftruncate(file, end)
                    raise
            _sync_folder(self.path.parent)
        except OSError as error:
            problem = storage_problem(error) or str(error)
            raise Verdict3DError(f"the answer was not recorded in {self.path}: {problem}") from error

    def read(self) -> list[Vote]:
        """Return all answers in the order in which they were written; none where there is no file.

        Raises:
            Verdict3DError: A whole line is no answer (file, line and field are named), or there is no file of
                this name that can be read.
        """
        try:
            with self._locked(os.O_RDONLY, fcntl.LOCK_SH) as file:
                content = os.pread(file, _find_end(file), 0)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Verdict3DError(f"{self.path} cannot be read: {error.strerror}") from error
        return parse_votes(content, self.path)

    @contextmanager
    def _locked(self, flags: int, lock: int) -> Iterator[int]:
        file = os.open(self.path, flags | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, lock)
            yield file
        finally:
            os.close(file)


def parse_votes(content: bytes, path: Path) -> list[Vote]:
    """Return the answers of lines of JSON.

    Args:
        content: The lines.
        path: Where they are from, for messages.

    Raises:
        Verdict3DError: A line is no answer.
    """
    votes = []
    for number, line in enumerate(content.splitlines(), start=1):
        where = f"{path}, line {number}"
        try:
            values = json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise Verdict3DError(f"{where} is not JSON: {error}") from error
        votes.append(parse_record(values, Vote, where))
    return votes


def _find_end(file: int) -> int:
    """Return where the last whole line ends, in bytes."""
    size, at_once = os.fstat(file).st_size, 1 << 16
    while size:
        start = max(0, size - at_once)
        found = os.pread(file, size - start, start).rfind(_LINE_END)
        if found >= 0:
            return start + found + 1
        size = start
    return 0


def _write_all(file: int, content: bytes, place: int) -> None:
    while content:
        written = os.pwrite(file, content, place)
        content, place = content[written:], place + written


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
