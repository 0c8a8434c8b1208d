"""Verdicts that were already given: an append-only file that survives kills and concurrent writers.

One JSON row a verdict. A row's key is the digest of everything the margins depend on: both meshes, the
reference, the rig and the judge (its weights, prompt, panel, mode and dtype), so a new judge, prompt or rig
never meets an old verdict. The tie band is no part of it: margins are stored, classes follow.
``pandas.read_json(path, lines=True)`` reads the file.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from verdict3d.errors import Verdict3DError
from verdict3d.judge.panel import PairRequest
from verdict3d.judge.verdict import Verdict
from verdict3d.provenance import digest_json
from verdict3d.records.files import Row, row_line

if TYPE_CHECKING:
    from verdict3d.judge.identity import JudgeIdentity


class Judge(Protocol):
    """What a store can ask."""

    batch_size: int
    tie_band: float

    @property
    def identity(self) -> JudgeIdentity:
        """What the answers depend on."""

    def compare(self, requests: list[PairRequest]) -> list[Verdict]:
        """Answer in the order of the requests."""


def key_parts(identity: JudgeIdentity, request: PairRequest) -> dict[str, str]:
    """Return what a verdict depends on, by name."""
    return {
        "x": request.x,
        "y": request.y,
        "reference": request.reference,
        "rig": request.rig,
        "prompt": identity.prompt,
        "panel": identity.panel,
        "mode": identity.mode,
        "judge": identity.digest,
    }


class VerdictStore:
    """Verdicts in one file of JSON lines.

    Args:
        path: The file; made, with its folder, by the first verdict.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._verdicts: dict[str, tuple[float, float]] = {}
        self._offset = 0

    def __len__(self) -> int:
        """Return the number of valid verdicts on record."""
        self._read_new()
        return len(self._verdicts)

    def find(self, identity: JudgeIdentity, request: PairRequest, tie_band: float = 0.0) -> Verdict | None:
        """Return the recorded verdict about (X, Y), or the flipped one about (Y, X), or None.

        Invalid verdicts are on record for people, and are asked again.
        """
        parts = key_parts(identity, request)
        margins = self._verdicts.get(digest_json(parts))
        if margins is not None:
            return Verdict(*margins, tie_band)
        margins = self._verdicts.get(digest_json({**parts, "x": parts["y"], "y": parts["x"]}))
        return None if margins is None else Verdict(*margins, tie_band).flipped()

    def ask(self, judge: Judge, requests: Iterable[PairRequest]) -> list[Verdict]:
        """Return verdicts in the order of the requests, asking the judge only what is not on record.

        Requests are taken ``judge.batch_size`` at a time, and what was missing in such a batch is asked
        together and written in one piece: a run that was killed asks the same batches again as if it had not
        been.
        """
        verdicts: list[Verdict] = []
        remaining = iter(requests)
        self._read_new()
        while batch := list(islice(remaining, judge.batch_size)):
            verdicts.extend(self._ask_batch(judge, batch))
        return verdicts

    def rows(self) -> list[Row]:
        """Return every row on record, oldest first."""
        if not self.path.exists():
            return []
        return [row for row in map(_parse, self.path.read_bytes().split(b"\n")) if row is not None]

    def _ask_batch(self, judge: Judge, batch: list[PairRequest]) -> list[Verdict]:
        found = [self.find(judge.identity, request, judge.tie_band) for request in batch]
        missing: dict[str, PairRequest] = {}
        for request, verdict in zip(batch, found, strict=True):
            if verdict is None:
                missing.setdefault(_pair_key(judge.identity, request), request)
        fresh: dict[str, Verdict] = {}
        if missing:
            answers = judge.compare(list(missing.values()))
            fresh = dict(zip(missing, answers, strict=True))
            self._append(judge.identity, [(missing[key], fresh[key]) for key in missing])
        return [
            verdict or self._settled(judge, request, missing, fresh)
            for request, verdict in zip(batch, found, strict=True)
        ]

    def _settled(
        self, judge: Judge, request: PairRequest, asked: dict[str, PairRequest], fresh: dict[str, Verdict]
    ) -> Verdict:
        """Return what is on record by now: another writer may have been first."""
        recorded = self.find(judge.identity, request, judge.tie_band)
        if recorded is not None:
            return recorded
        key = _pair_key(judge.identity, request)
        return fresh[key] if (asked[key].x, asked[key].y) == (request.x, request.y) else fresh[key].flipped()

    def _append(self, identity: JudgeIdentity, answers: list[tuple[PairRequest, Verdict]]) -> None:
        """Write rows that nobody wrote in the meantime, in one piece."""
        with self._locked() as handle:
            self._read_new()
            end = os.fstat(handle).st_size
            if self._offset < end:
                os.ftruncate(handle, self._offset)
            lines = [
                row_line(_row(identity, request, verdict))
                for request, verdict in answers
                if self.find(identity, request) is None
            ]
            if lines:
                content = ("\n".join(lines) + "\n").encode()
                while content:
                    content = content[os.write(handle, content) :]
                os.fsync(handle)
            self._read_new()

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open the file for appending under an exclusive lock."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise Verdict3DError(f"the verdict store {self.path} cannot be written: {error}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)

    def _read_new(self) -> None:
        """Read whole lines that were appended since the last look; a torn last line waits for its end.

        Raises:
            Verdict3DError: A whole line is not a verdict.
        """
        if not self.path.exists():
            self._verdicts, self._offset = {}, 0
            return
        with self.path.open("rb") as stream:
            if stream.seek(0, os.SEEK_END) < self._offset:
                self._verdicts, self._offset = {}, 0
            stream.seek(self._offset)
            content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        for line in whole.splitlines():
            row = _parse(line)
            if row is None or "key" not in row:
                raise Verdict3DError(
                    f"{self.path} has a damaged line: {line[:80]!r}; remove it, its verdict is asked again"
                )
            if row.get("m1") is not None and row.get("m2") is not None:
                self._verdicts.setdefault(str(row["key"]), (float(row["m1"]), float(row["m2"])))
        self._offset += len(whole)


def _pair_key(identity: JudgeIdentity, request: PairRequest) -> str:
    """Return one key for (X, Y) and (Y, X)."""
    parts = key_parts(identity, request)
    parts["x"], parts["y"] = sorted((parts["x"], parts["y"]))
    return digest_json(parts)


def _row(identity: JudgeIdentity, request: PairRequest, verdict: Verdict) -> Row:
    parts = key_parts(identity, request)
    return {"key": digest_json(parts), **parts, "model": identity.model, **verdict.row()}


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return a line's JSON object, or None."""
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return row if isinstance(row, dict) else None
