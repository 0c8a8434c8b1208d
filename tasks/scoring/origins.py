"""What a run was made of, as the report names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tasks.paths import GENERATE
from tasks.stage_order import read_locked_stages
from verdict3d.config import Params
from verdict3d.config_generators import TrellisParams
from verdict3d.project import TRAIN
from verdict3d.provenance import digest_directory, digest_file, digest_json
from verdict3d.records.adapters import WEIGHTS
from verdict3d.records.generators import GENERATOR, GeneratorRecord
from verdict3d.records.record import read_record
from verdict3d.records.results import Results
from verdict3d.view.content import StageOutputs

MOST_DIGESTED_BYTES = 512 * 2**20


def read_stages(root: Path) -> tuple[StageOutputs, ...]:
    """Return the stages that ``dvc.lock`` below ``root`` knows with the digests of their outputs."""
    found = []
    for name, stage in read_locked_stages(root).items():
        if name != "report":
            digests = [f"{out['path']} {out.get('md5', '')}" for out in stage.get("outs", ())]
            found.append(StageOutputs(name, "; ".join(digests) or None))
    return tuple(found)


def collect_provenance(params: Params, root: Path, evaluations: Mapping[str, Results]) -> dict[str, str]:
    """Return names and values that identify a run: seed, and digests of parameters, models and adapters."""
    values = {
        "Seed": str(params.seed),
        "Parameters, SHA-256": digest_json(params.experiment()),
        "Generator": _describe_generator(params, root),
    }
    for role, judge in params.judges.by_role.items():
        values[f"{role.capitalize()} judge"] = _describe_model(root, judge.model, judge.revision)
    for arm, results in evaluations.items():
        identity = sorted(results.judge.model_dump().items())
        values[f"Judge of {arm}"] = "; ".join(f"{key}: {value}" for key, value in identity)
    for arm in params.train.arms:
        adapter = root / TRAIN / arm / WEIGHTS
        if adapter.exists():
            values[f"Adapter of {arm}, SHA-256"] = digest_file(adapter)
    return values


def _describe_generator(params: Params, root: Path) -> str:
    """Return the configured generator; of one that is not ours the record that its meshes came with."""
    generator = params.generator
    if isinstance(generator, TrellisParams):
        return _describe_model(root, generator.model, generator.revision)
    path = root / GENERATE / GENERATOR
    record = read_record(path, GeneratorRecord) if path.is_file() else None
    made = "" if record is None else f", SHA-256 of its record {record.digest}"
    about = f"{generator.kind}, {generator.determinism}, surface {generator.surface}, {generator.licence}"
    return f"{generator.name} {generator.version} ({about}){made}"


def _describe_model(root: Path, model: str, revision: str | None = None) -> str:
    """Return a model's place with a digest of its files (very large ones go by their revision only)."""
    folder = root / model
    if not folder.is_dir():
        return f"{model}, revision {revision or 'not pinned'}"
    if sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) > MOST_DIGESTED_BYTES:
        return f"{model}, too large to digest"
    return f"{model}, SHA-256 {digest_directory(folder)}"
