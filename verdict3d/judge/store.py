"""Answers that were already given: a SQLite file that survives kills and concurrent writers.

One row is what a judge said about two meshes from one view set, in both orders. Its key is the digest of
everything these margins depend on: both meshes, the reference, the view set and the judge (its weights,
prompt, panel, mode and dtype), so a new judge, prompt or rig never meets an old answer, and a verdict over
more view sets asks only about those that are new. Verdicts and their classes follow from the margins.

The store is a cache: without it everything is asked again. It keeps SQLite's rollback journal, not a
write-ahead log, which several machines on one network folder could not share.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypedDict, cast

from verdict3d.errors import Verdict3DError, storage_problem
from verdict3d.judge.panel import PairRequest
from verdict3d.judge.verdict import Margins, Verdict
from verdict3d.provenance import digest_json

if TYPE_CHECKING:
    from verdict3d.judge.identity import JudgeIdentity

_TABLE = """CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, x TEXT, y TEXT, reference TEXT, rig TEXT, prompt TEXT, panel TEXT, mode TEXT,
    judge TEXT, model TEXT, m1 REAL, m2 REAL, reason TEXT, message TEXT)"""
_RECORD = """INSERT OR REPLACE INTO answers VALUES (
    :key, :x, :y, :reference, :rig, :prompt, :panel, :mode, :judge, :model, :m1, :m2, :reason, :message)"""
_PATIENCE_S = 60.0
"""Longest wait for another writer, which takes milliseconds."""

Asked = Sequence[PairRequest]
"""The questions about one pair: one from each view set."""


class AnswerKey(TypedDict):
    """What margins from one view set depend on: digests, and the panel kind and mode by name."""

    x: str
    y: str
    reference: str
    rig: str
    prompt: str
    panel: str
    mode: str
    judge: str


class RecordedAnswer(AnswerKey):
    """A row of the store: margins in nats, None where the answer is invalid for a ``reason``."""

    key: str
    model: str
    m1: float | None
    m2: float | None
    reason: str
    message: str


class Judge(Protocol):
    """What a store can ask."""

    batch_size: int

    @property
    def identity(self) -> JudgeIdentity:
        """What the answers depend on."""

    def compare(self, requests: list[PairRequest]) -> list[Margins]:
        """Answer in the order of the requests."""


def list_key_parts(identity: JudgeIdentity, request: PairRequest) -> AnswerKey:
    """Return what margins depend on, by name."""
    return {
        "x": request.x,
        "y": request.y,
        "reference": request.reference,
        "rig": request.rig,
        "prompt": identity.prompt,
        "panel": identity.panel,
        "mode": identity.mode,
        "judge": identity.answers,
    }


class VerdictStore:
    """Answers in one SQLite file.

    Args:
        path: The file; made, with its folder, by the first answer.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def ask(self, judge: Judge, pairs: Iterable[Asked], equal_too: bool = False) -> list[Verdict]:
        """Return verdicts in the order of the pairs, asking the judge only what is not on record.

        Pairs are taken so many at a time that a judge with ``batch_size`` requests is asked once, and what
        was missing in such a batch is asked together and written in one transaction: a run that was killed
        asks the same batches again as if it had not been. Invalid answers are on record for people, and are
        asked again.

        Args:
            judge: Who is asked.
            pairs: For each pair its questions, one from each view set.
            equal_too: Whether to ask about sides that are the same from every view set, as an audit does.

        Raises:
            Verdict3DError: The file cannot be read or written, or the judge cannot be asked.
        """
        verdicts: list[Verdict] = []
        remaining = iter(pairs)
        size = max(1, judge.batch_size // judge.identity.views)
        while batch := list(islice(remaining, size)):
            asked = [() if not equal_too and all(one.same for one in pair) else pair for pair in batch]
            answers = iter(self._ask_batch(judge, [request for pair in asked for request in pair]))
            verdicts.extend(Verdict(tuple(islice(answers, len(pair)))) for pair in asked)
        return verdicts

    def rows(self) -> list[RecordedAnswer]:
        """Return every answer on record, oldest first: what it depends on, and its margins or reason."""
        if not self.path.exists():
            return []
        with self._open() as database:
            found = database.execute("SELECT * FROM answers ORDER BY rowid").fetchall()
            return [cast(RecordedAnswer, dict(row)) for row in found]

    def _ask_batch(self, judge: Judge, batch: list[PairRequest]) -> list[Margins]:
        with self._open() as database:
            found = [_find(database, judge, request) for request in batch]
        missing: dict[str, PairRequest] = {}
        for request, answer in zip(batch, found, strict=True):
            if answer is None:
                missing.setdefault(_make_pair_key(judge.identity, request), request)
        fresh = dict(zip(missing, self._ask_missing(judge, list(missing.values())), strict=True))

        def settled(request: PairRequest) -> Margins:
            key = _make_pair_key(judge.identity, request)
            return fresh[key] if missing[key].x == request.x else fresh[key].flip()

        return [answer or settled(request) for request, answer in zip(batch, found, strict=True)]

    def _ask_missing(self, judge: Judge, requests: list[PairRequest]) -> list[Margins]:
        """Ask, and return what is on record then: another writer may have been first."""
        if not requests:
            return []
        answers, settled = judge.compare(requests), []
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            for request, answer in zip(requests, answers, strict=True):
                earlier = _find(database, judge, request)
                if earlier is None:
                    database.execute(_RECORD, _make_row(judge.identity, request, answer))
                settled.append(earlier or answer)
            database.execute("COMMIT")
        return settled

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file; what was not committed when it closes, or when its process ends, is undone."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            opened = sqlite3.connect(self.path, timeout=_PATIENCE_S, isolation_level=None)
            with closing(opened) as database:
                database.row_factory = sqlite3.Row
                database.execute(_TABLE)
                yield database
        except (OSError, sqlite3.Error) as error:
            problem = storage_problem(error) or (
                f"{error}; make it writable, or remove it if it is damaged: everything is asked again"
            )
            raise Verdict3DError(f"the verdict store {self.path} cannot be used: {problem}") from error


def _find(database: sqlite3.Connection, judge: Judge, request: PairRequest) -> Margins | None:
    """Return the recorded answer about (X, Y), or the flipped one about (Y, X), or None."""
    parts = list_key_parts(judge.identity, request)
    turned: AnswerKey = {**parts, "x": parts["y"], "y": parts["x"]}
    for key, flip in ((digest_json(parts), False), (digest_json(turned), True)):
        row = database.execute("SELECT m1, m2 FROM answers WHERE key = ? AND reason = ''", (key,)).fetchone()
        if row is not None:
            answer = Margins(row["m1"], row["m2"])
            return answer.flip() if flip else answer
    return None


def _make_pair_key(identity: JudgeIdentity, request: PairRequest) -> str:
    """Return one key for (X, Y) and (Y, X)."""
    parts = list_key_parts(identity, request)
    parts["x"], parts["y"] = sorted((parts["x"], parts["y"]))
    return digest_json(parts)


def _make_row(identity: JudgeIdentity, request: PairRequest, answer: Margins) -> RecordedAnswer:
    parts = list_key_parts(identity, request)
    return {
        "key": digest_json(parts),
        **parts,
        "model": identity.model,
        "m1": answer.m1,
        "m2": answer.m2,
        "reason": answer.reason,
        "message": answer.message,
    }
