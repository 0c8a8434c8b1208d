"""What a finished run amounts to, collected from the files the stages wrote: the material of tracking.

Knows files only, not MLflow. Everything here follows from ``params.yaml``, ``dvc.lock`` and ``data``, so a
run can be recorded after the fact, and twice without harm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks.paths import CHAMPION_RECORD, DATA, EVALUATE, GATE, HOLDOUT, PAGE, TRAIN, locate_certificate
from tasks.tracking.run_values import (
    clean_name,
    collect_ties,
    collect_win_rates,
    flatten,
    flatten_numbers,
    make_certificate_tags,
    read_series,
)
from verdict3d.errors import Verdict3DError
from verdict3d.provenance import ask_git, digest_file
from verdict3d.records.adapters import adapter_files
from verdict3d.records.certificates import Certificate
from verdict3d.records.files import read_json
from verdict3d.records.generations import Generation
from verdict3d.records.record import read_record, read_rows
from verdict3d.records.results import Results
from verdict3d.records.yaml_files import read_yaml

MONTAGES_KEPT = 8
NO_PRESET = "none"
"""Tag of a run without a preset."""


@dataclass
class RunPart:
    """One MLflow run to be: the run itself, or one arm of it.

    Attributes:
        name: What people see.
        params: Flattened parameters.
        tags: Where it came from.
        metrics: Numbers, by name.
        series: Numbers over training steps, by name: lists of (step, value).
        artifacts: Files to keep: (path, folder among the artifacts, "" for their top).
    """

    name: str
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    series: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    artifacts: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class RunRecord:
    """A whole run.

    Attributes:
        key: SHA-256 of ``dvc.lock``, which identifies it.
        seconds: How long its stages took, together.
        parent: The run itself.
        arms: One child for each arm.
    """

    key: str
    seconds: float
    parent: RunPart
    arms: list[RunPart]

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunRecord:
        """Read :meth:`as_dict` back.

        Raises:
            KeyError: A field is missing.
            TypeError: A part has a field that this version does not know.
        """
        return cls(
            key=values["key"],
            seconds=values["seconds"],
            parent=RunPart(**values["parent"]),
            arms=[RunPart(**arm) for arm in values["arms"]],
        )


def run_key(root: Path) -> str | None:
    """Return the SHA-256 of ``dvc.lock``: equal for two runs with the same parameters, code and results."""
    lock = root / "dvc.lock"
    return digest_file(lock) if lock.is_file() else None


def collect_run(
    root: Path,
    preset: str = "",
    stages: list[dict[str, Any]] | None = None,
    beside: Sequence[tuple[Path, str]] = (),
) -> RunRecord:
    """Collect the run below ``root``.

    Args:
        root: Folder of ``params.yaml``, ``dvc.lock`` and ``data``.
        preset: Name of the preset it ran with, "" for none.
        stages: What became of every stage (stage, outcome, seconds, max_rss_mib).
        beside: Other files to keep, each with its folder among the artifacts.

    Raises:
        Verdict3DError: There is no finished run.
    """
    key = run_key(root)
    if key is None:
        raise Verdict3DError(f"{root / 'dvc.lock'} is missing; nothing has been run here")
    params = read_yaml(root / "params.yaml")
    arms = [str(arm) for arm in params["train"]["arms"]]
    tags = {
        **read_source_tags(root),
        **{f"package.{name}": version(name) for name in ("verdict3d", "torch", "transformers")},
        **_read_lock_tags(root),
        "dvc.lock": key,
        "preset": preset or NO_PRESET,
    }
    parent = RunPart(name=f"{preset or 'run'} {key[:8]}", params=dict(flatten(params)), tags=tags)
    seconds = 0.0
    for stage in stages or []:
        parent.tags[f"stage.{clean_name(stage['stage'])}"] = stage["outcome"]
        if stage["seconds"] is not None:
            seconds += stage["seconds"]
            parent.metrics[f"seconds.{clean_name(stage['stage'])}"] = stage["seconds"]
            parent.metrics[f"max_rss_mib.{clean_name(stage['stage'])}"] = stage["max_rss_mib"]
    for path in sorted((root / DATA).glob("*/metrics.json")):
        parent.metrics |= dict(flatten_numbers(read_json(path), path.parent.name))
    audits = sorted(root.glob(str(locate_certificate("*"))))
    for path in audits:
        parent.tags |= make_certificate_tags(read_record(path, Certificate))
        found = read_json(path.with_name("metrics.json"))
        parent.metrics |= dict(flatten_numbers(found, f"audit.{path.parent.name}"))
    parent.tags["judges.uncertified_allowed"] = json.dumps(
        bool(params.get("audit", {}).get("allow_uncertified"))
    )
    parent.artifacts = _keep_existing(
        [
            (root / "params.yaml", ""),
            (root / "dvc.lock", ""),
            (root / PAGE, "report"),
            *((path, f"certificates/{path.parent.name}") for path in audits),
            *((root / GATE / name, "gate") for name in ("decision.json", "evidence.json")),
            (root / CHAMPION_RECORD, "registry"),
            (root / HOLDOUT, "registry"),
            *beside,
        ]
    )
    for arm in arms:
        if (path := root / EVALUATE / arm / "results.json").is_file():
            parent.metrics |= collect_ties(read_record(path, Results))
    children = [_collect_arm(root, arm, params, tags) for arm in arms]
    for child in children:
        parent.metrics |= {f"{child.name}.{name}": value for name, value in child.metrics.items()}
    return RunRecord(key, seconds, parent, children)


def _collect_arm(root: Path, arm: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> RunPart:
    part = RunPart(name=arm, params=dict(flatten(params["train"].get(arm, {}))))
    part.tags = {**{name: tags[name] for name in ("dvc.lock", "preset")}, "arm": arm}
    trained, evaluated = root / TRAIN / arm, root / EVALUATE / arm
    for name, path in (("train", trained / "metrics.json"), ("evaluate", evaluated / "metrics.json")):
        if path.is_file():
            part.metrics |= dict(flatten_numbers(read_json(path), name))
    results = evaluated / "results.json"
    if results.is_file():
        part.metrics |= collect_win_rates(read_record(results, Results))
    if (trained / "losses.csv").is_file():
        part.series = read_series(trained / "losses.csv")
    part.artifacts = _keep_existing(
        [
            *((trained / name, "adapter") for name in adapter_files(trained)),
            (trained / "losses.csv", "training"),
            (results, "evaluation"),
            *((path, "montages") for path in _find_montages(root, evaluated)),
        ]
    )
    return part


def _read_lock_tags(root: Path) -> dict[str, str]:
    """Return the digest of every output that DVC recorded."""
    lock = read_yaml(root / "dvc.lock")
    tags = {}
    for stage, entry in lock.get("stages", {}).items():
        digests = [f"{out['path']}={out.get('md5', '')}" for out in entry.get("outs", [])]
        tags[f"dvc.out.{clean_name(stage)}"] = " ".join(digests)
    return tags


def read_source_tags(root: Path) -> dict[str, str]:
    """Return the git commit and whether the tree differs from it; nothing outside git.

    ``dvc.lock`` does not count: it records results, and every run on another machine changes it.
    """
    commit = ask_git(root, "rev-parse", "HEAD")
    if not commit:
        return {}
    changes = ask_git(root, "status", "--porcelain", "--", ":/", ":(exclude,top)dvc.lock")
    return {
        "git.commit": commit,
        "git.dirty": "true" if changes else "false",
        "mlflow.source.git.commit": commit,
    }


def _find_montages(root: Path, evaluated: Path) -> list[Path]:
    manifest = evaluated / "generations.jsonl"
    rows = read_rows(manifest, Generation) if manifest.is_file() else []
    return [root / row.montage for row in rows if row.montage][:MONTAGES_KEPT]


def _keep_existing(artifacts: list[tuple[Path, str]]) -> list[tuple[str, str]]:
    return [(str(path), folder) for path, folder in artifacts if path.is_file()]
