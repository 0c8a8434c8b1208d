"""Finished certificates on disk, from verdicts made by hand, for the tests of the report and of tracking."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from support.judge_identities import make_identity
from support.rows import filled
from tasks.asking.comparisons import (
    compare_panels,
    compare_views,
    make_measuring,
)
from tasks.asking.roles import summarise_certificate
from verdict3d.config import Params
from verdict3d.judge.audit.certificate import complete, issue
from verdict3d.judge.audit.controls import measure_sureness, select, select_clear_gaps
from verdict3d.judge.audit.ordering import find_on_generations, order_generations
from verdict3d.judge.audit.panel_choice import choose_panel
from verdict3d.judge.lineage import find_lineage, warn_of_lineage
from verdict3d.judge.rubric import SLOTS
from verdict3d.judge.verdict import Verdict
from verdict3d.records.certificates import Certificate, Lineage
from verdict3d.records.files import write_json
from verdict3d.records.generations import Truth
from verdict3d.records.record import write_record, write_rows
from verdict3d.records.verdicts import ControlVerdict

DEFECTS = ("floaters", "missing_parts")
OBJECTS = 40


def audit_rows(seed: int, sees: float) -> list[ControlVerdict]:
    """Verdict rows of 40 objects; preferences for the better mesh grow with ``sees`` and the grade."""
    rng = np.random.default_rng(seed)

    def row(control: str, number: int, d: float, **about: Any) -> ControlVerdict:
        common = {"control": control, "pair": str(number), "object": f"o{number}", "category": "chair"}
        shown = {"panel": "three_images", "mode": "normal", "defect": DEFECTS[number % 2], "grade": None}
        whole = {"truth": None, **common, **shown, **about, **Verdict.of((0.1 + d, 0.1 - d)).row()}
        name = f"{control}-{number}-{whole['grade']}-{whole['panel']}-{whole['mode']}"
        return ControlVerdict(id=name, **whole)

    rows = []
    for number in range(OBJECTS):
        even = 1.0 if number % 2 else -1.0
        rows.append(row("null", number, 0.0))
        rows += [row("ladder", number, sees * grade + rng.normal(), grade=grade) for grade in range(1, 6)]
        rows += [row("clean_but_wrong", number, sees + 1.0), row("reference_shuffled", number, even)]
        rows += [row("reference_removed", number, -even), row("colour", number, even, mode="rgb")]
        rows.append(row("splat", number, even, grade=4, mode="splat"))
        for panel in (name for name in SLOTS if name != "three_images"):
            rows.append(row("ladder", number, 0.05 * even, grade=4, panel=panel))
            rows.append(row("clean_but_wrong", number, 0.05 * even, panel=panel))
    return rows


def generated_rows() -> list[ControlVerdict]:
    """Verdict rows on generations of 40 objects: two equal ones, and a good one with a worse one."""
    rows = []
    for number in range(OBJECTS):
        for control, scores, margins in (
            ("base_vs_base", (0.9, 0.9), ((1.1, -0.9), (-0.9, 1.1), (0.0, 0.0), (0.0, 0.0))[number % 4]),
            ("generated", (0.9, 0.5 + 0.01 * number), (1.1, -0.9)),
        ):
            about = {"control": control, "pair": str(number), "object": f"o{number}", "category": "chair"}
            truth = tuple(filled(Truth, f_score=score, normal_consistency=score) for score in scores)
            shown = {"panel": "three_images", "mode": "normal", "truth": truth}
            answer = Verdict.of(margins).row()
            rows.append(filled(ControlVerdict, id=f"{control}-{number}", **about, **shown, **answer))
    return rows


def write_audit(root: Path, params: Params, role: str, sees: float = 1.5) -> Certificate:
    """Write the audit and the certificate of ``role`` below ``root``; return the certificate."""
    judge = make_identity(model=f"judge-{role}", weights=role)
    rows, measuring = audit_rows(len(role), sees), make_measuring(params, role)
    mine = [row for row in rows if (row.panel, row.mode) == ("three_images", "normal")]
    panels = compare_panels(measuring, rows, "normal")
    lineages = {name: find_lineage(getattr(params.judges, name)) for name in ("training", "evaluation")}
    audited = issue(
        role,
        judge,
        "rig",
        measuring.measure_objects(mine, select(rows, "colour"), ["floaters"]),
        taught=["floaters"],
        sureness=measure_sureness(select_clear_gaps(mine)),
        thresholds=params.audit.thresholds,
        valid_days=30,
        today=date(2026, 6, 23),
        panel=choose_panel("audited", panels),
        stack={},
        lineage=Lineage(**lineages[role].model_dump(), shared={}),
        warnings=warn_of_lineage(lineages),
        curves=measuring.fit_curves(mine),
        comparisons=compare_views(measuring, rows, judge, panels),
        questions=len(rows),
        objects=OBJECTS,
    )
    made = generated_rows()
    findings, ordering = find_on_generations(measuring, made), order_generations(measuring, made)
    certificate = complete(audited, findings, ordering, len(made), OBJECTS)
    for folder, found, answers in (("audit", audited, rows), ("certify", certificate, made)):
        place = root / "data" / folder / role
        write_record(place / "certificate.json", found)
        write_json(place / "metrics.json", summarise_certificate(found))
        write_rows(place / "verdicts.jsonl", answers)
    return certificate
