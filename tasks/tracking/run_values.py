"""What MLflow compares runs by: parameters, tags, metrics and series, each under a name that it allows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from verdict3d.provenance import digest_json
from verdict3d.records.certificates import Certificate
from verdict3d.records.files import read_json
from verdict3d.records.losses import read_losses
from verdict3d.records.record import as_values
from verdict3d.records.results import Results


def make_certificate_tags(certificate: Certificate) -> dict[str, str]:
    """Return what a judge's certificate says, as tags: fate, digests, panel, language model and warnings."""
    role = f"judge.{certificate.role}"
    tags = {
        f"{role}.certified": json.dumps(certificate.passed),
        f"{role}.certificate": digest_json(as_values(certificate)),
        f"{role}.digest": certificate.judge.digest,
        f"{role}.panel": certificate.judge.panel,
        f"{role}.language_model": certificate.lineage.language_model,
    }
    if certificate.reasons:
        tags[f"{role}.failed"] = "; ".join(certificate.reasons)
    if certificate.warnings:
        tags[f"{role}.warnings"] = " ".join(certificate.warnings)
    return tags


def collect_win_rates(results: Results) -> dict[str, float]:
    """Return all win-rates with their bounds from an arm's ``results.json``, grouped by regime."""
    metrics: dict[str, float] = {}
    for regime, found in results.regimes.items():
        values = found.model_dump()
        metrics |= dict(flatten_numbers(values["summary"], regime))
        metrics |= dict(flatten_numbers(values["truth"], f"{regime}.truth"))
        beside = ("kappa_judge_truth", "over_optimisation_gap", "judge_agreement")
        metrics |= dict(flatten_numbers({name: values[name] for name in beside}, regime))
    return group_by_first(metrics)


def collect_stage_numbers(path: Path, group: str) -> dict[str, float]:
    """Return the numbers at the top of a stage's ``metrics.json``, as a group; the file has the others."""
    found = read_json(path)
    plain = {key: value for key, value in found.items() if not isinstance(value, Mapping)}
    return {f"{group}/{name.lstrip('.')}": value for name, value in flatten_numbers(plain, "")}


def collect_people_numbers(path: Path) -> dict[str, float]:
    """Return what people say, as the group ``people``, of the report's numbers; none without votes."""
    people = read_json(path).get("people") if path.is_file() else None
    return {f"people/{name.lstrip('.')}": value for name, value in flatten_numbers(people, "")}


def group_by_first(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics in groups, as MLflow shows them: ``severe.flips`` becomes ``severe/flips``."""
    return {name.replace(".", "/", 1): value for name, value in metrics.items()}


def collect_ties(results: Results) -> dict[str, float]:
    """Return what is followed over runs, as ``ties/<arm>/<regime>/...``: half-credit, ties and flips."""
    metrics = {}
    for regime, found in results.regimes.items():
        summary = found.summary
        tie_rate = None if summary.coverage is None else 1 - summary.coverage
        values = {
            "half_credit": summary.half_credit.value,
            "tie_rate": tie_rate,
            "flip_rate": summary.flip_rate,
        }
        for name, value in values.items():
            if value is not None:
                metrics[f"ties/{results.arm}/{regime}/{name}"] = value
    return metrics


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested parameters as (dotted name, text); lists of plain values are JSON, others numbered."""
    for key, value in values.items():
        name = f"{prefix}{clean_name(str(key))}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}.")
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            yield from flatten({str(place): one for place, one in enumerate(value, 1)}, f"{name}.")
        else:
            yield name, value if isinstance(value, str) else json.dumps(value)


def flatten_numbers(value: Any, name: str) -> Iterator[tuple[str, float]]:
    """Yield every finite number in nested mappings as (dotted name, value); undefined values are left out.

    An interval ``{"value", "low", "high"}`` becomes ``name``, ``name.low`` and ``name.high``.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flatten_numbers(inner, name if key == "value" else f"{name}.{clean_name(str(key))}")
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        yield name, float(value)


def read_series(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Read a table of losses as (step, value) by name; gaps are left out.

    Raises:
        Verdict3DError: A line is no row of numbers; it is named.
    """
    losses = read_losses(path)
    found = {
        clean_name(name): [
            (int(step), value)
            for step, value in zip(losses.steps, values, strict=True)
            if math.isfinite(value)
        ]
        for name, values in losses.columns.items()
    }
    return {name: series for name, series in found.items() if series}


def clean_name(name: str) -> str:
    """Return ``name`` with only the characters MLflow allows in names."""
    return "".join(sign if sign.isalnum() or sign in "_-./ " else "." for sign in name)
