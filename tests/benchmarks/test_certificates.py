"""Passing again: other objects are drawn with their answers, and a judge that sees passes again."""

from __future__ import annotations

import numpy as np

from benchmarks.certificates import SHARES, draw_again, repeat
from benchmarks.kept import DEFAULT
from support.audit_examples import audit_rows, generated_rows


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


def test_a_judge_that_sees_is_certified_again() -> None:
    params = DEFAULT.read_params()
    seen = [[*audit_rows(1, sees), *generated_rows()] for sees in (0.1, 1.5)]
    blind, seeing = (repeat(rows, params, "evaluation", draws=5) for rows in seen)
    assert set(blind) == set(seeing) == set(SHARES)
    assert all(blind[share]["clear_gap"] == 0.0 for share in SHARES) and seeing[2.0]["clear_gap"] == 1.0
    assert seeing == repeat(seen[1], params, "evaluation", draws=5)
