"""The files of a run, by the paths that they had: in the checkout, or in DVC's cache by its ``dvc.lock``.

A run that is not the checkout's own is known by its ``params.yaml`` and ``dvc.lock``. The lock has the digest
of every output; what DVC's cache still holds of these is read there, after its digest was taken again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from flows.chain.dvc_digests import compute_dvc_digest, find_dvc_cache
from flows.chain.environment import make_project_environment
from flows.chain.finished import find_before, find_params
from flows.chain.promotion_step import ASK_S
from tasks.dvc_lock import read_lock
from tasks.tracking.run_record import read_source_tags
from tasks.tracking.store import DATABASE, EMBEDDED_STORE
from verdict3d.errors import Verdict3DError
from verdict3d.processes.commands import run_supervised
from verdict3d.project import Workspace
from verdict3d.provenance import ask_git
from verdict3d.records.record import R, read_record, read_rows
from verdict3d.records.recorded_runs import PastRate, RecordedRuns, RunNamed
from verdict3d.records.yaml_files import read_yaml
from verdict3d.run_keys import run_key

T = TypeVar("T")
HERE, BEFORE = ".", "before"
"""The checkout's own results, and those of the finished run before them."""


@dataclass
class RunFiles:
    """What one run left.

    Args:
        named: What it is called.
        folder: Where its ``params.yaml`` and ``dvc.lock`` are.
        cache: DVC's objects; None: the files lie in ``folder``.
        parameters: Its ``params.yaml`` where that is elsewhere.

    Attributes:
        left_out: What was asked for and is not kept or not readable, a sentence each.
    """

    named: RunNamed
    folder: Path
    cache: Path | None
    parameters: Path | None = None
    left_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.params: dict[str, Any] = read_yaml(self.parameters or self.folder / "params.yaml")
        lock = read_lock(self.folder)
        rows = [row for stage in lock.values() for row in stage.get("outs", [])]
        self._outputs: dict[str, str] = {row["path"]: row["md5"] for row in rows if "md5" in row}
        self._listed: dict[str, dict[str, str]] = {}

    @property
    def arms(self) -> list[str]:
        """The configured arms."""
        return [str(arm) for arm in self.params["train"]["arms"]]

    def digest(self, path: Path | str) -> str | None:
        """Return DVC's digest of a file; None where the run has no such file, or its listing is gone."""
        name = Path(path).as_posix()
        if name in self._outputs:
            return self._outputs[name]
        if self.cache is None:
            return compute_dvc_digest(self.folder / name)
        for folder, digest in self._outputs.items():
            if name.startswith(f"{folder}/"):
                return self._list(digest).get(name.removeprefix(f"{folder}/"))
        return None

    def locate(self, path: Path | str) -> Path | None:
        """Return where a file can be read; None where the run has none, or DVC's cache has it no more."""
        if self.cache is None:
            there = self.folder / path
            return there if there.is_file() else None
        digest = self.digest(path)
        if digest is None:
            return None
        return self._object(digest)

    def rows(self, path: Path, kind: type[R]) -> list[R] | None:
        """Return the rows of a file of records; None, with a note, where they cannot be had."""
        return self._read(path, lambda place: read_rows(place, kind))

    def record(self, path: Path, kind: type[R]) -> R | None:
        """Return a document; None, with a note, where it cannot be had."""
        return self._read(path, lambda place: read_record(place, kind))

    def _read(self, path: Path, read: Callable[[Path], T]) -> T | None:
        place = self.locate(path)
        if place is None:
            self.left_out.append(f"{self.named.name}: {path} is not kept")
            return None
        try:
            return read(place)
        except Verdict3DError as error:
            words = str(error).removeprefix(str(place)).lstrip(", ")
            self.left_out.append(f"{self.named.name}: {path} cannot be read: {words}")
            return None

    def _list(self, digest: str) -> dict[str, str]:
        """Return the files of a folder in DVC's cache: digests, by path below it."""
        if digest not in self._listed:
            listing = self._object(digest)
            rows = json.loads(listing.read_bytes()) if listing else []
            self._listed[digest] = {row["relpath"]: row["md5"] for row in rows}
        return self._listed[digest]

    def _object(self, digest: str) -> Path | None:
        """Return an object of DVC's cache that is what its name says."""
        assert self.cache is not None
        place = self.cache / digest[:2] / digest[2:]
        whole = place.is_file() and compute_dvc_digest(place) == digest.removesuffix(".dir")
        return place if whole else None


@contextmanager
def open_runs(workspace: Workspace, names: Sequence[str]) -> Iterator[tuple[list[RunFiles], list[PastRate]]]:
    """Yield the files of runs, and what MLflow knows of ties and flips of the runs so far.

    Args:
        workspace: Whose results ``.`` are, and whose registry and cache.
        names: ``.``, ``before``, versions, ids of runs or their beginnings, git commits or what git calls so.

    Raises:
        Verdict3DError: A name means no run, or several.
    """
    environment = make_project_environment(workspace.project)
    asked = {name: _spell(workspace, name) for name in names if name not in (HERE, BEFORE)}
    cache = find_dvc_cache(workspace.root, environment) if set(names) != {HERE} else None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = _ask_store(workspace, environment, folder, list(asked.values()))
        recorded = dict(zip(asked, found.runs, strict=True))
        places = {name: folder / str(number) for number, name in enumerate(asked)}
        runs = []
        for name in names:
            if name == HERE:
                runs.append(_open_here(workspace))
            elif name == BEFORE:
                place = find_before(workspace)
                named = RunNamed(name="the run before", key=_key(place), run=None, commit=None)
                runs.append(RunFiles(named, place, cache))
            else:
                runs.append(RunFiles(recorded[name], places[name], cache))
        yield runs, found.history


def _open_here(workspace: Workspace) -> RunFiles:
    if run_key(workspace.root) is None:
        raise Verdict3DError(f"{HERE}: no results yet; `verdict3d run{workspace.option}` makes them")
    commit = read_source_tags(workspace.root).get("git.commit")
    title = f"preset {workspace.preset}" if workspace.preset else "this checkout"
    named = RunNamed(name=title, key=_key(workspace.root), run=None, commit=commit)
    return RunFiles(named, workspace.root, None, find_params(workspace))


def _key(folder: Path) -> str:
    return run_key(folder) or ""


def _spell(workspace: Workspace, name: str) -> str:
    """Return a commit for what only git knows, such as ``main~1``; other names as they are."""
    if name.isalnum() and all(sign in "0123456789abcdef" for sign in name):
        return name
    commit = ask_git(workspace.project, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if not commit:
        raise Verdict3DError(
            f"{name!r} is no run: give `.` (the results here), `before` (the finished run before them), a "
            "version, the id of a recorded run or its beginning, or the git commit of one"
        )
    return commit


def _ask_store(
    workspace: Workspace, environment: dict[str, str], folder: Path, names: list[str]
) -> RecordedRuns:
    """Ask MLflow in a process of its own, which takes seconds to load it; without names it may be away."""
    store = environment.get("MLFLOW_TRACKING_URI") or EMBEDDED_STORE
    if not names and store == EMBEDDED_STORE and not (workspace.project / DATABASE).is_file():
        return RecordedRuns(runs=[], history=[])
    lines: list[str] = []
    ended = run_supervised(
        [sys.executable, "-m", "tasks.registry.recorded", workspace.preset or "", str(folder), *names],
        cwd=workspace.project,
        environment=environment,
        on_line=lambda line, redraws: lines.append(line),
        timeout_s=None if names else ASK_S,
    )
    if ended.status == 0:
        return read_record(folder / "found.json", RecordedRuns)
    if not names:
        return RecordedRuns(runs=[], history=[])
    text = "\n".join(lines[-5:])
    raise Verdict3DError(text.partition("error: ")[2] or text)
