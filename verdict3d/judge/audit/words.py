"""A certificate in lines for people."""

from __future__ import annotations

from verdict3d.judge.audit.controls import CONTROLS
from verdict3d.judge.audit.panel_choice import describe_panel
from verdict3d.records.certificates import Certificate, Finding, Ordering, Sureness
from verdict3d.records.numbers import Interval


def describe(certificate: Certificate) -> list[str]:
    """Return the certificate in lines."""
    fate = "NOT certified" if not certificate.passed else "certified"
    if certificate.passed and certificate.ordering is None:
        fate = "certified on the objects; its word on generations is asked when there are some"
    lines = [
        f"{certificate.role} judge {certificate.judge.model}: {fate}",
        f"  {describe_panel(certificate.panel)}",
    ]
    for name in (name for name in CONTROLS if name in certificate.controls):
        found = certificate.controls[name]
        fate = "ok" if found.passed else "FAIL" if found.required else "off"
        lines.append(
            f"  {fate:4} {name:18} {describe_measured(found)}   ({found.shortfall or found.requirement})"
        )
    if certificate.ordering is not None:
        lines.append(f"  {describe_ordering(certificate.ordering)}")
    if certificate.generator is not None:
        lines.append(f"  asked about generations of {certificate.generator.title}")
    if words := describe_sureness(certificate.sureness):
        lines.append(f"  {words}")
    return lines + [f"  {sentence}" for sentence in certificate.limitations]


def describe_measured(found: Finding) -> str:
    """Return what a control measured: the quantity that its requirement is about."""
    return f"{found.of} {_format_interval(found.quantity)}, {found.pairs} pairs"


def describe_ordering(ordering: Ordering) -> str:
    """Return how often the judge is right by gap of F-score."""
    parts = [
        f"{stratum.gap[0]:g} to {stratum.gap[1]:g}: {_format_interval(stratum.half_credit)} ({stratum.pairs})"
        for stratum in ordering.by_f_score_gap
        if stratum.pairs
    ]
    return "right by gap of F-score (pairs): " + ("; ".join(parts) or "no true meshes")


def describe_sureness(sureness: Sureness) -> str:
    """Return how sure the judge is where it is wrong; empty where it never is."""
    if sureness.right is None or sureness.wrong is None or sureness.right_when_large is None:
        return ""
    return (
        f"on clear gaps the median |d| is {sureness.right:.1f} where it is right and {sureness.wrong:.1f} "
        f"where it is wrong; of the larger half, {sureness.right_when_large:.2f} are right"
    )


def _format_interval(found: Interval) -> str:
    if found.value is None:
        return "undefined"
    if found.low is None or found.high is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
