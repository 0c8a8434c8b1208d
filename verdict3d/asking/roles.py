"""The judge of a role."""

from __future__ import annotations

from verdict3d.config_judges import JudgeParams, JudgeRole, JudgesParams
from verdict3d.errors import Verdict3DError


def select_judge(judges: JudgesParams, role: JudgeRole) -> JudgeParams:
    """Return the judge of a role.

    Raises:
        Verdict3DError: None is configured.
    """
    judge: JudgeParams | None = getattr(judges, role)
    if judge is None:
        raise Verdict3DError(f"there is no {role} judge; set judges.{role} in params.yaml")
    return judge
