"""DVC's digests of files and folders, taken again: what was restored is what was recorded.

DVC believes the read-only files of its cache. One that was damaged, by a disk or by hand, would be restored
without a word. So what a stage got from the cache is read once more, and the lists of folders are read before
DVC does.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tasks.dvc_lock import LOCK, read_lock
from verdict3d.records.files import write_bytes

_FOLDER = ".dir"


def compute_dvc_digest(path: Path) -> str | None:
    """Return what DVC writes into ``dvc.lock`` for a file or folder, None when there is none."""
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "md5").hexdigest()
    if not path.is_dir():
        return None
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    rows = [{"md5": compute_dvc_digest(files[name]), "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(rows).encode(), usedforsecurity=False).hexdigest() + _FOLDER


def find_damaged_outputs(root: Path, stages: Iterable[str]) -> dict[str, str]:
    """Return the outputs of stages that are not what ``dvc.lock`` says: digests recorded, by path."""
    lock = read_lock(root)
    outputs = [row for stage in stages for row in lock.get(stage, {}).get("outs", [])]
    recorded = {row["path"]: row["md5"] for row in outputs if "md5" in row}
    return {path: digest for path, digest in recorded.items() if compute_dvc_digest(root / path) != digest}


def drop_damaged_listings(cache: Path) -> None:
    """Remove what lists the files of a folder in DVC's cache and is not what its name says.

    DVC would take such a list for the folder's, and write it into ``dvc.lock``.

    Args:
        cache: Folder of DVC's objects, ``files/md5`` in its cache.
    """
    for listing in cache.glob(f"*/*{_FOLDER}"):
        if f"{listing.parent.name}{listing.name}" != f"{compute_dvc_digest(listing)}{_FOLDER}":
            listing.unlink()


def forget_damaged(
    root: Path, environment: dict[str, str], damaged: dict[str, str], lock: bytes | None
) -> None:
    """Remove damaged outputs, what is damaged of them in DVC's cache, and what its lock says of them.

    Args:
        root: Folder of ``dvc.yaml``.
        environment: For DVC, which knows where its cache is.
        damaged: From :func:`find_damaged_outputs`.
        lock: Content of ``dvc.lock`` before they were restored, None where there was none.
    """
    cache = find_dvc_cache(root, environment)
    for path, digest in damaged.items():
        for wanted in [*_list_digests(_locate(cache, digest)), digest]:
            place = _locate(cache, wanted)
            if place.is_file() and compute_dvc_digest(place) != wanted.removesuffix(_FOLDER):
                place.unlink()
        shutil.rmtree(root / path) if (root / path).is_dir() else (root / path).unlink(missing_ok=True)
    write_bytes(root / LOCK, lock) if lock is not None else (root / LOCK).unlink()


def find_dvc_cache(root: Path, environment: dict[str, str]) -> Path:
    """Ask DVC where its objects are."""
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    found = subprocess.check_output(command, cwd=root, env=environment, text=True)
    return Path(found.strip(), "files/md5")


def read_lock_bytes(root: Path) -> bytes | None:
    """Return the bytes of ``dvc.lock``, None where there is none."""
    return (root / LOCK).read_bytes() if (root / LOCK).exists() else None


def _locate(cache: Path, digest: str) -> Path:
    return cache / digest[:2] / digest[2:]


def _list_digests(folder: Path) -> list[str]:
    """Return the digests that a folder's object in the cache lists; none for a file, or one damaged."""
    if folder.suffix != _FOLDER or not folder.is_file():
        return []
    try:
        return [row["md5"] for row in json.loads(folder.read_bytes())]
    except (ValueError, TypeError, KeyError):
        return []
