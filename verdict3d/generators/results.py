"""A ZIP of a stranger with meshes and ``_failed.json``: only what was asked for, and within a budget."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

from verdict3d.config_generators import MeshLimits
from verdict3d.errors import ItemFailure

FAILED = "_failed.json"
_MOST_FAILED_BYTES = 1 << 20
_MOST_REASON = 300
_CHUNK = 1 << 20
_MIB = 1 << 20
_DIRECTORY_A_STEM = 1 << 16
"""Bytes of a ZIP's list of members for each stem; a longer list is refused unread."""
_END, _END_BYTES, _END_ZIP64 = b"PK\x05\x06", 22, b"PK\x06\x07"


def unpack_results(archive: Path, folder: Path, stems: list[str], limits: MeshLimits) -> dict[str, str]:
    """Write the meshes of ``stems`` into ``folder`` and return why others have none.

    Members are taken by their exact name, ``<stem>.glb``, so no path in the ZIP leads anywhere. What a member
    decompresses to is counted while it is read, whatever the ZIP says of it.

    Args:
        archive: The ZIP.
        folder: Made here.
        stems: What was asked for.
        limits: ``file_mib`` bounds each mesh.

    Returns:
        Reasons by stem, also for meshes that are broken or too large.
    """
    folder.mkdir()
    try:
        _check_directory(archive, len(stems))
        with zipfile.ZipFile(archive) as opened:
            members = opened.namelist()
            reasons = _read_failed(opened) if FAILED in members else {}
            for stem in stems:
                if f"{stem}.glb" in members:
                    reasons.pop(stem, None)
                    try:
                        _extract(opened, f"{stem}.glb", folder, limits)
                    except ItemFailure as failure:
                        reasons[stem] = str(failure)
            return {stem: reason for stem, reason in reasons.items() if stem in stems}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        return dict.fromkeys(stems, f"no readable ZIP: {error}")


def _check_directory(archive: Path, count: int) -> None:
    """Look at the size of the list of members before it is read.

    Raises:
        BadZipFile: There is none, or it is too long for so many meshes.
    """
    with archive.open("rb") as stream:
        stream.seek(max(0, archive.stat().st_size - _END_BYTES - (1 << 16)))
        tail = stream.read()
    place = tail.rfind(_END)
    if place < 0 or len(tail) < place + _END_BYTES or _END_ZIP64 in tail:
        raise zipfile.BadZipFile("it has no list of members of the usual kind at its end")
    (size,) = struct.unpack("<I", tail[place + 12 : place + 16])
    if size > _DIRECTORY_A_STEM * (count + 1):
        raise zipfile.BadZipFile(f"its list of members has {size} bytes, for {count} meshes")


def _extract(opened: zipfile.ZipFile, name: str, folder: Path, limits: MeshLimits) -> None:
    """Write one member.

    Raises:
        ItemFailure: It is broken, encrypted or too large.
    """
    most, target = int(limits.file_mib * _MIB), folder / name
    try:
        with opened.open(name) as source, target.open("wb") as sink:
            _copy(source, sink, most)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        target.unlink(missing_ok=True)
        raise ItemFailure("broken_file", f"{name} in the ZIP is broken: {error}") from error
    except ItemFailure:
        target.unlink(missing_ok=True)
        raise


def _copy(source: IO[bytes], sink: IO[bytes], most: int) -> None:
    left = most
    while chunk := source.read(min(_CHUNK, left + 1)):
        left -= len(chunk)
        if left < 0:
            raise ItemFailure("file_too_large", f"a mesh in the ZIP has more than {most / _MIB:g} MiB")
        sink.write(chunk)


def _read_failed(opened: zipfile.ZipFile) -> dict[str, str]:
    """Return the reasons in ``_failed.json``; none where it holds no such thing."""
    try:
        with opened.open(FAILED) as stream:
            values = json.loads(stream.read(_MOST_FAILED_BYTES))
    except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, EOFError):
        return {}
    if not isinstance(values, dict):
        return {}
    return {str(stem): " ".join(str(reason).split())[:_MOST_REASON] for stem, reason in values.items()}
