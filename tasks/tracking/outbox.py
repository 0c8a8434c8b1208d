"""Runs on their way to MLflow: each is written here first, and removed once it has arrived.

A tracking server that is down, or a kill in the middle of sending, loses nothing: the next run sends what is
left. What MLflow refuses is set aside by name and blocks nothing behind it. Knows files only, not MLflow.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tasks.tracking.run_record import RunRecord
from tasks.tracking.store import mask_uri
from verdict3d.errors import Verdict3DError
from verdict3d.records.files import read_json, write_bytes, write_json
from verdict3d.run_keys import run_key

EXPERIMENT = "verdict3d"
"""Name of the experiment that all runs belong to."""
REFUSED, REASON, UNFINISHED = "refused", "reason.txt", ".unfinished-"


class RecordError(Verdict3DError):
    """A record that cannot be sent, however often it is tried."""


class Outbox:
    """The unsent runs of a project, and the memory of which have arrived where.

    Args:
        project: The project's top folder.
    """

    def __init__(self, project: Path) -> None:
        self.folder = project / ".verdict3d/spool"
        self._refused = self.folder / REFUSED
        self._arrived = project / ".verdict3d/recorded.json"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep this project's other processes from sending what this one sends."""
        self._open()
        with (self.folder / ".lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)

    def list_waiting(self) -> list[Path]:
        """Return the folders of unsent runs, oldest first; one that has failed comes last."""
        found = []
        for path in self.folder.glob("*/record.json"):
            with suppress(FileNotFoundError):  # another process has sent it
                found.append((path.stat().st_mtime_ns, path.parent))
        return [home for _, home in sorted(found)]

    def put(self, record: RunRecord) -> Path:
        """Copy a record with its files; return its folder. The files of the project may change after this.

        The same results wait once.
        """
        self._open()
        home = self.folder / record.key
        if (home / "record.json").is_file():
            return home
        for leftover in self.folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self.folder))
        for number, part in enumerate([record.parent, *record.arms]):
            copies = []
            for path, folder in part.artifacts:
                copy = unfinished / "files" / str(number) / folder / Path(path).name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
                copies.append((copy.relative_to(unfinished).as_posix(), folder))
            part.artifacts = copies
        write_json(unfinished / "record.json", record.as_dict())
        unfinished.replace(home)
        return home

    def read(self, home: Path) -> RunRecord:
        """Read an unsent record; its artifacts are paths in the outbox.

        Raises:
            RecordError: It is none of this version of the project, or one of its files is gone.
        """
        try:
            record = RunRecord.from_dict(read_json(home / "record.json"))
            for part in [record.parent, *record.arms]:
                part.artifacts = [(str(home / path), folder) for path, folder in part.artifacts]
        except Verdict3DError as error:
            raise RecordError(str(error)) from error
        except ValueError as error:
            raise RecordError(f"it is no record of this version: {error}") from error
        for part in [record.parent, *record.arms]:
            for path, _ in part.artifacts:
                if not Path(path).is_file():
                    raise RecordError(f"{path} is gone")
        return record

    def postpone(self, home: Path) -> None:
        """Let the others go first the next time."""
        os.utime(home / "record.json")

    def set_aside(self, home: Path, reason: str) -> Path:
        """Move a record out of the way, beside the reason; return its new folder."""
        place = self._refused / home.name
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(exist_ok=True)
        home.replace(place)
        write_bytes(place / REASON, f"{reason}\n".encode())
        return place

    def list_refused(self) -> dict[Path, str]:
        """Return the folders of the records that were set aside, each with the reason."""
        reasons = sorted(self._refused.glob(f"*/{REASON}"))
        return {path.parent: path.read_text(encoding="utf-8", errors="replace") for path in reasons}

    def try_refused_again(self) -> None:
        """Let the records that were set aside wait like the others."""
        for place in self.list_refused():
            (place / REASON).unlink()
            if (self.folder / place.name).exists():
                shutil.rmtree(place)
            else:
                place.replace(self.folder / place.name)

    def remove(self, home: Path, run_id: str) -> None:
        """Forget a record that has arrived as ``run_id``."""
        arrived = self._read_arrived()
        arrived.setdefault(mask_uri(), {})[home.name] = run_id
        write_json(self._arrived, arrived)
        self._arrived.chmod(0o600)
        leaving = self.folder / f"{UNFINISHED}{home.name}"
        home.replace(leaving)
        shutil.rmtree(leaving, ignore_errors=True)

    def run_id(self, root: Path) -> str | None:
        """Return the MLflow run that holds the results below ``root``, None when they have not arrived."""
        key = run_key(root)
        return self._read_arrived().get(mask_uri(), {}).get(key) if key else None

    def _read_arrived(self) -> dict[str, dict[str, Any]]:
        """Return the runs that arrived, by store and key. What cannot be read is forgotten: MLflow knows."""
        if not self._arrived.is_file():
            return {}
        try:
            found = read_json(self._arrived)
        except Verdict3DError:
            return {}
        if not isinstance(found, dict) or not all(isinstance(runs, dict) for runs in found.values()):
            return {}
        return found
