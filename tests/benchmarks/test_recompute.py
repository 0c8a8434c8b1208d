"""The numbers of the document are those of the verdicts that are kept."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.recompute import DOCUMENT, list_missing, read_kept, recompute, recompute_all
from support.places import ROOT
from verdict3d.config import load_params


def test_every_number_of_the_default_run_is_in_the_document() -> None:
    found = recompute_all(load_params(ROOT / "params.yaml"))
    assert len(found) > 25
    assert list_missing(found, DOCUMENT.read_text()) == []


def test_another_verdict_gives_another_number() -> None:
    rows = read_kept()
    place = next(
        number
        for number, row in enumerate(rows)
        if (row.source, row.slice, row.verdict.outcome)
        == ("evaluation repair_and_consensus", "severe", "loss")
    )
    rows[place] = replace(rows[place], verdict=replace(rows[place].verdict, outcome="win"))
    found = recompute(rows, load_params(ROOT / "params.yaml"))
    lacking = list_missing(found, DOCUMENT.read_text())
    assert "repair_and_consensus, severe: half-credit" in lacking and len(lacking) < 8
