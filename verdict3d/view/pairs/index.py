"""The index of all pairs: one SQLite file, from which lists are answered a page at a time."""

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
from verdict3d.view.pairs.fields import COLUMNS, FIELDS, NUMBERS, Cell, list_values, write_search_text
from verdict3d.view.pairs.query import Query

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
        where, values = _write_where(query)
        with self._opened() as database:
            total = database.execute(f"SELECT count(*) FROM pairs{where}", values).fetchone()[0]
            part = f"SELECT number FROM pairs{where}{_write_order(query)} LIMIT ? OFFSET ?"
            numbers = database.execute(part, (*values, query.rows, (query.page - 1) * query.rows)).fetchall()
            rows = [
                database.execute("SELECT row FROM shown WHERE number = ?", number).fetchone()
                for number in numbers
            ]
            counts = {one.name: _count(database, one.name, query) for one in FIELDS if one.kind == "choice"}
        listed = [ListedPair.model_validate_json(row[0]) for row in rows]
        return Found(total=int(total), rows=listed, counts=counts)

    def ids(self, query: Query) -> list[str]:
        """Return the ids of all pairs that fit, in order."""
        where, values = _write_where(query)
        with self._opened() as database:
            found = database.execute(f"SELECT id FROM pairs{where}{_write_order(query)}", values).fetchall()
        return [row[0] for row in found]

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


def _write_where(query: Query) -> tuple[str, list[Any]]:
    """Return the condition that a query means, with its values; names of columns come from the table."""
    parts: list[str] = []
    values: list[Any] = []
    for name, allowed in query.choices.items():
        parts.append(f'"{name}" IN ({", ".join("?" * len(allowed))})')
        values += allowed
    for name, (low, high) in query.ranges.items():
        for sign, bound in ((">=", low), ("<=", high)):
            if bound is not None:
                parts.append(f'"{name}" {sign} ?')
                values.append(bound)
    for word in query.search:
        parts.append("instr(text, ?) > 0")
        values.append(word)
    return (f" WHERE {' AND '.join(parts)}" if parts else ""), values


def _write_order(query: Query) -> str:
    if query.sort is None:
        return " ORDER BY number"
    column = f'"{query.sort.column}"'
    return f" ORDER BY {column} IS NULL, {column} {'DESC' if query.sort.descending else 'ASC'}, number"


def _count(database: sqlite3.Connection, name: str, query: Query) -> dict[str, int]:
    where, values = _write_where(query.without(name))
    found = database.execute(f'SELECT "{name}", count(*) FROM pairs{where} GROUP BY "{name}"', values)
    return {value: count for value, count in found if value}


def _explain(path: Path, error: sqlite3.Error) -> Verdict3DError:
    problem = storage_problem(error) or f"{error}; remove it, it is made again"
    return Verdict3DError(f"the index {path} cannot be used: {problem}")
