"""The model registry as promotion uses it: versions with tags, two aliases, a turn, a history of moves.

A project has one registered model, ``verdict3d``; each preset one of its own, ``verdict3d-<preset>``. The
alias ``champion`` is the version in use, ``challenger`` one that the gate holds until more objects decide.
Its tags hold the moves of ``champion``, and what held-out objects were used for
(:mod:`tasks.tracking.registered_model`).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from tasks.scoring.champion import BASE, make_champion
from tasks.tracking.lease import Lease, turn
from tasks.tracking.registered_model import WHAT, name_model
from tasks.tracking.store import make_registered_model, open_store, read_tracking_uri
from verdict3d.errors import Verdict3DError
from verdict3d.records.adapters import CARD
from verdict3d.records.decisions import Champion

CHAMPION, CHALLENGER = "champion", "challenger"
MOVE = "move."
MOVES = "moves"
"""Tag that held all moves together before each had a tag of its own; what it holds is older."""
SHOWN_MOVES, SHOWN_WHY = 20, 150
"""Moves in the model's description, which holds 5,000 characters, and the characters of each reason."""
FOUND = "found there: moved by hand, or by a promotion that was killed before it wrote this down"
ROLLED_BACK, ROLLED_BACK_AT = "rolled_back", "rolled_back_at"
"""Tags of a version that was rolled back: why, and when (UTC)."""


class Registry:
    """The registered model of a project or preset.

    Args:
        preset: Name of the preset, "" for none.

    Raises:
        StoreError: The store in use does not answer.
    """

    def __init__(self, preset: str = "") -> None:
        self.client = open_store()
        self.uri = read_tracking_uri()
        self.name = name_model(preset)

    def open(self) -> None:
        """Make the registered model when it is missing."""
        make_registered_model(self.client, self.name, WHAT)

    def find_aliased(self, alias: str) -> ModelVersion | None:
        """Return the version an alias stands at, None when there is none."""
        try:
            return self.client.get_model_version_by_alias(self.name, alias)
        except MlflowException as error:
            if error.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"):
                return None
            raise

    def find_champion(self) -> Champion:
        """Return the champion: the base when there is none."""
        found = self.find_aliased(CHAMPION)
        return champion_of(found) if found else BASE

    def find_version(self, number: int) -> ModelVersion:
        """Return a version.

        Raises:
            Verdict3DError: There is none with this number.
        """
        try:
            return self.client.get_model_version(self.name, str(number))
        except MlflowException as error:
            raise Verdict3DError(f"{self.name} has no version {number}") from error

    def list_versions(self) -> list[ModelVersion]:
        """Return all versions, newest first."""
        found = self.client.search_model_versions(f"name = '{self.name}'")
        return sorted(found, key=lambda version: -int(version.version))

    def uri_of(self, version: int) -> str:
        """Return what MLflow loads a version by."""
        return f"models:/{self.name}/{version}"

    @contextmanager
    def fetch_adapter(self, version: int) -> Iterator[Path]:
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
            if self.find_aliased(alias):
                self.client.delete_registered_model_alias(self.name, alias)
        else:
            self.client.set_registered_model_alias(self.name, alias, str(version))

    def tag(self, version: int, **tags: str) -> None:
        """Set tags of a version."""
        for key, value in tags.items():
            self.client.set_model_version_tag(self.name, str(version), key, value)

    def link_models(self, version: ModelVersion, run_id: str) -> None:
        """Say at the models that a run made that they are registered as this version.

        MLflow's page of a model leads to its versions by this tag; a server sets it only where the files
        lie with the model, and these lie with the run.
        """
        outputs = self.client.get_run(run_id).outputs
        for made in outputs.model_outputs if outputs else []:
            tags = self.client.get_logged_model(made.model_id).tags
            named = json.loads(tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
            named.append({"name": self.name, "version": version.version})
            self.client.set_logged_model_tags(made.model_id, {MLFLOW_MODEL_VERSIONS: json.dumps(named)})
            self.tag(int(version.version), model=made.model_id)

    def find_rolled_back(self, adapter: str) -> ModelVersion | None:
        """Return the newest version with this adapter that was rolled back and has not come back since."""
        mine = (version for version in self.list_versions() if version.tags.get("adapter") == adapter)
        return next((version for version in mine if ROLLED_BACK in version.tags), None)

    def reinstate(self, adapter: str) -> None:
        """Take the mark of a rollback off every version with this adapter; the moves still tell of it."""
        while found := self.find_rolled_back(adapter):
            for tag in (ROLLED_BACK_AT, ROLLED_BACK):
                if tag in found.tags:
                    self.client.delete_model_version_tag(self.name, found.version, tag)

    def read_notes(self) -> dict[str, str]:
        """Return the tags of the registered model; none when it is not there yet."""
        try:
            return dict(self.client.get_registered_model(self.name).tags)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return {}
            raise

    def read_moves(self) -> list[dict[str, Any]]:
        """Return the champion's moves, oldest first: {"from", "to", "why", "record"}; None: the base."""
        notes = self.read_notes()
        own = [json.loads(notes[key]) for key in sorted(notes) if key.startswith(MOVE)]
        return [*json.loads(notes.get(MOVES, "[]")), *own]

    def add_move(self, before: int | None, after: int | None, why: str, record: str | None) -> None:
        """Write down a move, and before it one that nobody wrote down, if it begins where none ended."""
        moves = self.read_moves()
        last = moves[-1]["to"] if moves else None
        if last != before:
            self._write_move(moves, {"from": last, "to": before, "why": FOUND, "record": None})
        self._write_move(moves, {"from": before, "to": after, "why": why, "record": record})
        lines = [
            f"* {move['from'] or 'base'} → {move['to'] or 'base'}: {move['why'][:SHOWN_WHY]}"
            for move in moves[-SHOWN_MOVES:]
        ]
        left = len(moves) - len(lines)
        told = f", without the first {left}" if left else ""
        text = "\n".join([f"{WHAT}. Moves of the champion, oldest first{told}:", "", *lines])
        self.client.update_registered_model(self.name, text)

    def _write_move(self, moves: list[dict[str, Any]], move: dict[str, Any]) -> None:
        self.client.set_registered_model_tag(self.name, f"{MOVE}{len(moves):06d}", json.dumps(move))
        moves.append(move)

    def alone(self) -> AbstractContextManager[Lease]:
        """Keep every other promotion away from this model, on this machine or another.

        Raises:
            BusyError: Somebody else promotes.
        """
        return turn(self.client, f"promotion of {self.name}", wait=False)


def champion_of(version: ModelVersion) -> Champion:
    """Return a version as a champion."""
    return make_champion(int(version.version), version.tags["arm"], version.tags["adapter"])
