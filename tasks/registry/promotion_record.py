"""The record of a decision, bound to everything it rests on. Same inputs, same bytes: no times, no paths.

Knows files only, not MLflow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.paths import DECISION
from tasks.stage_order import read_locked_stages
from tasks.tracking.run_record import read_source_tags
from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.project import TRAIN, locate_certificate
from verdict3d.provenance import digest_file, digest_json
from verdict3d.records.adapters import adapter_identity, read_card
from verdict3d.records.certificates import Certificate
from verdict3d.records.decisions import Decision
from verdict3d.records.files import read_json, write_json
from verdict3d.records.promotion import BoundTo, Candidate, PromotionRecord
from verdict3d.records.record import read_record
from verdict3d.run_keys import run_key
from verdict3d.view.words import say_outlook

PROGRESS = "promotion: "
"""Begins the lines that :mod:`tasks.registry.promotion` prints for people while it works."""

RECORDS = Path(".verdict3d/promotions")
"""Kept records, below the project; ``acted`` in it names the last decision acted on, by preset."""


class RefusedError(Verdict3DError):
    """A decision that cannot be acted on: trying once more would end the same way."""


def make_record(params: Params, root: Path, arm: str = "", forced: str = "") -> PromotionRecord:
    """Return the record of the decision below ``root``.

    Args:
        params: Parameters of the run.
        root: Folder of ``params.yaml``, ``dvc.lock`` and ``data``.
        arm: The candidate; "" for the one that the gate has chosen, or else the one with the best
        half-credit.
        forced: Why the champion is moved whatever the gate says; "" when it is not.

    Raises:
        Verdict3DError: The gate has not decided, or on another adapter than the one that is there.
    """
    decision = read_record(root / DECISION, Decision)
    arm = arm or decision.chosen or find_leading_arm(decision)
    if arm not in decision.arms:
        raise Verdict3DError(f"{arm!r} is no candidate; promotion.arms names {', '.join(decision.arms)}")
    adapter = adapter_identity(root / TRAIN / arm)
    if adapter != decision.adapters[arm]:
        raise Verdict3DError(f"the gate decided on another adapter of {arm}; `verdict3d run` decides anew")
    key = run_key(root)
    if key is None:
        raise Verdict3DError(f"{root / 'dvc.lock'} is missing; nothing has been run here")
    source = read_source_tags(root)
    certificates = {}
    for role in ("training", "evaluation"):
        path = root / locate_certificate(role)
        if path.exists():
            read_record(path, Certificate)  # a damaged one is refused here
        certificates[role] = digest_file(path) if path.exists() else None
    return PromotionRecord(
        candidate=Candidate(arm=arm, adapter=adapter),
        decision=decision,
        forced=forced or None,
        bound_to=BoundTo(
            git_commit=source.get("git.commit"),
            git_dirty=source["git.dirty"] == "true" if source else None,
            dvc_lock=key,
            stages={name: digest_json(entry) for name, entry in read_locked_stages(root).items()},
            certificates=certificates,
            adapter=adapter,
            base=read_card(root / TRAIN / arm).base_digest,
            parameters=digest_json(params.experiment()),
        ),
    )


def locate_acted_file(project: Path, preset: str) -> Path:
    """Return the file that names the last decision that was acted on, whatever came of it."""
    return project / RECORDS / "acted" / f"{preset or 'default'}.json"


@contextmanager
def noting_acted(project: Path, root: Path, preset: str) -> Iterator[None]:
    """Write down that the decision below ``root`` has been acted on when the block ends, or refuses it."""
    done = {"decision": digest_file(root / DECISION)}
    try:
        yield
    except RefusedError:
        write_json(locate_acted_file(project, preset), done)
        raise
    write_json(locate_acted_file(project, preset), done)


def has_waiting_decision(project: Path, root: Path, preset: str) -> bool:
    """Tell whether there is a decision below ``root`` that has not been acted on, as after a killed run."""
    if not (root / DECISION).exists():
        return False
    return _read_acted(locate_acted_file(project, preset)) != digest_file(root / DECISION)


def _read_acted(path: Path) -> str | None:
    """Return the decision that was acted on; None where nothing says it: acting again moves nothing twice."""
    with suppress(Verdict3DError):
        acted = read_json(path)
        return acted.get("decision") if isinstance(acted, dict) else None
    return None


def find_leading_arm(decision: Decision) -> str:
    """Return the candidate with the best half-credit against the champion."""
    from verdict3d.stats.gate import summarise_half_credit  # scipy.stats comes with it

    return max(sorted(decision.arms), key=lambda arm: summarise_half_credit(decision.arms[arm]))


def describe_decision(record: PromotionRecord, arm: str) -> list[str]:
    """Return the lines of a version's card (Markdown) that say what was decided about an arm, and why."""
    decision = record.decision.arms[arm]
    return [
        f"Decision: **{decision.decision}** against {record.decision.champion.name}"
        + (f", moved by hand: {record.forced}" if record.forced else ""),
        "",
        *(f"* {condition.state}: {condition.words}" for condition in decision.conditions),
    ]


def explain(record: PromotionRecord) -> str:
    """Return the record for people: the decision, every condition, and what it is bound to."""
    arm, decision, bound = record.candidate.arm, record.decision, record.bound_to
    mine = decision.arms[arm]
    marks = {"met": "met   ", "open": "open  ", "failed": "FAILED"}
    lines = [f"{mine.decision}: {arm} against {decision.champion.name}"]
    if record.forced:
        lines.append(f"the champion was moved by hand: {record.forced}")
    lines += [f"  {marks[found.state]}  {found.words}" for found in mine.conditions]
    lines += [f"  not tested  {words}" for words in mine.untested]
    lines += say_outlook(mine)
    names = ("git_commit", "git_dirty", "dvc_lock", "adapter", "base", "parameters")
    lines += [f"  {name}: {getattr(bound, name)}" for name in names]
    lines += [f"  certificate of the {role} judge: {found}" for role, found in bound.certificates.items()]
    lines += [f"  stage {name}: {found}" for name, found in bound.stages.items()]
    return "\n".join(lines)
