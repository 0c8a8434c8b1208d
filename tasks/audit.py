"""Stage ``audit@<role>``: may this judge be believed? (``python -m tasks.audit <role>``).

The judge answers the questions of the controls stage; what it must show before ``label`` and ``evaluate`` use
it stands in :mod:`verdict3d.judge.audit.controls`. The same weights are asked again with the other panels,
about splats and about texture, so that the failures the paper reports can be seen for this judge; and where
its parameters leave the panel to the audit, it is the one that the judge answers best with
(:mod:`verdict3d.judge.audit.panel_choice`), and the certificate is that of the judge with this panel. Writes
``data/audit/<role>/``: ``certificate.json`` (:mod:`verdict3d.judge.audit.certificate`), ``verdicts.jsonl``
and ``metrics.json``. A judge that fails does not fail the stage: the certificate says so, and who needs it
refuses.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from tasks.asking.comparisons import compare_panels, compare_views
from tasks.asking.pairings import STORE
from tasks.asking.questions import ask, plan_questions
from tasks.making.machine import settle_torch
from tasks.paths import AUDIT, CONTROLS, certificate_path, start_folder
from tasks.stage import run_stage
from verdict3d.config import JudgeParams, JudgeRole, JudgesParams, Params
from verdict3d.errors import Verdict3DError
from verdict3d.judge.audit.certificate import issue
from verdict3d.judge.audit.controls import Measuring, describe
from verdict3d.judge.audit.panel_choice import choose_panel, panel_warnings
from verdict3d.judge.audit.planted import AuditedJudge, plant
from verdict3d.judge.identity import identify, require_different
from verdict3d.judge.lineage import lineage_of, lineage_warnings, shared_parts
from verdict3d.judge.loading import load_judge
from verdict3d.judge.store import VerdictStore
from verdict3d.randomness import numpy_generator
from verdict3d.records.certificates import Certificate, Lineage
from verdict3d.records.files import write_json
from verdict3d.records.pairs import ControlPair
from verdict3d.records.record import read_rows, write_record, write_rows
from verdict3d.records.verdicts import ControlVerdict
from verdict3d.render.rig import Rig

DRILL_STORE = Path(".verdict3d/drill.db")


def run(params: Params, root: Path, role: JudgeRole) -> None:
    """Audit the judge of ``role`` below ``root``."""
    settle_torch()
    judge_params = configured(params.judges, role)
    for other in get_args(JudgeRole):
        if other != role and getattr(params.judges, other) is not None:
            require_different(identify(judge_params, root), identify(configured(params.judges, other), root))
    judge = load_judge(judge_params, root)
    certificate, rows = audit(params, root, role, judge, VerdictStore(root / STORE))
    for warning in certificate.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    out = start_folder(root / AUDIT / role)
    write_rows(out / "verdicts.jsonl", rows)
    write_record(root / certificate_path(role), certificate)
    write_json(out / "metrics.json", headline(certificate))
    print("\n".join(describe(certificate)))


def drill(params: Params, root: Path, role: JudgeRole, name: str) -> Certificate:
    """Return the certificate of a planted bad judge in the place of ``role``'s; nothing is recorded of it."""
    settle_torch()
    judge = plant(name, load_judge(configured(params.judges, role), root))
    return audit(params, root, role, judge, VerdictStore(root / DRILL_STORE))[0]


def configured(judges: JudgesParams, role: JudgeRole) -> JudgeParams:
    """Return the judge of a role.

    Raises:
        Verdict3DError: None is configured.
    """
    judge: JudgeParams | None = getattr(judges, role)
    if judge is None:
        raise Verdict3DError(f"there is no {role} judge; set judges.{role} in params.yaml")
    return judge


def audit(
    params: Params, root: Path, role: JudgeRole, judge: AuditedJudge, store: VerdictStore
) -> tuple[Certificate, list[ControlVerdict]]:
    """Ask a judge every question and return its certificate and the verdict rows.

    All is asked with the judge's first panel and some with the others; where one of these is chosen, the rest
    is asked with it too. So the batches of a judge that keeps its first panel do not depend on the choice.
    """
    own, settings, measuring = judge.identity, params.audit, measuring_for(params, role)
    pairs = read_rows(root / CONTROLS / "pairs.jsonl", ControlPair)
    rows = ask(judge, store, plan_questions(pairs, own.panel, own.mode), root)
    panels = compare_panels(measuring, rows, own.mode)
    panel = choose_panel(configured(params.judges, role).panel, panels)
    if panel.chosen != own.panel:
        own = judge.showing(panel.chosen, own.mode).identity
        rows = ask(judge, store, plan_questions(pairs, own.panel, own.mode), root)
    mine = [row for row in rows if (row.panel, row.mode) == (own.panel, own.mode)]
    lineages = {
        name: lineage_of(configured(params.judges, name))
        for name in get_args(JudgeRole)
        if getattr(params.judges, name) is not None
    }
    certificate = issue(
        role,
        own,
        Rig().digest,
        measuring.findings(mine),
        thresholds=settings.thresholds,
        valid_days=settings.valid_days,
        today=datetime.now(UTC).date(),
        panel=panel,
        stack={name: version(name) for name in ("torch", "transformers")},
        lineage=Lineage(
            **lineages[role].model_dump(),
            shared={
                name: list(shared_parts(lineages[role], lineages[name])) for name in lineages if name != role
            },
        ),
        warnings=[*lineage_warnings(lineages), *panel_warnings(role, panel)],
        curves=measuring.curves(mine),
        comparisons=compare_views(measuring, rows, own, panels),
        questions=len(rows),
        holdout_objects=len({row.object for row in rows}),
    )
    return certificate, rows


def measuring_for(params: Params, role: str) -> Measuring:
    """Return how the controls of a role are summed up."""
    return Measuring(
        params.audit.thresholds,
        lambda name: numpy_generator(params.seed, "audit", role, name),
        params.evaluate.bootstrap,
        params.evaluate.confidence,
    )


def headline(certificate: Certificate) -> dict[str, Any]:
    """Return the numbers that tracking and ``dvc metrics`` show."""
    controls = {
        name: {
            "half_credit": found.half_credit.model_dump(),
            "coverage": found.coverage,
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


def role_from_command_line() -> JudgeRole:
    """Return the one argument of ``python -m tasks.audit <role>``.

    Raises:
        Verdict3DError: There is not one argument, or it is no role.
    """
    roles = get_args(JudgeRole)
    if len(sys.argv) != 2 or sys.argv[1] not in roles:
        raise Verdict3DError(f"name one judge of {', '.join(roles)}; got {sys.argv[1:]}")
    role: JudgeRole = sys.argv[1]  # type: ignore[assignment]
    return role


if __name__ == "__main__":
    run_stage(lambda params, root: run(params, root, role_from_command_line()))
