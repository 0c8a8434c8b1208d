"""Digests of weight files, remembered: gigabytes are read once to know who they are, not once a stage.

A small SQLite file in the user's cache (``$XDG_CACHE_HOME/verdict3d``, else ``~/.cache/verdict3d``) holds the
SHA-256 of each version of a large file. A version is what the system says of it: path, size, inode, and the
times of its last change and of its last change of status, in ns. Nobody can set the latter, so a file that
was written again is another version. A file that changed within the last seconds is read every time: a clock
may be too coarse to tell two writes apart. A bit that the disk itself lost changes no time and is not seen
here.

Without a cache that can be written everything works, and large files are read each time.

The checkpoints that come with this package have their digests beside them, as ``sha256sum`` writes them: a
file that was damaged since is refused, not used.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from verdict3d.errors import Verdict3DError
from verdict3d.project import CHECKPOINTS, find_models
from verdict3d.provenance import digest_file

SUMS = "SHA256SUMS"
"""Beside the checkpoints that come with this package: ``sha256sum -c SHA256SUMS`` checks them."""
LARGE_BYTES = 2**26
"""Smaller files are read: that takes less than a tenth of a second."""
SETTLED_NS = 2_000_000_000
"""Age of a change from which on the version is known by its times."""
_TABLE = "CREATE TABLE IF NOT EXISTS digests (path TEXT PRIMARY KEY, version TEXT, sha256 TEXT)"
_PATIENCE_S = 5.0


def digest_weights(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, from memory where this version of it was read before.

    Raises:
        OSError: The file cannot be read.
        Verdict3DError: It came with this package, and has changed since.
    """
    digest, shipped = _digest(path.resolve()), None
    with suppress(Verdict3DError):  # a package without checkpoints
        shipped = _read_sums(find_models() / CHECKPOINTS).get(path.resolve())
    if shipped not in (None, digest):
        raise Verdict3DError(
            f"{path} is not the file that came with this version; fetch it again (`git checkout` in a "
            "checkout, else install the package again), or, if it is meant to differ, write its digest into "
            f"{SUMS}"
        )
    return digest


@cache
def _read_sums(checkpoints: Path) -> dict[Path, str]:
    """Return the digests that came with the checkpoints, by file."""
    sums = checkpoints / SUMS
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    return {
        (checkpoints / name).resolve(): digest for digest, name in (line.split("  ", 1) for line in lines)
    }


def _digest(place: Path) -> str:
    """Return the SHA-256 of a file's bytes, from memory where this version of it was read before."""
    version = _version(place)
    if place.stat().st_size < LARGE_BYTES or version is None:
        return digest_file(place)
    known = _recall(place, version)
    if known is not None:
        return known
    digest = digest_file(place)
    if _version(place) == version:
        _remember(place, version, digest)
    return digest


def table_path() -> Path:
    """Return where digests are remembered."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "verdict3d/digests.sqlite"


def _version(place: Path) -> str | None:
    """Return what tells one version of a file from another, None where it changed a moment ago."""
    found = place.stat()
    if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) < SETTLED_NS:
        return None
    return f"{found.st_size} {found.st_ino} {found.st_mtime_ns} {found.st_ctime_ns}"


def _recall(place: Path, version: str) -> str | None:
    with suppress(OSError, sqlite3.Error), closing(_opened()) as table:
        asked = (str(place), version)
        row = table.execute("SELECT sha256 FROM digests WHERE path = ? AND version = ?", asked).fetchone()
        return None if row is None else str(row[0])
    return None


def _remember(place: Path, version: str, digest: str) -> None:
    with suppress(OSError, sqlite3.Error), closing(_opened()) as table:
        table.execute("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", (str(place), version, digest))


def _opened() -> sqlite3.Connection:
    """Open the table, readable by its owner only; what is written is committed at once."""
    path = table_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    table = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
    path.chmod(0o600)
    table.execute(_TABLE)
    return table
