"""Make a recorded run once more in a folder of its own, and compare what comes out.

The folder gets the commit's code and checkpoints, the run's parameters and lock file, and the champion of
that time. All but the code come from MLflow, where others may write: before anything is done with them, they
have to be those that the lock file names, which has to be the one that identifies the run. What the project's
DVC cache or remote still holds is taken from there; the rest is run. DVC's digests of code, data, parameters
and outputs are then compared stage by stage.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.chain.dvc_digests import compute_dvc_digest, drop_damaged_listings
from flows.chain.dvc_stages import read_stage_graph, run_stage_through_dvc
from flows.chain.environment import make_project_environment
from flows.chain.results import format_text
from flows.chain.workspace import LINKED
from tasks.dvc_lock import read_lock
from tasks.paths import CHAMPION, GENERATORS, LORAS, MESHES, VOTES, WATCHED
from verdict3d.config_values import NAME
from verdict3d.errors import Verdict3DError
from verdict3d.processes.commands import run_supervised
from verdict3d.project import TRAIN, Workspace
from verdict3d.records.adapters import adapter_identity
from verdict3d.records.files import write_bytes
from verdict3d.records.record import read_record
from verdict3d.records.recorded_runs import RunOrigin
from verdict3d.records.yaml_files import read_yaml

Say = Callable[[str], None]
TAKEN = ("params.yaml", str(CHAMPION), str(CHAMPION.parent))
ALL = "all"
"""Given as a stage to run again: every stage, without a cache."""


@dataclass(frozen=True)
class StageMatch:
    """One stage beside its recorded self: what was done, and which parts of its lock entry differ."""

    stage: str
    outcome: str
    differing: tuple[str, ...]


def reproduce_run(
    workspace: Workspace, reference: str, into: Path | None, again: Sequence[str], say: Say
) -> list[StageMatch]:
    """Reproduce a version or run; return every stage beside its recorded self.

    Args:
        workspace: Whose registry and cache.
        reference: Version or run id.
        into: Folder to make; None: below the project's state folder, emptied first.
        again: Stages that are run even when the cache holds their outputs; ``all`` for every one.
        say: Prints a line.

    Raises:
        Verdict3DError: The reference is unknown, its files are not those of the run, its commit is not here,
        the folder is in use, or a stage fails.
    """
    environment = make_project_environment(workspace.project)
    if into and into.exists() and any(into.iterdir()):
        raise Verdict3DError(f"{into} is not empty; give a folder that is not there yet")
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder, "inputs")
        found = _fetch(workspace, environment, reference, inputs)
        target = (into or workspace.state / "reproduce" / found.key[:12]).resolve()
        if into is None:
            shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True, exist_ok=True)
        target = _check_out(workspace, found, target, say)
        shutil.copytree(inputs, target, dirs_exist_ok=True)
    recorded = read_lock(target)
    verify_inputs(target, recorded)
    _copy_own_meshes(workspace.root, target)
    cache = target / ".dvc/cache" if ALL in again else workspace.project / ".dvc/cache"
    _share_remotes(workspace.project, target, cache)
    drop_damaged_listings(cache / "files/md5")
    outcomes = _run_stages(target, make_project_environment(target), again, say)
    made = read_lock(target)
    in_order = dict.fromkeys(stage for stage in (*outcomes, *recorded) if stage in recorded)
    matches = [
        StageMatch(stage, outcomes.get(stage, "gone"), compare_entries(recorded[stage], made.get(stage)))
        for stage in in_order
    ]
    if found.arm is not None:
        adapter = adapter_identity(target / TRAIN / found.arm)
        same = () if adapter == found.adapter else ("adapter",)
        matches.append(StageMatch(f"version {reference}", "compared", same))
    rows = [_format_match(match) for match in matches]
    say(format_text(("stage", "outcome", "compared with the record"), rows))
    say(f"in {target}")
    return matches


def compare_entries(recorded: dict[str, Any], now: dict[str, Any] | None) -> tuple[str, ...]:
    """Return which parts of a stage's lock entry are not as recorded: command, paths, parameters."""
    if now is None:
        return ("stage",)
    differing = ["command"] if recorded["cmd"] != now["cmd"] else []
    for part in ("deps", "outs"):
        before, after = (
            {row["path"]: row.get("md5") for row in lock.get(part, [])} for lock in (recorded, now)
        )
        differing += sorted(path for path in before | after if before.get(path) != after.get(path))
    if recorded.get("params") != now.get("params"):
        differing.append("parameters")
    return tuple(differing)


def verify_inputs(target: Path, recorded: dict[str, Any]) -> None:
    """Check what was taken from MLflow by the digests in a lock file, and the names that become commands.

    Args:
        target: Folder with ``params.yaml``, ``dvc.yaml`` and ``data/registry``.
        recorded: The entries of ``dvc.lock``, by stage.

    Raises:
        Verdict3DError: A file is not the one that the run read, or a name could be more than a name.
    """
    read = {row["path"]: row.get("md5") for entry in recorded.values() for row in entry.get("deps", [])}
    if "params.yaml" not in read:
        raise Verdict3DError("the dvc.lock of this run does not say which params.yaml it read")
    changed = [path for path in TAKEN if path in read and compute_dvc_digest(target / path) != read[path]]
    if changed:
        raise Verdict3DError(f"not what the run read, but changed in MLflow since: {', '.join(changed)}")
    values = read_yaml(target / "params.yaml")
    for stage in read_yaml(target / "dvc.yaml")["stages"].values():
        if "foreach" in stage:  # each item becomes a part of the stage's command
            items = values
            for key in stage["foreach"].removeprefix("${").removesuffix("}").split("."):
                items = items[key]
            if wrong := [item for item in items if not re.fullmatch(NAME, str(item))]:
                raise Verdict3DError(f"params.yaml of this run has names that are none: {wrong}")


def _fetch(workspace: Workspace, environment: dict[str, str], reference: str, inputs: Path) -> RunOrigin:
    lines: list[str] = []
    inputs.mkdir()
    result = inputs.with_name("result.json")
    ended = run_supervised(
        [
            sys.executable,
            "-m",
            "tasks.registry.reproduction",
            reference,
            workspace.preset or "",
            str(inputs),
            str(result),
        ],
        cwd=workspace.project,
        environment=environment,
        on_line=lambda line, redraws: lines.append(line),
    )
    if ended.status != 0:
        raise Verdict3DError("\n".join(lines[-5:]).partition("error: ")[2] or "\n".join(lines[-5:]))
    return read_record(result, RunOrigin)


def _check_out(workspace: Workspace, found: RunOrigin, target: Path, say: Say) -> Path:
    """Put the commit's code there; outside git this checkout's, whose digests then have to agree.

    Returns:
        The project's folder: ``target``, or one below it where the project is a part of its repository.
    """
    if found.commit is None:
        say("the run was made outside git: this checkout's code is taken, and its digests are compared")
        for name in (*LINKED, "presets", ".dvc/config"):
            source, place = workspace.project / name, target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copyfile(source, place)
        return target
    if found.dirty:
        say(f"made with uncommitted changes on {found.commit}: stages that they touched will differ")
    top = _run_git(workspace.project, "rev-parse", "--show-toplevel")
    _run_git(workspace.project, "clone", "--quiet", "--no-checkout", top, str(target))
    _run_git(target, "checkout", "--quiet", "--detach", found.commit)
    return target / _run_git(workspace.project, "rev-parse", "--show-prefix")


def _run_git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Verdict3DError(f"git {arguments[0]} failed in {folder}: {done.stderr.strip()[-300:]}")
    return done.stdout.strip()


def _copy_own_meshes(root: Path, target: Path) -> None:
    """Bring what neither git nor DVC's cache holds: own meshes, generators, LoRA sets, votes."""
    for place in (MESHES, GENERATORS, LORAS, VOTES, WATCHED):
        if (root / place).is_dir():
            shutil.copytree(root / place, target / place, dirs_exist_ok=True)


def _share_remotes(project: Path, target: Path, cache: Path) -> None:
    """Let the folder use the given cache, and the remotes that this checkout has of its own."""
    local = project / ".dvc/config.local"
    text = local.read_text(encoding="utf-8") if local.exists() else ""
    place = os.path.relpath(cache, target / ".dvc")
    write_bytes(target / ".dvc/config.local", f"{text}\n[cache]\n    dir = {place}\n".encode())


def _run_stages(target: Path, environment: dict[str, str], again: Sequence[str], say: Say) -> dict[str, str]:
    outcomes: dict[str, str] = {}
    graph = read_stage_graph(target, environment)
    unknown = sorted(set(again) - set(graph) - {ALL})
    if unknown:
        raise Verdict3DError(f"no stage {', '.join(unknown)}; there are: {', '.join(graph)}")
    for stage in graph:
        done = run_stage_through_dvc(
            stage,
            root=target,
            environment=environment,
            say=say,
            log_file=target / ".verdict3d/logs" / f"{stage}.log",
            force=stage in again,
        )
        outcomes[stage] = done.outcome
        say(f"{stage}: {done.outcome} ({done.seconds:.1f} s)")
    return outcomes


def _format_match(match: StageMatch) -> tuple[str, str, str]:
    same = f"differs: {', '.join(match.differing)}" if match.differing else "the same"
    return match.stage, match.outcome, same
