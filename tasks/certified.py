"""Only judges that have shown what they can may label or decide."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.manifest import AUDIT
from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.judge.certificate import objections
from verdict3d.judge.identity import JudgeIdentity
from verdict3d.provenance import digest_json
from verdict3d.records import read_json
from verdict3d.render.rig import Rig


def require_certificate(params: Params, root: Path, role: str, judge: JudgeIdentity) -> dict[str, Any]:
    """Return what the record says about a judge's certificate; refuse a judge without a valid one.

    With ``audit.allow_uncertified`` the judge is used all the same: the record says so, and the gate never
    promotes on such results.

    Returns:
        ``certified``, ``objections`` (why not) and ``certificate`` (its digest, None without one).

    Raises:
        Verdict3DError: The certificate is missing, failed, for another judge or rig, or has ended.
    """
    path = root / AUDIT / role / "certificate.json"
    certificate = read_json(path) if path.is_file() else None
    found = objections(certificate, judge, Rig().digest, datetime.now(UTC).date())
    if found:
        words = f"the {role} judge ({judge.model}) is not certified: " + "; ".join(found)
        if not params.audit.allow_uncertified:
            raise Verdict3DError(
                f"{words}.\n{path.relative_to(root)} and the audit in the report show every control. Choose "
                f"another model, panel or mode in judges.{role} of params.yaml, or train the judge further, "
                "and run again (`verdict3d audit` for the audit alone). `verdict3d run --allow-uncertified` "
                "goes on with this judge in a place of its own; what comes out is marked, and never promoted."
            )
        print(f"warning: {words}; audit.allow_uncertified is on", file=sys.stderr)
    return {
        "certified": not found,
        "objections": found,
        "certificate": None if certificate is None else digest_json(certificate),
    }
