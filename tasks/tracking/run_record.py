"""What a finished run amounts to, collected from the files the stages wrote: the material of tracking.

Knows files only, not MLflow. Everything here follows from ``params.yaml``, ``dvc.lock`` and ``data``, so a
run can be recorded after the fact, and twice without harm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter

from tasks.paths import ASSETS, CHAMPION_RECORD, DECISION, DEGRADE, EVALUATE, GATE, GENERATE, HOLDOUT, LABEL
from tasks.stage_order import read_locked_stages
from tasks.tracking.run_summary import RunSummary, select_numbers
from tasks.tracking.run_values import (
    clean_name,
    collect_people_numbers,
    collect_stage_numbers,
    collect_ties,
    collect_win_rates,
    flatten,
    make_certificate_tags,
    read_series,
)
from verdict3d.errors import Verdict3DError
from verdict3d.project import DATA, PAGE, REPORT, TRAIN, locate_certificate
from verdict3d.provenance import ask_git
from verdict3d.records.adapters import adapter_files
from verdict3d.records.certificates import Certificate
from verdict3d.records.decisions import Decision
from verdict3d.records.generations import Generation
from verdict3d.records.holdout import HoldoutSet
from verdict3d.records.record import read_record, read_rows
from verdict3d.records.results import Results
from verdict3d.records.stages import Samples, StageEnds
from verdict3d.records.yaml_files import read_yaml
from verdict3d.run_keys import run_key
from verdict3d.versions import find_versions

MONTAGES_KEPT = 8
PACKAGES = ("verdict3d", "torch", "transformers")
"""Those whose versions are tags of a run."""
DATASETS = (
    ("assets", ASSETS, "training and evaluation"),
    ("conditions", DEGRADE, "training and evaluation"),
    ("generations", GENERATE, "training and evaluation"),
    ("preferences", LABEL, "training"),
)
"""Name, folder and use of what MLflow calls datasets."""
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
        timed: Numbers over time, by name.
        artifacts: Files to keep: (path, folder among the artifacts, "" for their top).
        note: Description, in Markdown.
        datasets: Data it was made of: name, digest, source and context of each.
        model: Name of the model that it made, "" for none; its metrics are the model's.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    series: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    timed: Samples = field(default_factory=dict)
    artifacts: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""
    datasets: list[dict[str, str]] = field(default_factory=list)
    model: str = ""


@dataclass
class RunRecord:
    """A whole run.

    Attributes:
        key: What identifies it (:mod:`verdict3d.run_keys`).
        seconds: How long its stages took, together.
        parent: The run itself.
        arms: One child for each arm.
        preset: Name of the preset it ran with, "" for none.
        use: What it has asked of held-out objects; None: nothing was decided on them.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    key: str
    seconds: float
    parent: RunPart
    arms: list[RunPart]
    preset: str
    use: HoldoutSet | None

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {**asdict(self), "use": self.use and self.use.model_dump()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunRecord:
        """Read :meth:`as_dict` back.

        Raises:
            ValueError: It has other fields, or values of other types.
        """
        return TypeAdapter(cls).validate_python(values)


def collect_run(
    root: Path,
    preset: str = "",
    ends: StageEnds | None = None,
    beside: Sequence[tuple[Path, str]] = (),
) -> RunRecord:
    """Collect the run below ``root``.

    Args:
        root: Folder of ``params.yaml``, ``dvc.lock`` and ``data``.
        preset: Name of the preset it ran with, "" for none.
        ends: What became of every stage, and of the machine meanwhile.
        beside: Other files to keep, each with its folder among the artifacts.

    Raises:
        Verdict3DError: There is no finished run.
    """
    key = run_key(root)
    if key is None:
        raise Verdict3DError(f"{root / 'dvc.lock'} is missing; nothing has been run here")
    params, locked = read_yaml(root / "params.yaml"), read_locked_stages(root)
    arms = [str(arm) for arm in params["train"]["arms"]]
    tags = {
        **read_source_tags(root),
        **{f"package.{name}": found for name, found in find_versions(*PACKAGES).items()},
        **_make_lock_tags(locked),
        "dvc.lock": key,
        "preset": preset or NO_PRESET,
    }
    audits = sorted(root.glob(str(locate_certificate("*"))))
    certificates = [read_record(path, Certificate) for path in audits]
    found = _read_results(root, arms)
    summary = RunSummary(
        results=found,
        decision=read_record(root / DECISION, Decision) if (root / DECISION).is_file() else None,
        certified={one.role: one.passed for one in certificates},
        day=datetime.now(UTC).date().isoformat(),
        preset=preset,
    )
    parent = RunPart(
        name=summary.say_name(key),
        params=dict(flatten(params)),
        tags=tags,
        metrics=summary.select_numbers(),
        note=summary.describe(),
        datasets=_list_datasets(locked),
    )
    seconds = 0.0
    for end in ends.stages if ends else ():
        name = clean_name(end.stage)
        parent.tags[f"stage.{name}"] = end.outcome
        if end.seconds is None or end.max_rss_mib is None:
            continue
        seconds += end.seconds
        if end.outcome != "up to date":  # there it is what DVC took to see that
            parent.metrics[f"stages/seconds/{name}"] = end.seconds
            parent.metrics[f"stages/peak_memory_mib/{name}"] = end.max_rss_mib
    parent.timed = {f"system/{name}": points for name, points in (ends.machine if ends else {}).items()}
    numbers = sorted((root / DATA).glob("*/metrics.json"))
    for path in numbers:
        parent.metrics |= collect_stage_numbers(path, path.parent.name)
    parent.metrics |= collect_people_numbers(root / REPORT / "metrics.json")
    for certificate in certificates:
        parent.tags |= make_certificate_tags(certificate)
    for results in found.values():
        parent.metrics |= collect_ties(results)
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
            *((path, f"numbers/{path.parent.name}") for path in numbers),
            *beside,
        ]
    )
    children = [_collect_arm(root, arm, params, parent, found.get(arm)) for arm in arms]
    use = summary.decision.holdout if summary.decision else None
    return RunRecord(key, seconds, parent, children, preset, use)


def _collect_arm(
    root: Path, arm: str, params: Mapping[str, Any], parent: RunPart, results: Results | None
) -> RunPart:
    part = RunPart(name=arm, params=dict(flatten(params["train"].get(arm, {}))), model=arm)
    part.tags = {**{name: parent.tags[name] for name in ("dvc.lock", "preset")}, "arm": arm}
    trained, evaluated = root / TRAIN / arm, root / EVALUATE / arm
    if results is not None:
        part.metrics = {**select_numbers(results), **collect_win_rates(results)}
    if (trained / "metrics.json").is_file():
        part.metrics |= collect_stage_numbers(trained / "metrics.json", "training")
    if (trained / "losses.csv").is_file():
        part.series = {
            f"training/{name}": points for name, points in read_series(trained / "losses.csv").items()
        }
    part.datasets = parent.datasets
    part.artifacts = _keep_existing(
        [
            *((trained / name, "adapter") for name in adapter_files(trained)),
            (trained / "losses.csv", "training"),
            (trained / "metrics.json", "training"),
            (evaluated / "results.json", "evaluation"),
            *((path, "montages") for path in _find_montages(root, evaluated)),
        ]
    )
    return part


def _read_results(root: Path, arms: Sequence[str]) -> dict[str, Results]:
    paths = {arm: root / EVALUATE / arm / "results.json" for arm in arms}
    return {arm: read_record(path, Results) for arm, path in paths.items() if path.is_file()}


def _list_datasets(locked: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the data of a run by the digests that DVC recorded."""
    digests = {out["path"]: out.get("md5", "") for entry in locked.values() for out in entry.get("outs", [])}
    return [
        {"name": name, "digest": digests[path.as_posix()], "source": path.as_posix(), "context": context}
        for name, path, context in DATASETS
        if digests.get(path.as_posix())
    ]


def _make_lock_tags(locked: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of every output that DVC recorded."""
    tags = {}
    for stage, entry in locked.items():
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
