"""A certificate: what a judge has shown on the controls, for which rig, prompt and panel, and until when.

Weights that are known by their digest do not age, so their certificate has no date and the same audit gives
the same bytes; what stands behind an endpoint may change under its name, so that certificate has a day of
issue and ends after ``validity.days``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta

from verdict3d.config import AuditThresholds
from verdict3d.judge.identity import ENDPOINT, JudgeIdentity
from verdict3d.records.certificates import (
    Certificate,
    Comparisons,
    Curve,
    Finding,
    Lineage,
    PanelChoice,
    Thresholds,
    Validity,
)


def issue(
    role: str,
    judge: JudgeIdentity,
    rig: str,
    findings: Mapping[str, Finding],
    *,
    thresholds: AuditThresholds,
    valid_days: int,
    today: date,
    panel: PanelChoice,
    stack: Mapping[str, str],
    lineage: Lineage,
    warnings: Sequence[str],
    curves: Mapping[str, Curve | None],
    comparisons: Comparisons,
    questions: int,
    holdout_objects: int,
) -> Certificate:
    """Return the certificate of a judge that was audited.

    Args:
        role: ``training``, ``evaluation`` or ``third``.
        judge: Who was audited.
        rig: Digest of the rig that drew the controls.
        findings: What each control says.
        thresholds: What was asked for.
        valid_days: How long a judge without a digest of its weights is trusted.
        today: Day of issue for such a judge.
        panel: As in :class:`Certificate`, like all that follow.
        stack: Packages.
        lineage: Where the judge comes from.
        warnings: Sentences.
        curves: By defect.
        comparisons: Of views.
        questions: Pairs.
        holdout_objects: Objects.
    """
    reasons = [f"{name}: {finding.shortfall}" for name, finding in findings.items() if not finding.passed]
    ages = judge.model_class == ENDPOINT
    return Certificate(
        role=role,
        passed=not reasons,
        reasons=reasons,
        judge=judge.record(),
        rig=rig,
        controls=dict(findings),
        thresholds=Thresholds(**thresholds.model_dump()),
        validity=Validity(
            days=valid_days if ages else None,
            issued=today.isoformat() if ages else None,
            until=(today + timedelta(days=valid_days)).isoformat() if ages else None,
        ),
        panel=panel,
        stack=dict(stack),
        lineage=lineage,
        warnings=list(warnings),
        curves=dict(curves),
        comparisons=comparisons,
        questions=questions,
        holdout_objects=holdout_objects,
    )


def objections(certificate: Certificate | None, judge: JudgeIdentity, rig: str, today: date) -> list[str]:
    """Return why a judge may not be used; empty when the certificate is valid for it.

    Args:
        certificate: The certificate, or None when there is none.
        judge: Who is to be asked.
        rig: Digest of the rig that drew what it will be shown.
        today: The day.
    """
    if certificate is None:
        return ["it has no certificate"]
    found = []
    if certificate.judge.digest != judge.digest:
        changed = [
            name
            for name, value in asdict(judge).items()
            if name != "model" and getattr(certificate.judge, name) != value
        ]
        found.append(f"its certificate is for another judge: {', '.join(changed)} differ")
    if certificate.rig != rig:
        found.append("its certificate is for another rig")
    until = certificate.validity.until
    if until is not None and date.fromisoformat(until) < today:
        found.append(f"its certificate ended on {until}")
    if not certificate.passed and not found:
        found += [f"it failed the control {reason}" for reason in certificate.reasons]
    return found
