"""Content digests: the identity of what a result was made from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def digest_bytes(content: bytes) -> str:
    """Return the SHA-256 of ``content`` in hex."""
    return hashlib.sha256(content).hexdigest()


def digest_json(value: Any) -> str:
    """Return the SHA-256 of ``value`` as canonical JSON (sorted keys, no spaces)."""
    return digest_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())


def digest_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_directory(directory: str | Path) -> str:
    """Return one SHA-256 over the relative names and contents of all files below ``directory``."""
    root = Path(directory)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return digest_json([[path.relative_to(root).as_posix(), digest_file(path)] for path in files])
