"""Stage ``certify@<role>``: what one judge says of generations, and its whole certificate.

``python -m tasks.certify <role>``. The judge is shown two samples of the base from one picture, of which
neither is better, and pairs of generations of one object whose F-scores differ: clean against degraded
pictures, large against small budgets. So position bias is tried where there is nothing else to go by, and the
certificate says from which gap on a single verdict orders two generations. Writes ``data/certify/<role>/``:
``certificate.json``, that of the audit with the controls on generations, ``verdicts.jsonl`` and
``metrics.json``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from tasks.asking.comparisons import make_measuring
from tasks.asking.roles import read_role, summarise_certificate
from tasks.paths import GENERATE, read_assets, read_generations, start_folder
from tasks.stage import run_stage
from verdict3d.asking.certificates import with_chosen_panels
from verdict3d.asking.pairings import STORE
from verdict3d.asking.questions import ask, plan_questions
from verdict3d.asking.roles import select_judge
from verdict3d.config import Params
from verdict3d.config_judges import JudgeRole
from verdict3d.judge.audit.certificate import complete
from verdict3d.judge.audit.ordering import find_on_generations, order_generations
from verdict3d.judge.audit.planted import AuditedJudge
from verdict3d.judge.audit.words import describe
from verdict3d.judge.loading import load_judge
from verdict3d.judge.store import VerdictStore
from verdict3d.project import AUDIT, CERTIFY, audit_path, locate_certificate
from verdict3d.records.assets import Asset
from verdict3d.records.certificates import Certificate
from verdict3d.records.files import write_json
from verdict3d.records.generations import Generation
from verdict3d.records.generators import GENERATOR, GeneratorRecord
from verdict3d.records.pairs import ControlPair, Shown
from verdict3d.records.record import read_record, read_rows, write_record, write_rows
from verdict3d.records.verdicts import ControlVerdict
from verdict3d.render.rig import Rig

EVEN = ({"heldout", "heldout_control"}, {"winner", "sibling"})
"""Roles of two samples of the base from one clean picture with one budget."""


def run(params: Params, root: Path, role: JudgeRole) -> None:
    """Complete the certificate of the judge of ``role`` below ``root``."""
    settings = select_judge(with_chosen_panels(params, root, [role]).judges, role)
    judge = load_judge(settings, root, settled=True)
    certificate, rows = certify(params, root, role, judge, VerdictStore(root / STORE))
    out = start_folder(root / CERTIFY / role)
    write_rows(out / "verdicts.jsonl", rows)
    write_record(root / locate_certificate(role), certificate)
    write_json(out / "metrics.json", summarise_certificate(certificate))
    print("\n".join(describe(certificate)))


def certify(
    params: Params, root: Path, role: JudgeRole, judge: AuditedJudge, store: VerdictStore
) -> tuple[Certificate, list[ControlVerdict]]:
    """Ask a judge about generations and return its whole certificate and the verdict rows."""
    audited, measuring = read_record(root / audit_path(role), Certificate), make_measuring(params, role)
    pairs = list(plan_pairs(read_assets(root), read_generations(root)))
    questions = plan_questions(pairs, judge.identity.panel, judge.identity.mode)
    rows = ask(judge, store, questions, Rig(view_px=params.judges.view_px), root)
    objects = {row.object for row in rows}
    objects |= {row.object for row in read_rows(root / AUDIT / role / "verdicts.jsonl", ControlVerdict)}
    findings, ordering = find_on_generations(measuring, rows), order_generations(measuring, rows)
    whole = complete(audited, findings, ordering, len(rows), len(objects))
    path = root / GENERATE / GENERATOR
    made_by = read_record(path, GeneratorRecord) if path.exists() else None
    return whole.model_copy(update={"generator": made_by}), rows


def plan_pairs(assets: Sequence[Asset], generations: Sequence[Generation]) -> Iterator[ControlPair]:
    """Yield every two generations of one object that the generate stage made."""
    made: dict[str, list[Generation]] = {}
    for row in generations:
        if row.number == 0:
            made.setdefault(row.asset, []).append(row)
    for asset in assets:
        for x, y in combinations(made.get(asset.id, ()), 2):
            even = {x.role, y.role} in EVEN and x.regime == y.regime == "clean"
            control, pair = "base_vs_base" if even else "generated", f"{x.id}-{y.id}"
            yield ControlPair(
                id=f"{control}-{pair}",
                control=control,
                pair=pair,
                object=asset.id,
                category=asset.category,
                reference=asset.condition,
                x=describe_shown(x),
                y=describe_shown(y),
                defect=None,
                grade=None,
            )


def describe_shown(generation: Generation) -> Shown:
    """Return what a pair says about a generation."""
    return Shown(
        mesh_digest=generation.mesh_digest,
        montages=generation.montages,
        failure=generation.failure,
        truth=generation.truth,
    )


if __name__ == "__main__":
    run_stage(lambda params, root: run(params, root, read_role()))
