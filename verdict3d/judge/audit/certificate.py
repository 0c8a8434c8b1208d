"""A certificate: what a judge has shown on the controls, for which rig, prompt and panel, and until when.

Weights that are known by their digest do not age, so their certificate has no date and the same audit gives
the same bytes; what stands behind an endpoint may change under its name, so that certificate has a day of
issue and ends after ``validity.days``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from verdict3d.config_judges import AuditThresholds
from verdict3d.judge.identity import ENDPOINT, JudgeIdentity
from verdict3d.records.certificates import (
    Certificate,
    Comparisons,
    Curve,
    Finding,
    Lineage,
    Ordering,
    PanelChoice,
    Sureness,
    Thresholds,
    Validity,
)


def issue(
    role: str,
    judge: JudgeIdentity,
    rig: str,
    findings: Mapping[str, Finding],
    *,
    taught: Sequence[str],
    sureness: Sureness,
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
    objects: int,
) -> Certificate:
    """Return the certificate of a judge that was audited on the objects, before anything is generated.

    Args:
        role: ``training``, ``evaluation`` or ``third``.
        judge: Who was audited.
        rig: Digest of the rig that drew the controls.
        findings: What each control says.
        taught: As in :class:`Certificate`.
        sureness: Likewise.
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
        objects: Objects.
    """
    ages = judge.model_class == ENDPOINT
    reasons = find_reasons_against(findings)
    return Certificate(
        role=role,
        passed=not reasons,
        reasons=reasons,
        judge=judge.record(),
        rig=rig,
        controls=dict(findings),
        taught=list(taught),
        limitations=list_limitations(taught, findings, None),
        sureness=sureness,
        ordering=None,
        generator=None,
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
        objects=objects,
    )


def complete(
    certificate: Certificate,
    findings: Mapping[str, Finding],
    ordering: Ordering,
    questions: int,
    objects: int,
) -> Certificate:
    """Return a certificate with what the same judge says of generations.

    Args:
        certificate: From :func:`issue`.
        findings: What each control on generations says.
        ordering: What the judge orders.
        questions: Pairs of generations that were asked about.
        objects: Objects of the certificate and of these pairs.
    """
    controls = {**certificate.controls, **findings}
    reasons = find_reasons_against(controls)
    return certificate.model_copy(
        update={
            "passed": not reasons,
            "reasons": reasons,
            "controls": controls,
            "limitations": list_limitations(certificate.taught, controls, ordering),
            "ordering": ordering,
            "questions": certificate.questions + questions,
            "objects": objects,
        }
    )


def find_reasons_against(findings: Mapping[str, Finding]) -> list[str]:
    """Return which required controls failed and by how much."""
    return [
        f"{name}: {finding.shortfall}"
        for name, finding in findings.items()
        if finding.required and not finding.passed
    ]


def list_limitations(
    taught: Sequence[str], controls: Mapping[str, Finding], ordering: Ordering | None
) -> list[str]:
    """Return what a certificate does not show, a sentence each.

    Args:
        taught: As in :class:`Certificate`, like ``ordering``.
        controls: What each control says.
        ordering: None before the judge has seen generations.
    """
    found = []
    if taught:
        found.append(
            f"This judge was taught {len(taught)} of the kinds of damage that it is tried on ("
            + ", ".join(name.replace("_", " ") for name in taught)
            + ") and the rig that draws them; that it sees these is no evidence about judges that were not "
            "taught so, and on objects of the world that it learned from none about other objects. "
            "The control untaught_gap is about the other kinds alone."
        )
    if ordering is not None:
        found.append(_describe_ordered(ordering))
    if "camera" not in controls:
        found.append("It looks from one view set: whether its word follows the camera has not been tried.")
    if not (colour := controls["colour"]).passed:
        found.append(f"No colour is judged: {colour.shortfall}.")
    return found


def _describe_ordered(ordering: Ordering) -> str:
    seen = ordering.curve.threshold if ordering.curve else None
    if seen is None or seen.value is None:
        return (
            "Among generations there is no gap of F-score, of those that occurred, at which it is right in "
            "three of four: single verdicts order nothing, only means over many objects do."
        )
    bounds = f"{seen.low or 0.0:.2f} to {'beyond' if seen.high is None else f'{seen.high:.2f}'}"
    return (
        f"Among generations it is right in three of four from a gap of F-score of {seen.value:.2f} on "
        f"({bounds}); below that a single verdict says little, and only means over many objects count."
    )


def list_objections(
    certificate: Certificate | None, judge: JudgeIdentity, rig: str, today: date
) -> list[str]:
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
            for name, value in judge.model_dump().items()
            if name != "model" and getattr(certificate.judge, name) != value
        ]
        found.append(f"its certificate is for another judge: {', '.join(changed)} differ")
    if certificate.rig != rig:
        found.append("its certificate is for another rig")
    if certificate.ordering is None and certificate.passed and not found:
        found.append("it has been tried on the objects alone; the stage certify tries it on generations")
    until = certificate.validity.until
    if until is not None and date.fromisoformat(until) < today:
        found.append(f"its certificate ended on {until}")
    if not certificate.passed and not found:
        found += [f"it failed the control {reason}" for reason in certificate.reasons]
    return found
