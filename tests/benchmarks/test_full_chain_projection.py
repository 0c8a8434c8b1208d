"""The projection of the whole chain: nothing grows where the objects stay, and what grows is counted."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.full_chain_projection import Counts, describe, project
from support.places import ROOT
from verdict3d.config import load_params

PARAMS = load_params(ROOT / "params.yaml")
FEW, FULL = Counts(PARAMS, (4, 2, 3)), Counts(PARAMS, (8, 4, 6))


def make_row(stage: str, kind: str, items: int, steps: int | None = None, calls: int = 2) -> dict[str, Any]:
    """A stage of 30 s with calls of 2 s that keep 10 GiB of weights and half a GiB an item."""
    made = [
        {"kind": kind, "items": items, "steps": steps, "begin": 10.0 * place, "end": 10.0 * place + 2}
        | {"before_gib": 10.0, "peak_gib": 10 + items / 2}
        for place in range(calls)
    ]
    return {
        "stage": stage,
        "status": 0,
        "seconds": 30.0,
        "out_mib": 1.0,
        "around": None,
        "gpu_gib": 13.0,
        "calls": made,
    }


ROWS = [
    make_row("generate", "generate", 4, PARAMS.generator.structure.steps),
    make_row("audit training", "judge", 16),
    make_row("label", "judge", 8),
    make_row("audit evaluation", "judge", 16),
    make_row("gate", "", 0, calls=0),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["stage"])
def test_the_same_objects_take_the_same_time(row: dict[str, Any]) -> None:
    if row["stage"] == "generate":  # 8 of the items that these objects have
        FEW.generated.update({PARAMS.generator.structure.steps: 8, PARAMS.generate.low_budget_steps: 0})
    assert project(row, FEW, FEW)[0] == pytest.approx(30)


def test_twice_the_pairs_take_the_judge_twice_as_long() -> None:
    assert FULL.pairs == 2 * FEW.pairs
    assert project(ROWS[2], FEW, FULL) == pytest.approx((26 + 8, 8))


def test_items_are_counted_as_the_stages_plan_them() -> None:
    counts = Counts(PARAMS, (4, 2, 3))
    heldout = 3 * (len(PARAMS.generate.heldout_regimes) + 1)
    assert counts.generated == {PARAMS.generator.structure.steps: 4 * 2 + heldout, 4: 4}
    assert counts.pairs == 4 * 2 and counts.objects == 9
    assert counts.questions > counts.specimens > 0


def test_what_fits_a_card_is_told_from_what_was_measured() -> None:
    text = describe(PARAMS, (FEW, FULL), ROWS)
    rows = [line.split() for line in text.splitlines() if line.lstrip()[:2].isdigit()]
    cards = {card: found for card, _, *found in rows}
    beside = {4: 13 - 12, 16: 0}
    batches = [str(int((0.92 * 24 - beside[items] - 10) / 0.5)) for items in (4, 16, 16)]
    assert cards["24"] == [*batches, "none:", "in", "turn"]
    assert [cards[card][3:] for card in ("80", "140")] == [["both", "judges"]] * 2, "10 GiB each, beside 60"
