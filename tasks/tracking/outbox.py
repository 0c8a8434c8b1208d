"""Runs on their way to MLflow: each is written here first, and removed once it has arrived.

A tracking server that is down, or a kill in the middle of sending, loses nothing: the next run sends what is
left. Knows files only, not MLflow.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.tracking.run_record import RunRecord, run_key
from verdict3d.errors import Verdict3DError
from verdict3d.records.files import read_json, write_json

EXPERIMENT = "verdict3d"
"""Name of the experiment that all runs belong to."""

EMBEDDED_STORE = "sqlite:///mlflow.db"
"""Where runs go unless ``MLFLOW_TRACKING_URI`` says otherwise; relative to the project."""


def tracking_uri() -> str:
    """Return the MLflow store in use."""
    return os.environ.get("MLFLOW_TRACKING_URI") or EMBEDDED_STORE


class Outbox:
    """The unsent runs of a project, and the memory of which have arrived where.

    Args:
        project: The project's top folder.
    """

    def __init__(self, project: Path) -> None:
        self.folder = project / ".verdict3d/spool"
        self._arrived = project / ".verdict3d/recorded.json"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from sending: two at a time would both make the run that is missing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def waiting(self) -> list[Path]:
        """Return the folders of unsent runs, oldest first."""
        records = self.folder.glob("*/record.json")
        return [path.parent for path in sorted(records, key=lambda path: path.stat().st_mtime_ns)]

    def put(self, record: RunRecord) -> Path:
        """Copy a record with its files; return its folder. The files of the project may change after this."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob(".unfinished-*"):
            shutil.rmtree(leftover)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=self.folder))
        for number, part in enumerate([record.parent, *record.arms]):
            copies = []
            for path, folder in part.artifacts:
                copy = unfinished / "files" / str(number) / folder / Path(path).name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
                copies.append((copy.relative_to(unfinished).as_posix(), folder))
            part.artifacts = copies
        write_json(unfinished / "record.json", record.as_dict())
        home = self.folder / record.key
        with self.alone():
            shutil.rmtree(home, ignore_errors=True)
            unfinished.replace(home)
        return home

    def read(self, home: Path) -> RunRecord:
        """Read an unsent record; its artifacts are paths in the outbox.

        Raises:
            Verdict3DError: It was not written by this version of the project.
        """
        try:
            record = RunRecord.from_dict(read_json(home / "record.json"))
        except (KeyError, TypeError) as error:
            raise Verdict3DError(
                f"{home} is no record of this version ({error}); remove that folder"
            ) from error
        for part in [record.parent, *record.arms]:
            part.artifacts = [(str(home / path), folder) for path, folder in part.artifacts]
        return record

    def remove(self, home: Path, run_id: str) -> None:
        """Forget a record that has arrived as ``run_id``."""
        arrived = self._read_arrived()
        arrived.setdefault(tracking_uri(), {})[home.name] = run_id
        write_json(self._arrived, arrived)
        shutil.rmtree(home)

    def run_id(self, root: Path) -> str | None:
        """Return the MLflow run that holds the results below ``root``, None when they have not arrived."""
        key = run_key(root)
        return self._read_arrived().get(tracking_uri(), {}).get(key) if key else None

    def _read_arrived(self) -> dict[str, dict[str, str]]:
        return read_json(self._arrived) if self._arrived.is_file() else {}
