"""The model registry as promotion uses it: versions with tags, two aliases, a lock, a history of moves.

A project has one registered model, ``verdict3d``; each preset one of its own, ``verdict3d-<preset>``. The
alias ``champion`` is the version in use, ``challenger`` one that the gate holds until more objects decide.
Its tags hold the moves of ``champion`` and the candidates that each held-out set has decided on.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from tasks.scoring.champion import BASE, Used, registered_champion
from verdict3d.errors import Verdict3DError
from verdict3d.records.adapters import CARD
from verdict3d.records.promotion import Champion

CHAMPION, CHALLENGER = "champion", "challenger"
WHAT = "Single photos to meshes"
MOVES, HOLDOUT = "moves", "holdout."
ROLLED_BACK, ROLLED_BACK_AT = "rolled_back", "rolled_back_at"
"""Tags of a version that was rolled back: why, and when (UTC)."""
ABANDONED_S = 3600.0
"""A lock of another machine that is older than this is taken to be left behind."""


class Registry:
    """The registered model of a project or preset.

    Args:
        uri: MLflow store.
        preset: Name of the preset, "" for none.
    """

    def __init__(self, uri: str, preset: str = "") -> None:
        self.client = MlflowClient(uri, registry_uri=uri)
        self.uri = uri
        self.name = f"verdict3d-{preset}" if preset else "verdict3d"

    def open(self) -> None:
        """Make the registered model when it is missing."""
        try:
            self.client.create_registered_model(self.name, description=WHAT)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def aliased(self, alias: str) -> ModelVersion | None:
        """Return the version an alias stands at, None when there is none."""
        try:
            return self.client.get_model_version_by_alias(self.name, alias)
        except MlflowException as error:
            if error.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"):
                return None
            raise

    def champion(self) -> Champion:
        """Return the champion: the base when there is none."""
        found = self.aliased(CHAMPION)
        return champion_of(found) if found else BASE

    def version(self, number: int) -> ModelVersion:
        """Return a version.

        Raises:
            Verdict3DError: There is none with this number.
        """
        try:
            return self.client.get_model_version(self.name, str(number))
        except MlflowException as error:
            raise Verdict3DError(f"{self.name} has no version {number}") from error

    def versions(self) -> list[ModelVersion]:
        """Return all versions, newest first."""
        found = self.client.search_model_versions(f"name = '{self.name}'")
        return sorted(found, key=lambda version: -int(version.version))

    def uri_of(self, version: int) -> str:
        """Return what MLflow loads a version by."""
        return f"models:/{self.name}/{version}"

    @contextmanager
    def adapter_of(self, version: int) -> Iterator[Path]:
        """Yield a folder with the files of a version's adapter."""
        with tempfile.TemporaryDirectory() as folder:
            download_artifacts(
                f"{self.uri_of(version)}/artifacts/adapter", dst_path=folder, tracking_uri=self.uri
            )
            (card,) = Path(folder).rglob(CARD)
            yield card.parent

    def point(self, alias: str, version: int | None) -> None:
        """Let an alias stand at a version, or nowhere."""
        if version is None:
            if self.aliased(alias):
                self.client.delete_registered_model_alias(self.name, alias)
        else:
            self.client.set_registered_model_alias(self.name, alias, str(version))

    def tag(self, version: int, **tags: str) -> None:
        """Set tags of a version."""
        for key, value in tags.items():
            self.client.set_model_version_tag(self.name, str(version), key, value)

    def rolled_back(self, adapter: str) -> ModelVersion | None:
        """Return the newest version with this adapter that was rolled back and has not come back since."""
        mine = (version for version in self.versions() if version.tags.get("adapter") == adapter)
        return next((version for version in mine if ROLLED_BACK in version.tags), None)

    def reinstate(self, adapter: str) -> None:
        """Take the mark of a rollback off every version with this adapter; the moves still tell of it."""
        while found := self.rolled_back(adapter):
            for tag in (ROLLED_BACK_AT, ROLLED_BACK):
                if tag in found.tags:
                    self.client.delete_model_version_tag(self.name, found.version, tag)

    def notes(self) -> dict[str, str]:
        """Return the tags of the registered model; none when it is not there yet."""
        try:
            return dict(self.client.get_registered_model(self.name).tags)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return {}
            raise

    def moves(self) -> list[dict[str, Any]]:
        """Return the champion's moves, oldest first: {"from", "to", "why", "record"}; None: the base."""
        return list(json.loads(self.notes().get(MOVES, "[]")))

    def add_move(self, before: int | None, after: int | None, why: str, record: str | None) -> None:
        """Write down a move."""
        moves = [*self.moves(), {"from": before, "to": after, "why": why, "record": record}]
        self.client.set_registered_model_tag(self.name, MOVES, json.dumps(moves))
        lines = [f"* {move['from'] or 'base'} → {move['to'] or 'base'}: {move['why']}" for move in moves]
        text = "\n".join([f"{WHAT}. Moves of the champion, oldest first:", "", *lines])
        self.client.update_registered_model(self.name, text)

    def used(self) -> Used:
        """Return what each held-out set has been used for."""
        notes = self.notes()
        return {
            key.removeprefix(HOLDOUT): json.loads(notes[key])
            for key in sorted(notes)
            if key.startswith(HOLDOUT)
        }

    def add_use(self, holdout: str, adapter: str, questions: int) -> None:
        """Count a candidate and the questions it took against a held-out set, once."""
        known = self.used().get(holdout, {})
        if known.get(adapter) != questions:
            text = json.dumps({**known, adapter: questions})
            self.client.set_registered_model_tag(self.name, f"{HOLDOUT}{holdout}", text)

    @contextmanager
    def alone(self) -> Iterator[Lock]:
        """Keep every other promotion away from this model, on this machine or another.

        The lock is a registered model of its own, because making one is the registry's only step that
        succeeds for exactly one of two who try it at once.

        Raises:
            Verdict3DError: Somebody else promotes.
        """
        lock = Lock(self.client, f"{self.name}.promoting")
        lock.take()
        try:
            yield lock
        finally:
            lock.release()


class Lock:
    """A registered model that exists while somebody promotes; its tags say who."""

    def __init__(self, client: MlflowClient, name: str) -> None:
        self.client = client
        self.name = name
        self.token = uuid.uuid4().hex

    def take(self) -> None:
        """Make the lock, taking over one whose owner is gone."""
        owner = {"token": self.token, "host": socket.gethostname(), "pid": str(os.getpid())}
        for _ in range(2):
            try:
                self.client.create_registered_model(
                    self.name, tags={**owner, "since": str(int(time.time()))}, description="somebody promotes"
                )
                return
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self._owner()
            if found and not _is_gone(found):
                raise Verdict3DError(
                    f"process {found['pid']} on {found['host']} is promoting; try again when it is done"
                )
            self._remove()
        raise Verdict3DError("somebody else took the lock of a dead promotion first; try again")

    def check(self) -> None:
        """Make sure that the lock is still this one's, right before the step it protects.

        Raises:
            Verdict3DError: Somebody took it over.
        """
        if (self._owner() or {}).get("token") != self.token:
            raise Verdict3DError("another promotion took over in the meantime; nothing was moved")

    def release(self) -> None:
        """Remove the lock when it is this one's."""
        if (self._owner() or {}).get("token") == self.token:
            self._remove()

    def _owner(self) -> dict[str, str] | None:
        try:
            return dict(self.client.get_registered_model(self.name).tags)
        except MlflowException:
            return None

    def _remove(self) -> None:
        try:
            self.client.delete_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise


def _is_gone(owner: dict[str, str]) -> bool:
    """Tell whether the owner of a lock has ended; of another machine's only its age is known."""
    if owner.get("host") != socket.gethostname():
        return time.time() - float(owner.get("since", 0)) > ABANDONED_S
    try:
        os.kill(int(owner.get("pid", "0")), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, ValueError):
        return False
    return False


def champion_of(version: ModelVersion) -> Champion:
    """Return a version as a champion."""
    return registered_champion(int(version.version), version.tags["arm"], version.tags["adapter"])
