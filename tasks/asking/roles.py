"""The judge that a stage for one role is about, and the numbers of its certificate to compare runs by."""

from __future__ import annotations

import sys
from typing import Any, get_args

from verdict3d.config_judges import JudgeRole
from verdict3d.errors import Verdict3DError
from verdict3d.records.certificates import Certificate


def summarise_certificate(certificate: Certificate) -> dict[str, Any]:
    """Return the numbers that tracking and ``dvc metrics`` show.

    ``passed`` is 0 or 1; ``controls`` has shares in [0, 1], a fall of half-credit in [-1, 1];
    ``grade_detected`` is the grade of damage, 1 to 5, from which the judge is right in three of four pairs.
    """
    controls = {
        name: {
            "half_credit": found.half_credit.model_dump(),
            "quantity": found.quantity.model_dump(),
            "flip_rate": found.flip_rate,
        }
        for name, found in certificate.controls.items()
    }
    curves = certificate.curves.items()
    return {
        "passed": int(certificate.passed),
        "controls": controls,
        "grade_detected": {name: curve.threshold.value for name, curve in curves if curve is not None},
        "questions": certificate.questions,
    }


def read_role() -> JudgeRole:
    """Return the one argument of ``python -m tasks.<stage> <role>``.

    Raises:
        Verdict3DError: There is not one argument, or it is no role.
    """
    roles = get_args(JudgeRole)
    if len(sys.argv) != 2 or sys.argv[1] not in roles:
        raise Verdict3DError(f"name one judge of {', '.join(roles)}; got {sys.argv[1:]}")
    role: JudgeRole = sys.argv[1]  # type: ignore[assignment]
    return role
