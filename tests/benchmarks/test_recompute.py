"""The numbers of the documents are those of the verdicts that are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import kept
from benchmarks.kept import DEFAULT, PROMOTIONS, ROLES, RUNS, TABLES, Kept, Run, read_kept, read_promotions
from benchmarks.recompute import (
    LACKING,
    list_lacking_controls,
    list_missing,
    measure_controls,
    recompute,
    recompute_all,
    recompute_controls,
    recompute_promotions,
)
from support.audit_examples import write_audit
from verdict3d.judge.audit.controls import CONTROLS
from verdict3d.judge.audit.ordering import STRATA
from verdict3d.records.files import Row, write_jsonl

Found = dict[Run, dict[str, str]]


@pytest.fixture(scope="module")
def found() -> Found:
    return recompute_all()


def test_every_number_is_in_its_document(found: Found) -> None:
    assert {run.name for run in found} == {*RUNS, "promotions", "sweep", "foreign"}
    assert all(set(run.arms) < found[run].keys() for run in TABLES)
    for run in RUNS.values():
        assert len(found[run]) > (12 * len(run.arms) if run.whole else 12)
    for run, numbers in found.items():
        assert list_missing(run, numbers) == []


def test_every_number_about_the_judges_is_computed_again(found: Found) -> None:
    if lacking := list_lacking_controls():
        pytest.skip(f"{LACKING} {', '.join(lacking)}")
    assert {f"control {name}" for name in CONTROLS} <= found[DEFAULT].keys()
    assert sum(name.startswith("gap ") for name in found[DEFAULT]) == len(STRATA)


def test_every_run_that_says_how_often_there_is_a_promotion_is_computed_again(found: Found) -> None:
    text = (kept.ROOT / PROMOTIONS.document).read_text()
    for seed in read_promotions():
        assert f"| {seed} | `repair_and_majority` |" in text
        assert f"{seed}, repair_and_majority" in found[PROMOTIONS]
    assert sum("no_better" in name for name in found[PROMOTIONS]) == text.count("| planted, no better |")
    held = {f"{seed}, fall of the F-score on clean inputs" for seed in (20261214, 20261215)}
    assert held <= found[PROMOTIONS].keys()


def change_a_loss(rows: list[Kept]) -> None:
    place = next(
        number
        for number, row in enumerate(rows)
        if (row.source, row.slice, row.verdict.outcome)
        == ("evaluation repair_and_majority", "severe", "loss")
    )
    rows[place] = replace(rows[place], verdict=replace(rows[place].verdict, outcome="win"))


def test_another_verdict_gives_another_number() -> None:
    rows = read_kept(DEFAULT.rows)
    change_a_loss(rows)
    lacking = list_missing(DEFAULT, recompute(DEFAULT, rows, DEFAULT.read_params()))
    assert "repair_and_majority, severe: half-credit" in lacking and len(lacking) < 8


def test_another_verdict_of_a_seed_gives_another_number_of_that_seed() -> None:
    rows = read_promotions()
    change_a_loss(rows[20261214])
    assert list_missing(PROMOTIONS, recompute_promotions(rows)) == ["20261214, repair_and_majority"]


def test_what_is_kept_of_controls_gives_the_certificate_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = DEFAULT.read_params()
    certificates = {role: write_audit(tmp_path, params, role) for role in ROLES}
    monkeypatch.setattr(kept, "ROWS", tmp_path / "rows")
    kept.keep_controls(tmp_path)
    rows = {role: kept.read_controls(role) for role in ROLES}
    for role in ROLES:
        findings, ordering = measure_controls(rows[role], params, role)
        others = set(findings) - {"untaught_gap"}  # the example's judge was taught other kinds of damage
        assert {name: findings[name] for name in others} == {
            name: certificates[role].controls[name] for name in others
        }
        assert ordering == certificates[role].ordering

    for role in ROLES:  # now of a kind of damage that neither shipped judge was taught
        rows[role] = [
            row.model_copy(update={"defect": "bent"}) if row.control == "ladder" else row
            for row in rows[role]
        ]
    before = recompute_controls(rows, params)
    place = next(place for place, row in enumerate(rows["training"]) if row.control == "generated")
    rows["training"][place] = rows["training"][place].model_copy(update={"outcome": "loss"})
    after = recompute_controls(rows, params)
    changed = {name for name in before if before[name] != after[name]}
    assert {"control generated", "summary, generated"} <= changed
    assert not any(name.startswith("control") for name in changed - {"control generated"})


def test_rows_of_other_seeds_stay_and_those_of_the_same_seed_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "ROWS", tmp_path / "rows")

    def write_run(folder: str, seed: int, outcome: str) -> None:
        side = {"f_score": 0.5}
        row: Row = {"regime": "severe", "object": "o", "category": "chair", "outcome": outcome}
        row |= {"m1": 1.0, "m2": -1.0, "arm": side, "base": side, "sets": [[1.0, -1.0], None]}
        for name in ("verdicts", "training_judge"):
            write_jsonl(
                tmp_path / folder / str(seed) / f"data/evaluate/repair_and_majority/{name}.jsonl", [row]
            )

    write_run("first", 8, "win")
    write_run("first", 7, "win")
    kept.keep(PROMOTIONS, tmp_path / "first")
    write_run("second", 7, "loss")
    kept.keep(PROMOTIONS, tmp_path / "second")
    seeds = read_promotions()
    assert list(seeds) == [7, 8]
    assert [row.verdict.outcome for row in seeds[7]] == ["loss", "loss"]
    assert [row.verdict.outcome for row in seeds[8]] == ["win", "win"]
    assert seeds[8][0].sets == ((1.0, -1.0), None)
