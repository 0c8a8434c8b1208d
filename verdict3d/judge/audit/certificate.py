"""A certificate: what a judge has shown on the controls, for which rig, prompt and panel, and until when.

JSON, schema ``verdict3d/certificate/1``: ``role``, ``passed``, ``reasons`` (why not), ``judge`` (its identity
with ``digest``), ``panel`` (how it was chosen), ``stack``, ``lineage``, ``rig``, ``controls``, ``curves``,
``comparisons``, ``temperature``, ``thresholds``, ``validity``, ``warnings``. Weights that are known by their
digest do not age, so their certificate has no date and the same audit gives the same bytes; what stands
behind an endpoint may change under its name, so that certificate has a day of issue and ends after
``validity.days``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from verdict3d.judge.audit.controls import Finding
from verdict3d.judge.identity import ENDPOINT, JudgeIdentity

SCHEMA = "verdict3d/certificate/1"


def issue(
    role: str,
    judge: JudgeIdentity,
    rig: str,
    findings: Mapping[str, Finding],
    *,
    thresholds: Mapping[str, float],
    valid_days: int,
    today: date,
    **parts: Any,
) -> dict[str, Any]:
    """Return the certificate of a judge that was audited.

    Args:
        role: ``training``, ``evaluation`` or ``third``.
        judge: Who was audited.
        rig: Digest of the rig that drew the controls.
        findings: What each control says.
        thresholds: What was asked for.
        valid_days: How long a judge without a digest of its weights is trusted.
        today: Day of issue for such a judge.
        **parts: ``panel``, ``stack``, ``lineage``, ``curves``, ``comparisons``, ``temperature`` and the like.
    """
    reasons = [f"{name}: {finding.shortfall}" for name, finding in findings.items() if not finding.passed]
    ages = judge.model_class == ENDPOINT
    return {
        "schema": SCHEMA,
        "role": role,
        "passed": not reasons,
        "reasons": reasons,
        "judge": {**asdict(judge), "digest": judge.digest},
        "rig": rig,
        "controls": {name: finding.as_dict() for name, finding in findings.items()},
        "thresholds": dict(thresholds),
        "validity": {
            "days": valid_days if ages else None,
            "issued": today.isoformat() if ages else None,
            "until": (today + timedelta(days=valid_days)).isoformat() if ages else None,
        },
        **parts,
    }


def objections(
    certificate: Mapping[str, Any] | None, judge: JudgeIdentity, rig: str, today: date
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
    if certificate.get("schema") != SCHEMA:
        return [f"its certificate is of schema {certificate.get('schema')!r}, expected {SCHEMA!r}"]
    found = []
    if certificate["judge"]["digest"] != judge.digest:
        changed = [
            name
            for name, value in asdict(judge).items()
            if name != "model" and certificate["judge"].get(name) != value
        ]
        found.append(f"its certificate is for another judge: {', '.join(changed)} differ")
    if certificate["rig"] != rig:
        found.append("its certificate is for another rig")
    until = certificate["validity"]["until"]
    if until is not None and date.fromisoformat(until) < today:
        found.append(f"its certificate ended on {until}")
    if not certificate["passed"] and not found:
        found += [f"it failed the control {reason}" for reason in certificate["reasons"]]
    return found
