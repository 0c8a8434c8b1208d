"""Stage ``admission``: whether the judges see these objects, before anything is generated.

Stops the run when the training or the evaluation judge failed its audit on the objects; what it costs to
learn this is drawing and a minute or two of judging. Writes ``data/admission/admission.json``, which says the
same of any judges that may go on, so that another judge makes no generation stale.
"""

from __future__ import annotations

from pathlib import Path

from tasks.paths import ADMISSION, start_folder
from tasks.stage import run_stage
from verdict3d.asking.certificates import refuse
from verdict3d.config import Params
from verdict3d.project import audit_path
from verdict3d.records.certificates import Admission, Certificate
from verdict3d.records.record import read_record, write_record

DECIDING = ("training", "evaluation")
"""Judges that label or decide; a third one does neither."""


def run(params: Params, root: Path) -> None:
    """Admit the judges below ``root``, or refuse them."""
    found = {role: read_record(root / audit_path(role), Certificate) for role in DECIDING}
    words = [
        f"the {role} judge ({certificate.judge.model}) cannot be believed about these objects: "
        + "; ".join(certificate.reasons)
        for role, certificate in found.items()
        if not certificate.passed
    ]
    if words:
        refuse(params, words)
    start_folder(root / ADMISSION)
    write_record(root / ADMISSION / "admission.json", Admission(uncertified=params.audit.allow_uncertified))


if __name__ == "__main__":
    run_stage(run)
