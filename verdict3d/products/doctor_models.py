"""Are the configured models here, how large are they, and will they fit?"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from verdict3d.config import Params
from verdict3d.config_generators import AnyGenerator, TrellisParams
from verdict3d.config_judges import JudgeParams
from verdict3d.errors import Verdict3DError
from verdict3d.hub import (
    EXPECTED_BYTES,
    GENERATOR_PATTERNS,
    JUDGE_PATTERNS,
    TRANSFORMERS_PATTERNS,
    Presence,
    look_up,
)

GIB = 2**30
WORKING_GIB = 8.0
"""Room beside the weights for what a batch computes."""


@dataclass(frozen=True)
class ModelFinding:
    """One configured model.

    Args:
        role: What it is used for.
        ok: Whether a run can use it: it is here, or can be fetched and will fit on the disk.
        detail: For people.
        size_bytes: Size of all its files, as far as known.
    """

    role: str
    ok: bool
    detail: str
    size_bytes: int


def examine_models(params: Params, root: Path) -> list[ModelFinding]:
    """Look for every configured model; nothing is fetched."""
    judges = params.judges.by_role.items()
    findings = _find_generator(params.generator, root)
    return findings + [_find_judge(f"{role} judge", judge, root) for role, judge in judges]


def _find_generator(generator: AnyGenerator, root: Path) -> list[ModelFinding]:
    if not isinstance(generator, TrellisParams):
        return [_find_outside(generator, root)]
    findings = [_find("generator", generator.model, generator.revision, GENERATOR_PATTERNS, root)]
    if generator.conditioner:
        revision = generator.conditioner_revision
        findings.append(_find("conditioner", generator.conditioner, revision, TRANSFORMERS_PATTERNS, root))
    return findings


def _find_outside(generator: AnyGenerator, root: Path) -> ModelFinding:
    """Look for what is needed to ask a generator that is not ours; it is asked nothing."""
    from verdict3d.generators.registry import load_generator

    try:
        record = load_generator(generator, root).record
    except Verdict3DError as error:
        return ModelFinding("generator", False, str(error), 0)
    return ModelFinding("generator", True, f"{record.title}, {record.kind}, {record.determinism}", 0)


def _find_judge(role: str, judge: JudgeParams, root: Path) -> ModelFinding:
    if judge.endpoint is None:
        return _find(role, judge.model, judge.revision, JUDGE_PATTERNS, root)
    variable = judge.endpoint.key_variable
    ready = variable is None or bool(os.environ.get(variable))
    key = "no key" if variable is None else f"key in {variable}" if ready else f"{variable} is not set"
    return ModelFinding(role, ready, f"{judge.model} at {judge.endpoint.url}, {key}", 0)


def _find(role: str, model: str, revision: str | None, patterns: tuple[str, ...], root: Path) -> ModelFinding:
    try:
        presence = look_up(model, revision, patterns, root)
    except Verdict3DError as error:
        return ModelFinding(role, False, str(error), 0)
    if (root / model).is_dir():
        return _find_local(role, model, root / model, presence)
    named = model if revision is None else f"{model} at {revision}"
    return _find_on_hub(role, named, presence, EXPECTED_BYTES.get(model, 0))


def _find_local(role: str, model: str, place: Path, presence: Presence) -> ModelFinding:
    weights = any(place.rglob("*.safetensors"))
    size = f"{model}: {_format_size(presence.present_bytes)}"
    return ModelFinding(
        role, weights, size if weights else f"{model}: no weights in it", presence.present_bytes
    )


def _find_on_hub(role: str, model: str, presence: Presence, expected: int) -> ModelFinding:
    here = presence.present_bytes
    if presence.missing_bytes is None:
        found = f"{_format_size(here)} in the cache" if here else "not in the cache"
        whole = f", about {_format_size(expected)} in all" if expected else ""
        detail = f"{model}: {found}{whole}; the hub cannot be reached to compare"
        return ModelFinding(role, here > 0 and here >= 0.9 * expected, detail, max(here, expected))
    if presence.whole:
        return ModelFinding(role, True, f"{model}: {_format_size(here)}, in the cache", here)
    missing, free = presence.missing_bytes, shutil.disk_usage(Path.home()).free
    room = "" if missing < free else f", but only {_format_size(free)} of disk are free"
    detail = f"{model}: {_format_size(missing)} to fetch on first use, {_format_size(here)} here{room}"
    return ModelFinding(role, missing < free, detail, here + missing)


def examine_memory(findings: list[ModelFinding]) -> tuple[bool, str]:
    """Return whether the largest model fits into memory beside its work, and why.

    Stages load the generator with its conditioner, or one judge, at a time. A CPU computes in float32, so
    weights of 16 bits take twice their size.
    """
    import torch

    unknown = [finding.role for finding in findings if not finding.ok and not finding.size_bytes]
    if unknown:
        return False, f"the size of {', '.join(unknown)} is not known yet"
    sizes = {finding.role: finding.size_bytes for finding in findings}
    generator = sizes.pop("generator", 0) + sizes.pop("conditioner", 0)
    largest = max(generator, *sizes.values())
    if torch.cuda.is_available():
        name, memory, needed = torch.cuda.get_device_name(), torch.cuda.mem_get_info()[1], float(largest)
    else:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        name, memory, needed = "this machine", pages, 2.0 * largest
    working = WORKING_GIB * GIB if largest > GIB else 0.0
    fits = needed + working <= memory
    detail = f"peak memory {_format_size(needed + working)}, {name} has {_format_size(memory)}"
    return fits, detail if fits else f"{detail}; use a larger GPU, smaller models, or a judge behind a server"


def _format_size(count: float) -> str:
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / 2**20:.1f} MiB"
