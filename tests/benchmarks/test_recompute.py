"""The numbers of the documents are those of the verdicts that are kept."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.recompute import DEFAULT, RUNS, list_missing, read_kept, recompute, recompute_all


def test_every_number_is_in_its_document() -> None:
    found = recompute_all()
    assert {run.name for run in found} == set(RUNS)
    for run, numbers in found.items():
        assert len(numbers) > (25 if run.labelled else 12)
        assert list_missing(run, numbers) == []


def test_another_verdict_gives_another_number() -> None:
    rows = read_kept(DEFAULT.rows)
    place = next(
        number
        for number, row in enumerate(rows)
        if (row.source, row.slice, row.verdict.outcome)
        == ("evaluation repair_and_majority", "severe", "loss")
    )
    rows[place] = replace(rows[place], verdict=replace(rows[place].verdict, outcome="win"))
    lacking = list_missing(DEFAULT, recompute(DEFAULT, rows, DEFAULT.read_params()))
    assert "repair_and_majority, severe: half-credit" in lacking and len(lacking) < 8
