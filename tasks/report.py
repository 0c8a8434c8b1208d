"""Stage ``report``: one page that shows what the run found, ``data/report/index.html``.

It reads what the other stages left and names on the page what is not there. What the files hold stands with
the records (:mod:`verdict3d.records`); ``dvc.lock`` has the digests of the outputs of all other stages.

Writes ``index.html`` (below 6 MB: the gallery stops at 4 MB of pictures), ``rates/<arm>.json`` and
``losses/<arm>.csv`` (what ``dvc metrics show`` and ``dvc plots show`` show of any arms), and ``metrics.json``
(``{"arms": {arm: {regime: headline numbers and standing}}, "missing", "page_bytes", "exhibits",
"quarantined", "failed", "people": what people say, or null}``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, get_args

from tasks.asking.comparisons import make_measuring
from tasks.paths import (
    ASSETS,
    CONTROLS,
    DECISION,
    DEGRADE,
    EVALUATE,
    GENERATE,
    LABEL,
    PREFLIGHT,
    Conditions,
    read_assets,
    read_conditions,
    read_generations,
)
from tasks.scoring.origins import collect_provenance, read_stages
from tasks.scoring.people import report_on_people
from tasks.stage import run_stage
from verdict3d.config import Params
from verdict3d.config_judges import JudgeRole
from verdict3d.judge.audit.ordering import group_arms_by_gap
from verdict3d.project import AUDIT, CERTIFY, PAGE, REPORT, TRAIN, audit_path, locate_certificate
from verdict3d.randomness import numpy_generator
from verdict3d.records.assets import Asset, Quarantined, list_noted
from verdict3d.records.certificates import Certificate, Stratum
from verdict3d.records.decisions import Decision
from verdict3d.records.files import write_bytes, write_json
from verdict3d.records.losses import read_losses
from verdict3d.records.pairs import ControlPair
from verdict3d.records.record import read_record, read_rows
from verdict3d.records.results import Labels, Preflight, Results
from verdict3d.records.verdicts import ControlVerdict, HeldoutVerdict
from verdict3d.records.yaml_files import format_yaml
from verdict3d.stats.preflight import describe_preflight
from verdict3d.view.arms import find_control, rank_arms
from verdict3d.view.audit import compare_judges, pick_examples
from verdict3d.view.content import Audit, Failures, LossCurve, Report
from verdict3d.view.gallery import pick_gallery
from verdict3d.view.page import collect_metrics, collect_people, collect_rates, render_page
from verdict3d.view.views import name_missing

T = TypeVar("T")


def run(params: Params, root: Path) -> None:
    """Write the report of the run below ``root``."""
    report = gather(params, root)
    page = render_page(report).encode()
    write_bytes(root / PAGE, page)
    write_json(
        root / REPORT / "metrics.json",
        {
            "arms": collect_metrics(report),
            "exhibits": len(report.exhibits),
            "failed": sum(item.count for item in report.failures or ()),
            "missing": name_missing(report),
            "page_bytes": len(page),
            "people": collect_people(report),
            "quarantined": len(report.quarantine or ()),
        },
    )
    for arm, rates in collect_rates(report).items():
        write_json(root / REPORT / "rates" / f"{arm}.json", rates)
    for curve in report.curves:
        losses = (root / TRAIN / curve.arm / "losses.csv").read_bytes()
        write_bytes(root / REPORT / "losses" / f"{curve.arm}.csv", losses)
    print(f"report: {root / PAGE} ({len(page) / 1e6:.1f} MB)")


def gather(params: Params, root: Path, stopped: str = "") -> Report:
    """Collect the report's content from what the stages wrote below ``root``.

    Args:
        params: Parameters of the run.
        root: Folder of ``data``.
        stopped: Why the run has stopped before its end; the page says it first.
    """
    arms = params.train.arms
    evaluations = _read_all(
        lambda path: read_record(path, Results), {arm: root / EVALUATE / arm / "results.json" for arm in arms}
    )
    verdicts = _read_all(
        _read_heldout_verdicts, {arm: root / EVALUATE / arm / "verdicts.jsonl" for arm in arms}
    )
    losses = {arm: root / TRAIN / arm / "losses.csv" for arm in arms}
    quarantine = _read(lambda path: read_rows(path, Quarantined), root / ASSETS / "quarantine.jsonl")
    assets = _read(lambda path: read_rows(path, Asset), root / ASSETS / "assets.jsonl")
    labels = _read(lambda path: read_record(path, Labels), root / LABEL / "metrics.json")
    controls = {
        arm: kind for arm in evaluations if (kind := find_control(params.train.sections[arm].model_dump()))
    }
    certificates = _read_all(
        lambda path: read_record(path, Certificate),
        {role: root / _find_certificate(root, role) for role in get_args(JudgeRole)},
    )
    answers = {
        role: [
            row
            for folder in (AUDIT, CERTIFY)
            if (path := root / folder / role / "verdicts.jsonl").is_file()
            for row in read_rows(path, ControlVerdict)
        ]
        for role in certificates
    }
    controls_asked = _read(lambda path: read_rows(path, ControlPair), root / CONTROLS / "pairs.jsonl")
    examples = pick_examples(root, controls_asked or [])
    exhibits, available = pick_gallery(root, verdicts, _read_conditions(root), params.report.gallery)
    promotion = _read(lambda path: read_record(path, Decision), root / DECISION)
    return Report(
        arms=arms,
        target=params.evaluate.target,
        confidence=params.evaluate.confidence,
        evaluations=evaluations,
        controls=controls,
        least_headroom=params.preflight.least_headroom,
        rankings=rank_arms(
            {arm: verdicts[arm] for arm in evaluations},
            {
                arm: {name: part.summary.p_value for name, part in found.regimes.items()}
                for arm, found in evaluations.items()
            },
            [arm for arm in evaluations if arm not in controls],
            lambda regime: numpy_generator(params.seed, "bradley_terry", regime),
            params.evaluate.confidence,
        ),
        preflight=_read_preflight(params, root, promotion),
        people=report_on_people(params, root),
        labels=labels.kinds if labels else {},
        curves=tuple(_read_loss_curve(path, arm) for arm, path in losses.items() if path.is_file()),
        exhibits=exhibits,
        exhibits_of=available,
        quarantine=None if quarantine is None else tuple(quarantine),
        noted=list_noted(assets or ()),
        failures=_list_failures(root, evaluations),
        stages=read_stages(root),
        promotion=promotion,
        audits=tuple(
            Audit(role, certificate, examples, _group_arms_by_gap(params, root, role))
            for role, certificate in certificates.items()
        ),
        agreements=tuple(
            compare_judges(
                certificates,
                answers,
                lambda name: numpy_generator(params.seed, "report agreement", name),
                params.evaluate.confidence,
            )
        ),
        stopped=stopped,
        warnings=_collect_warnings(certificates, evaluations, labels),
        provenance=collect_provenance(params, root, evaluations),
        parameters=format_yaml(params.experiment()),
    )


def _find_certificate(root: Path, role: JudgeRole) -> Path:
    """Return where a judge's whole certificate is, or that on the objects alone where there is no other."""
    whole = locate_certificate(role)
    return whole if (root / whole).is_file() else audit_path(role)


def _group_arms_by_gap(params: Params, root: Path, role: str) -> list[Stratum]:
    """Return how often a judge was right about the arms that were evaluated, by gap of F-score."""
    name = "verdicts.jsonl" if role == "evaluation" else f"{role}_judge.jsonl"
    paths = [root / EVALUATE / arm / name for arm in params.train.arms]
    rows = [row for path in paths if path.is_file() for row in _read_heldout_verdicts(path)]
    return group_arms_by_gap(make_measuring(params, role), rows) if rows else []


def _read_heldout_verdicts(path: Path) -> list[HeldoutVerdict]:
    return read_rows(path, HeldoutVerdict)


def _read(read: Callable[[Path], T], path: Path) -> T | None:
    """Return what a stage wrote; None where it wrote nothing."""
    return read(path) if path.is_file() else None


def _read_all(read: Callable[[Path], T], paths: Mapping[str, Path]) -> dict[str, T]:
    """Return what stages wrote, by name, without what is not there."""
    return {name: read(path) for name, path in paths.items() if path.is_file()}


def _read_conditions(root: Path) -> Conditions:
    """Return the input pictures as far as the stages made them."""
    there = all((root / path).is_file() for path in (ASSETS / "assets.jsonl", DEGRADE / "conditions.jsonl"))
    return read_conditions(root, read_assets(root)) if there else {}


def _read_preflight(params: Params, root: Path, promotion: Decision | None) -> tuple[str, ...]:
    found = _read(lambda path: read_record(path, Preflight), root / PREFLIGHT / "preflight.json")
    limits = params.preflight
    if found is None:
        return ()
    return tuple(
        describe_preflight(
            found, params.evaluate.target, limits.power, limits.least_headroom, _is_decided(promotion)
        )
    )


def _is_decided(promotion: Decision | None) -> bool:
    """Say whether a candidate was promoted, or every one rejected."""
    if promotion is None:
        return False
    return promotion.chosen is not None or all(one.decision == "REJECT" for one in promotion.arms.values())


def _collect_warnings(
    certificates: Mapping[str, Certificate], evaluations: Mapping[str, Results], labels: Labels | None
) -> tuple[str, ...]:
    """Return what a reader must know before believing a number, each sentence once."""
    notes = [warning for found in certificates.values() for warning in found.warnings]
    used = {f"an evaluation judge ({arm})": found.certificate for arm, found in evaluations.items()}
    if labels:
        used = {"a training judge": labels.certificate, **used}
    for judge, shown in used.items():
        if not shown.certified:
            words = "; ".join(shown.objections)
            notes.append(f"made with {judge} that is not certified, never to be promoted: {words}")
    return tuple(dict.fromkeys(notes))


def _read_loss_curve(path: Path, arm: str) -> LossCurve:
    losses = read_losses(path)
    drawn = {name: values for name, values in losses.columns.items() if "loss" in name}
    return LossCurve(arm, losses.step_name, losses.steps, drawn)


def _list_failures(root: Path, evaluations: Mapping[str, Results]) -> tuple[Failures, ...] | None:
    """Return failed items by place and reason; None when no stage left a record."""
    generated = (root / GENERATE / "generations.jsonl").is_file()
    if not generated and not evaluations:
        return None
    failed: dict[str, list[str]] = {}
    for row in read_generations(root) if generated else ():
        if row.failure is not None:
            failed.setdefault(row.failure, []).append(row.id)
    return (
        *(
            Failures(f"evaluate, {arm}", arm, reason, count)
            for arm, results in sorted(evaluations.items())
            for reason, count in sorted(results.failures.items())
            if count
        ),
        *(Failures("generate", None, reason, len(ids), ids) for reason, ids in sorted(failed.items())),
    )


if __name__ == "__main__":
    run_stage(run)
