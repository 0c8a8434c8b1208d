"""Records on disk: JSON and JSON lines, always written to a temporary file and renamed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from verdict3d.errors import Verdict3DError

Row = dict[str, Any]


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it over ``path`` when the block succeeds.

    The temporary file keeps the suffix of ``path`` (writers choose formats by it), is synced to disk before
    the rename, and is removed when the block raises.

    Raises:
        Verdict3DError: The folder of ``path`` cannot be there.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
    except (FileNotFoundError, FileExistsError, NotADirectoryError) as error:
        raise Verdict3DError(f"{target} cannot be written: {error.strerror} ({error.filename})") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        sync_file(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def link_file(source: Path, target: Path) -> None:
    """Give a finished file another place too, without writing it again where the disk allows that."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write ``content`` so that a reader sees the old file or the whole new one."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def format_json(value: Any) -> bytes:
    """Return ``value`` as indented JSON with sorted keys; NaN and infinities are refused."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return (text + "\n").encode()


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as :func:`format_json` has it."""
    write_bytes(path, format_json(value))


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        Verdict3DError: The file is missing or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Verdict3DError(f"{path} is missing; run the stage that writes it first") from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, a number or a depth beyond limits
        raise Verdict3DError(f"{path} is not JSON: {error}") from error


def read_object(path: str | Path) -> Row:
    """Read a JSON file that holds an object.

    Raises:
        Verdict3DError: The file is missing, not JSON, or something else than an object.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise Verdict3DError(f"{path} is a {type(values).__name__}; expected a JSON object")
    return values


def format_row_line(row: Mapping[str, Any]) -> str:
    """Return ``row`` as one line of JSON with sorted keys, without the line end."""
    return json.dumps(row, sort_keys=True, allow_nan=False, ensure_ascii=False)


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, keys sorted."""
    write_bytes(path, "".join(format_row_line(row) + "\n" for row in rows).encode())


def read_jsonl(path: str | Path) -> list[Row]:
    """Read a file of one JSON object a line; only a line feed ends a line.

    Raises:
        Verdict3DError: The file is missing or a line is not a JSON object (the line number is named).
    """
    try:
        lines = Path(path).read_bytes().removesuffix(b"\n").split(b"\n")
    except FileNotFoundError as error:
        raise Verdict3DError(f"{path} is missing; run the stage that writes it first") from error
    rows: list[Row] = []
    for number, line in enumerate(lines if lines != [b""] else [], start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, a number or a depth beyond limits
            raise Verdict3DError(f"{path}, line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise Verdict3DError(f"{path}, line {number} is a {type(row).__name__}; expected a JSON object")
        rows.append(row)
    return rows
