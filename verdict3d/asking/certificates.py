"""Only judges that have shown what they can may label or decide."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from verdict3d.config import Params
from verdict3d.config_judges import JudgeParams, JudgeRole
from verdict3d.errors import Verdict3DError
from verdict3d.judge.audit.certificate import list_objections
from verdict3d.judge.identity import JudgeIdentity, identify, require_different
from verdict3d.project import AUDIT, CERTIFY, audit_path, locate_certificate
from verdict3d.provenance import digest_json
from verdict3d.records.certificates import Certificate
from verdict3d.records.record import as_values, read_record
from verdict3d.records.results import CertificateUse
from verdict3d.render.rig import Rig


@dataclass(frozen=True)
class CertifiedJudge:
    """The judge that a stage asks.

    Attributes:
        settings: Its parameters, with the panel that its audit chose.
        identity: What its answers depend on.
        certificate: Whether it is certified; False only where uncertified judges are allowed.
    """

    settings: JudgeParams
    identity: JudgeIdentity
    certificate: CertificateUse


def require_certified_judge(
    params: Params, root: Path, role: Literal["training", "evaluation"]
) -> CertifiedJudge:
    """Return the training or the evaluation judge, certified and different from the other one.

    Args:
        params: Both judges, and whether uncertified ones are allowed.
        root: The project's folder, which judges and certificates are below.
        role: Which of the two.

    Raises:
        Verdict3DError: Both are one model, or :func:`require_certificate` refuses the judge.
    """
    judges = with_chosen_panels(params, root, [role]).judges
    training, evaluation = identify(judges.training, root), identify(judges.evaluation, root)
    require_different(training, evaluation)
    settings = judges.training if role == "training" else judges.evaluation
    identity = training if role == "training" else evaluation
    return CertifiedJudge(settings, identity, require_certificate(params, root, role, identity))


def with_chosen_panels(
    params: Params, root: Path, roles: Sequence[JudgeRole] = get_args(JudgeRole)
) -> Params:
    """Return the parameters with the panels that the audits chose, where they leave them to the audit.

    Every use of a judge begins here. A judge that was not audited keeps its first panel, should
    :func:`require_certificate` let it pass.

    Args:
        params: All parameters.
        root: Where the audits' certificates are below.
        roles: Judges whose panels are wanted; only theirs are read.
    """
    chosen: dict[str, JudgeParams] = {}
    for role in roles:
        judge, certificate = getattr(params.judges, role), read_audit(root, role)
        if judge is not None and certificate is not None and judge.panel == "audited":
            chosen[role] = judge.model_copy(update={"panel": certificate.judge.panel})
    return params.model_copy(update={"judges": params.judges.model_copy(update=chosen)})


def require_certificate(params: Params, root: Path, role: str, judge: JudgeIdentity) -> CertificateUse:
    """Return whether a judge is certified; refuse a judge without a valid certificate.

    With ``audit.allow_uncertified`` the judge is used all the same: the record says so, and the gate never
    promotes on such results.

    Raises:
        Verdict3DError: The certificate is missing, failed, for another judge or rig, or has ended.
    """
    certificate = read_certificate(root, role)
    rig = Rig(view_px=params.judges.view_px).digest
    found = list_objections(certificate, judge, rig, datetime.now(UTC).date())
    if found:
        refuse(params, [f"the {role} judge ({judge.model}) is not certified: " + "; ".join(found)])
    return CertificateUse(
        certified=not found,
        objections=found,
        certificate=None if certificate is None else digest_json(as_values(certificate)),
    )


def may_judge_colour(root: Path) -> bool:
    """Return whether the evaluation judge tells right colours from wrong ones, and may judge texture."""
    certificate = read_certificate(root, "evaluation")
    return certificate is not None and certificate.controls["colour"].passed


def refuse(params: Params, words: Sequence[str]) -> None:
    """Stop because of judges that may not be used, or warn of them where ``audit.allow_uncertified`` is on.

    Raises:
        Verdict3DError: It is off.
    """
    if not params.audit.allow_uncertified:
        raise Verdict3DError(
            "\n".join(words) + f"\nThe certificates below {AUDIT} and {CERTIFY} show every control, as "
            "`verdict3d audit` does. Choose another model, panel or mode in `judges` of params.yaml, or "
            "train the judge further on objects like these, and run again. `verdict3d run "
            "--allow-uncertified` goes on with these judges in a place of its own; what comes out is marked, "
            "and never promoted."
        )
    for one in words:
        print(f"warning: {one}; audit.allow_uncertified is on", file=sys.stderr)


def read_audit(root: Path, role: str) -> Certificate | None:
    """Return what a role's judge has shown on the objects; None before its audit.

    Raises:
        Verdict3DError: The file is no certificate of this version.
    """
    return _read(root / audit_path(role))


def list_doubts(root: Path, role: str, digest: str) -> list[str]:
    """Return, in words, why the answers of a role's judge may be worth nothing; empty if it passed its audit.

    Args:
        root: Where the audits' certificates are below.
        role: Whose audit.
        digest: Of the judge that answers, which need not be the one that was audited.

    Raises:
        Verdict3DError: The file is no certificate of this version.
    """
    certificate = read_audit(root, role)
    if certificate is None:
        return ["has not been audited here (`verdict3d audit`)"]
    if certificate.judge.digest != digest:
        return ["is not the one that was audited here: weights, files or settings differ (`verdict3d audit`)"]
    return [f"failed the control {reason}" for reason in certificate.reasons]


def read_certificate(root: Path, role: str) -> Certificate | None:
    """Return the whole certificate of a role's judge; None before the stage ``certify``.

    Raises:
        Verdict3DError: The file is no certificate of this version.
    """
    return _read(root / locate_certificate(role))


def _read(path: Path) -> Certificate | None:
    return read_record(path, Certificate) if path.is_file() else None
