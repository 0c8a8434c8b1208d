"""Stage ``audit@<role>``: may this judge be believed about these objects? (``python -m tasks.audit <role>``).

The judge answers the questions of the controls stage; what it must show stands in
:mod:`verdict3d.judge.audit.controls`. The same weights are asked again with the other panels, about splats
and about colours, so that the failures the paper reports can be seen for this judge; and where its parameters
leave the panel to the audit, it is the one that the judge answers best with
(:mod:`verdict3d.judge.audit.panel_choice`), and the certificate is that of the judge with this panel. Writes
``data/audit/<role>/``: ``certificate.json`` (:mod:`verdict3d.judge.audit.certificate`), ``verdicts.jsonl``
and ``metrics.json``. A judge that fails does not fail the stage: the certificate says so, the stage
``admission`` stops the run, and who needs a certificate refuses.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import get_args

from tasks.asking.comparisons import compare_panels, compare_views, make_measuring
from tasks.asking.roles import read_role, summarise_certificate
from tasks.paths import CONTROLS, start_folder
from tasks.stage import run_stage
from verdict3d.asking.pairings import STORE
from verdict3d.asking.questions import ask, plan_questions
from verdict3d.asking.roles import select_judge
from verdict3d.config import Params
from verdict3d.config_judges import JudgeParams, JudgeRole
from verdict3d.judge.audit.certificate import issue
from verdict3d.judge.audit.controls import measure_sureness, select, select_clear_gaps
from verdict3d.judge.audit.panel_choice import choose_panel, list_panel_warnings
from verdict3d.judge.audit.planted import AuditedJudge, plant
from verdict3d.judge.audit.words import describe
from verdict3d.judge.identity import identify, require_different
from verdict3d.judge.lineage import find_lineage, find_shared_parts, warn_of_lineage
from verdict3d.judge.loading import load_judge
from verdict3d.judge.store import VerdictStore
from verdict3d.mesh.damage import KINDS
from verdict3d.project import AUDIT, audit_path
from verdict3d.records.certificates import Certificate, Lineage
from verdict3d.records.files import read_json, write_json
from verdict3d.records.pairs import ControlPair
from verdict3d.records.record import read_rows, write_record, write_rows
from verdict3d.records.verdicts import ControlVerdict
from verdict3d.render.rig import Rig

DRILL_STORE = Path(".verdict3d/drill.db")
CARD = "card.json"


def run(params: Params, root: Path, role: JudgeRole) -> None:
    """Audit the judge of ``role`` below ``root``."""
    judge_params = select_judge(params.judges, role)
    for other in get_args(JudgeRole):
        if other != role and getattr(params.judges, other) is not None:
            require_different(
                identify(judge_params, root), identify(select_judge(params.judges, other), root)
            )
    judge = load_judge(judge_params, root, settled=True)
    certificate, rows = audit(params, root, role, judge, VerdictStore(root / STORE))
    for warning in certificate.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    out = start_folder(root / AUDIT / role)
    write_rows(out / "verdicts.jsonl", rows)
    write_record(root / audit_path(role), certificate)
    write_json(out / "metrics.json", summarise_certificate(certificate))
    print("\n".join(describe(certificate)))


def drill(params: Params, root: Path, role: JudgeRole, name: str) -> Certificate:
    """Return the certificate of a planted bad judge in the place of ``role``'s; nothing is recorded of it."""
    judge = plant(name, load_judge(select_judge(params.judges, role), root, settled=True))
    return audit(params, root, role, judge, VerdictStore(root / DRILL_STORE))[0]


def audit(
    params: Params, root: Path, role: JudgeRole, judge: AuditedJudge, store: VerdictStore
) -> tuple[Certificate, list[ControlVerdict]]:
    """Ask a judge every question and return its certificate and the verdict rows.

    All is asked with the judge's first panel and some with the others; where one of these is chosen, the rest
    is asked with it too. So the batches of a judge that keeps its first panel do not depend on the choice.
    """
    rig = Rig(view_px=params.judges.view_px)
    own, settings, measuring = judge.identity, params.audit, make_measuring(params, role)
    pairs = read_rows(root / CONTROLS / "pairs.jsonl", ControlPair)
    rows = ask(judge, store, plan_questions(pairs, own.panel, own.mode), rig, root)
    panels = compare_panels(measuring, rows, own.mode)
    panel = choose_panel(select_judge(params.judges, role).panel, panels)
    if panel.chosen != own.panel:
        own = judge.showing(panel.chosen, own.mode).identity
        rows = ask(judge, store, plan_questions(pairs, own.panel, own.mode), rig, root)
    mine = [row for row in rows if (row.panel, row.mode) == (own.panel, own.mode)]
    taught = read_taught_kinds(select_judge(params.judges, role), root)
    in_colour = [row for row in select(rows, "colour") if row.panel == own.panel]
    lineages = {
        name: find_lineage(select_judge(params.judges, name))
        for name in get_args(JudgeRole)
        if getattr(params.judges, name) is not None
    }
    certificate = issue(
        role,
        own,
        rig.digest,
        measuring.measure_objects(mine, in_colour, taught),
        taught=taught,
        sureness=measure_sureness(select_clear_gaps(mine)),
        thresholds=settings.thresholds,
        valid_days=settings.valid_days,
        today=datetime.now(UTC).date(),
        panel=panel,
        stack={name: version(name) for name in ("torch", "transformers")},
        lineage=Lineage(
            **lineages[role].model_dump(),
            shared={
                name: list(find_shared_parts(lineages[role], lineages[name]))
                for name in lineages
                if name != role
            },
        ),
        warnings=[*warn_of_lineage(lineages), *list_panel_warnings(role, panel)],
        curves=measuring.fit_curves(mine),
        comparisons=compare_views(measuring, rows, own, panels),
        questions=len(rows),
        objects=len({row.object for row in rows}),
    )
    return certificate, rows


def read_taught_kinds(judge: JudgeParams, root: Path) -> list[str]:
    """Return the kinds of damage that a judge was taught, by its card; none where it has no card.

    Raises:
        Verdict3DError: The card cannot be read.
    """
    card = root / judge.model / CARD
    taught = read_json(card).get("taught", {}).get("defects", []) if card.is_file() else []
    return [name for name in KINDS if name in taught]


if __name__ == "__main__":
    run_stage(lambda params, root: run(params, root, read_role()))
