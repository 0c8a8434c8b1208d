"""Passing again: other objects are drawn with their answers, and a judge that sees passes again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from benchmarks.certificates import SHARES, draw_again, repeat
from support.audit_examples import audit_rows, write_audit
from support.places import ROOT
from verdict3d.config import load_params


def test_objects_are_drawn_with_all_of_their_answers() -> None:
    rows = audit_rows(1, 1.5)
    names = sorted({row.object for row in rows})
    drawn = draw_again(rows, names, np.random.default_rng(0), 3 * len(names))
    assert len({row.object for row in drawn}) == 3 * len(names)
    assert len(drawn) == 3 * len(rows)  # each object of the example has as many answers
    by_object = {name: [row for row in drawn if row.object == name] for name in {row.object for row in drawn}}
    for name, mine in by_object.items():
        source = [row for row in rows if row.object == name.partition("-")[2]]
        assert [row.outcome for row in mine] == [row.outcome for row in source]


def test_a_judge_that_sees_is_certified_again(tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
    params = load_params(tmp_path / "params.yaml")
    for role, sees in (("training", 0.1), ("evaluation", 1.5)):
        write_audit(tmp_path, params, role, sees)
    blind, seeing = (repeat(tmp_path, role, draws=5) for role in ("training", "evaluation"))
    assert set(blind) == set(seeing) == set(SHARES)
    assert all(blind[share]["clear_gap"] == 0.0 for share in SHARES) and seeing[2.0]["clear_gap"] == 1.0
    assert seeing == repeat(tmp_path, "evaluation", draws=5)
