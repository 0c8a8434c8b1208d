"""Records that pass between stages: typed, versioned, and checked where they are read from disk.

A record is one JSON document or one line of a file of JSON lines, and says in ``schema`` what it is and in
which version. Whoever changes the fields of a record raises its version: an older file is then refused
instead of being misread.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from verdict3d.errors import Verdict3DError
from verdict3d.records.files import read_json, read_jsonl, write_json, write_jsonl

_NAMED_ERRORS = 3
_LONGEST_VALUE = 60


class RecordPart(BaseModel):
    """A part of a record: fields of fixed types, none of them converted, none missing, none unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Record(RecordPart):
    """A row or a document on disk."""

    SCHEMA: ClassVar[str]
    """What stands in the field ``schema``: ``verdict3d/<name>/<version>``."""


R = TypeVar("R", bound=Record)


def as_values(record: Record) -> dict[str, Any]:
    """Return a record as JSON values, with its ``schema``."""
    return {"schema": record.SCHEMA, **record.model_dump()}


def write_rows(path: str | Path, rows: Iterable[Record]) -> None:
    """Write records, one a line."""
    write_jsonl(path, (as_values(row) for row in rows))


def read_rows(path: str | Path, kind: type[R]) -> list[R]:
    """Read a file of records of one kind.

    Raises:
        Verdict3DError: The file is missing, or a line is not such a record: file, line and field are named.
    """
    return [
        parse_record(values, kind, f"{path}, line {number}")
        for number, values in enumerate(read_jsonl(path), start=1)
    ]


def write_record(path: str | Path, record: Record) -> None:
    """Write one record as a document."""
    write_json(path, as_values(record))


def read_record(path: str | Path, kind: type[R]) -> R:
    """Read a document.

    Raises:
        Verdict3DError: The file is missing, or is not such a record: file and field are named.
    """
    return parse_record(read_json(path), kind, str(path))


def parse_record(values: Any, kind: type[R], where: str) -> R:
    """Make a record of JSON values.

    Args:
        values: What was read.
        kind: What it should be.
        where: Its place, for messages.

    Raises:
        Verdict3DError: It is no such record.
    """
    if not isinstance(values, dict):
        raise Verdict3DError(f"{where} is a {type(values).__name__}; expected a JSON object")
    fields = dict(values)
    found = fields.pop("schema", None)
    if found != kind.SCHEMA:
        raise Verdict3DError(
            f"{where}, field schema: {found!r} instead of {kind.SCHEMA!r}, which is all that this version "
            "reads; run the stage that writes it again"
        )
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        words = [f"{where}, field {_describe(problem)}" for problem in problems[:_NAMED_ERRORS]]
        if len(problems) > _NAMED_ERRORS:
            words.append(f"and {len(problems) - _NAMED_ERRORS} more")
        raise Verdict3DError("; ".join(words)) from error


def _describe(problem: ErrorDetails) -> str:
    """Return the field of a problem and what is wrong with it."""
    field = ".".join(str(step) for step in problem["loc"])
    if problem["type"] == "missing":
        return f"{field} is missing"
    if problem["type"] == "extra_forbidden":
        return f"{field} is unknown"
    value = repr(problem["input"])
    shown = value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}..."
    return f"{field}: {shown} is wrong: {problem['msg'][:1].lower()}{problem['msg'][1:]}"
