"""The index of all pairs: one SQLite file; its columns are kept in memory, and lists answered from them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from verdict3d.errors import Verdict3DError, storage_problem
from verdict3d.records.files import replacing
from verdict3d.records.record import RecordPart
from verdict3d.view.pairs.described import (
    FileKind,
    ListedPair,
    PairDocument,
    list_files,
    make_document,
    make_row,
)
from verdict3d.view.pairs.entry import Entry
from verdict3d.view.pairs.fields import COLUMNS, NUMBERS, Cell, list_values, write_search_text
from verdict3d.view.pairs.query import Query
from verdict3d.view.pairs.table import PairTable

_COLUMNS = ", ".join(f'"{name}" {"REAL" if name in NUMBERS else "TEXT"}' for name in COLUMNS)
_TABLES = f"""
CREATE TABLE pairs (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, meshes TEXT, {_COLUMNS}, text TEXT);
CREATE INDEX of_meshes ON pairs (meshes);
CREATE TABLE shown (number INTEGER PRIMARY KEY, row TEXT NOT NULL, document TEXT NOT NULL);
CREATE TABLE files (key TEXT PRIMARY KEY, kind TEXT NOT NULL, path TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
MOST_ELSEWHERE = 20
"""Other pairs of the same meshes that a page names at most."""


class Found(RecordPart):
    """One page of a list.

    Attributes:
        total: Pairs that fit.
        rows: Those of this page.
        counts: How many pairs each value of each choice would leave, the other filters as they are.
    """

    total: int
    rows: list[ListedPair]
    counts: dict[str, dict[str, int]]


class PairIndex:
    """The pairs of a finished index file; safe to use from several threads.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._table: tuple[tuple[int, int, int], PairTable] | None = None

    @staticmethod
    def write(path: Path, entries: Iterable[Entry], facts: Mapping[str, Any]) -> PairIndex:
        """Write an index, whole or not at all.

        Of pairs with one id the first is kept.

        Args:
            path: The file.
            entries: The pairs, in their order.
            facts: What the page must know beside them, as JSON values by name.

        Raises:
            Verdict3DError: The file cannot be written.
        """
        try:
            with replacing(path) as temporary, closing(sqlite3.connect(temporary)) as database:
                database.execute("PRAGMA journal_mode = OFF")
                database.executescript(_TABLES)
                database.executemany(
                    "INSERT INTO facts VALUES (?, ?)",
                    [(name, json.dumps(value)) for name, value in facts.items()],
                )
                for number, entry in enumerate(entries):
                    _insert(database, number, entry)
                database.commit()
        except sqlite3.Error as error:
            raise _explain(path, error) from error
        return PairIndex(path)

    def fact(self, name: str) -> Any:
        """Return what was written beside the pairs; None where nothing was."""
        with self._opened() as database:
            row = database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def __len__(self) -> int:
        with self._opened() as database:
            return int(database.execute("SELECT count(*) FROM pairs").fetchone()[0])

    def find(self, query: Query) -> Found:
        """Return one page of the pairs that fit, and what other choices would leave."""
        table = self._read_table()
        fitting = table.find(query)
        first = (query.page - 1) * query.rows
        with self._opened() as database:
            rows = [
                database.execute("SELECT row FROM shown WHERE number = ?", (number,)).fetchone()
                for number in fitting[first : first + query.rows].tolist()
            ]
        listed = [ListedPair.model_validate_json(row[0]) for row in rows]
        return Found(total=len(fitting), rows=listed, counts=table.count(query))

    def ids(self, query: Query) -> list[str]:
        """Return the ids of all pairs that fit, in order."""
        fitting = self._read_table().find(query).tolist()
        with self._opened() as database:
            ids = dict(database.execute("SELECT number, id FROM pairs"))
        return [ids[number] for number in fitting]

    def rows(self) -> Iterator[tuple[dict[str, Cell], ListedPair]]:
        """Yield the columns with the id, and the list's row, of every pair in order."""
        names = ("id", "text", *COLUMNS)
        chosen = ", ".join(f'"{name}"' for name in names)
        with self._opened() as database:
            for *columns, row in database.execute(
                f"SELECT {chosen}, row FROM pairs JOIN shown USING (number) ORDER BY number"
            ):
                yield dict(zip(names, columns, strict=True)), ListedPair.model_validate_json(row)

    def document(self, name: str) -> PairDocument | None:
        """Return what a pair's page shows, with rows of other pairs of its meshes; None: no such pair."""
        with self._opened() as database:
            row = database.execute(
                "SELECT document, meshes FROM pairs JOIN shown USING (number) WHERE id = ?", (name,)
            ).fetchone()
            if row is None:
                return None
            elsewhere = database.execute(
                "SELECT row FROM pairs JOIN shown USING (number) "
                "WHERE meshes = ? AND meshes != '' AND id != ? ORDER BY number LIMIT ?",
                (row[1], name, MOST_ELSEWHERE),
            ).fetchall()
        rows = [ListedPair.model_validate_json(one[0]) for one in elsewhere]
        return PairDocument.model_validate_json(row[0]).model_copy(update={"elsewhere": rows})

    def file(self, key: str, kind: FileKind) -> Path | None:
        """Return the path of a file that pages show; None: no such file."""
        with self._opened() as database:
            row = database.execute(
                "SELECT path FROM files WHERE key = ? AND kind = ?", (key, kind)
            ).fetchone()
        return None if row is None else Path(row[0])

    def files(self, kind: FileKind) -> list[tuple[str, Path]]:
        """Return all files of a kind that pages show, with their keys, in order of key."""
        with self._opened() as database:
            found = database.execute("SELECT key, path FROM files WHERE kind = ? ORDER BY key", (kind,))
            return [(key, Path(path)) for key, path in found]

    def _read_table(self) -> PairTable:
        """Return the columns of all pairs, read once for a file."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise Verdict3DError(f"the index {self.path} cannot be read: {error}") from error
        state = (found.st_ino, found.st_size, found.st_mtime_ns)
        if self._table is None or self._table[0] != state:
            names = ("number", "text", *COLUMNS)
            chosen = ", ".join(f'"{name}"' for name in names)
            with self._opened() as database:
                rows = database.execute(f"SELECT {chosen} FROM pairs ORDER BY number").fetchall()
            columns = dict(zip(names, zip(*rows, strict=True) if rows else ((),) * len(names), strict=True))
            numbers, texts = columns.pop("number"), list(columns.pop("text"))
            self._table = state, PairTable.of(numbers, texts, columns)
        return self._table[1]

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)) as database:
                yield database
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error


def _insert(database: sqlite3.Connection, number: int, entry: Entry) -> None:
    columns = list_values(entry)
    values: Sequence[Any] = (
        number,
        entry.id,
        entry.meshes,
        *(columns[name] for name in COLUMNS),
        write_search_text(entry),
    )
    marks = ", ".join("?" * len(values))
    if not database.execute(f"INSERT OR IGNORE INTO pairs VALUES ({marks})", values).rowcount:
        return
    texts = (make_row(entry).model_dump_json(), make_document(entry).model_dump_json())
    database.execute("INSERT INTO shown VALUES (?, ?, ?)", (number, *texts))
    database.executemany(
        "INSERT OR IGNORE INTO files VALUES (?, ?, ?)",
        [(file.key, file.kind, file.path) for file in list_files(entry)],
    )


def _explain(path: Path, error: sqlite3.Error) -> Verdict3DError:
    problem = storage_problem(error) or f"{error}; remove it, it is made again"
    return Verdict3DError(f"the index {path} cannot be used: {problem}")
