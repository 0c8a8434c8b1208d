"""Stage ``label``: the training judge compares every pair in both orders.

Writes ``data/label/``: ``verdicts.jsonl`` (one row a pair: margins, outcome, expectation),
``preferences.jsonl`` (pairs whose two orders agree, with their reliability, the preferred generation as
``chosen``) and ``metrics.json``. Margins are kept in a store outside these outputs, so that re-runs ask
nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.asking.certificates import require_certificate, with_chosen_panels
from tasks.asking.pairings import Pairing, judge_pairings
from tasks.paths import LABEL, PAIRS, start_folder
from tasks.stage import run_stage
from verdict3d.config import Params
from verdict3d.judge.identity import identify, require_different
from verdict3d.judge.verdict import Verdict
from verdict3d.randomness import numpy_generator
from verdict3d.records.files import Row, read_jsonl, write_json, write_jsonl
from verdict3d.stats.winrate import summary


def run(params: Params, root: Path) -> None:
    """Run the stage below ``root``."""
    params = with_chosen_panels(params, root, ["training"])
    judge = identify(params.judges.training, root)
    require_different(judge, identify(params.judges.evaluation, root))
    certificate = require_certificate(params, root, "training", judge)
    pairs = read_jsonl(root / PAIRS / "pairs.jsonl")
    asked = [("label", [Pairing(pair["reference"], pair["x"], pair["y"]) for pair in pairs])]
    (answers,) = judge_pairings(asked, params.judges.training, root)
    rows = [verdict_row(pair, answer) for pair, answer in zip(pairs, answers, strict=True)]
    out = start_folder(root / LABEL)
    write_jsonl(out / "verdicts.jsonl", rows)
    write_jsonl(out / "preferences.jsonl", preferences(rows))
    write_json(
        out / "metrics.json",
        {
            **measure_labels(params, rows),
            "judge": {**asdict(judge), "digest": judge.digest},
            "certificate": certificate,
        },
    )


def verdict_row(pair: Row, answer: Row) -> Row:
    """Return one row of ``verdicts.jsonl``: the pair without its pictures, and the verdict about x."""
    return {
        **{key: pair[key] for key in ("id", "kind", "asset", "category", "split", "expected")},
        **{side: {key: pair[side][key] for key in ("generation", "mesh_digest")} for side in ("x", "y")},
        **answer,
    }


def preferences(rows: Sequence[Row]) -> list[Row]:
    """Return the decisive verdicts as preferences, in their order.

    Each has ``chosen`` and ``rejected`` generation, ``reliability`` |d| - |b| and ``margin`` |d|.
    """
    kept = []
    for row in rows:
        if row["outcome"] not in ("win", "loss"):
            continue
        chosen, rejected = ("x", "y") if row["outcome"] == "win" else ("y", "x")
        kept.append(
            {
                **{key: row[key] for key in ("id", "kind", "asset", "split")},
                "chosen": row[chosen]["generation"],
                "rejected": row[rejected]["generation"],
                "reliability": row["r"],
                "margin": abs(row["d"]),
                "expected": None if row["expected"] is None else row["expected"] == chosen,
            }
        )
    return kept


def measure_labels(params: Params, rows: Sequence[Row]) -> dict[str, Any]:
    """Return counts, and for each kind of pair the win-rate summary of the expected side.

    Where nothing is expected (same base), x stands for the expected side. ``first_slot_share`` and
    ``position_bias`` do not depend on which side that is.
    """
    kinds = sorted({row["kind"] for row in rows})
    return {
        "pairs": len(rows),
        "preferences": sum(row["outcome"] in ("win", "loss") for row in rows),
        "invalid": dict(sorted(Counter(row["reason"] for row in rows if row["reason"]).items())),
        "kinds": {
            kind: summary(
                list(_from_expected_side(row for row in rows if row["kind"] == kind)),
                numpy_generator(params.seed, "label", kind),
                params.evaluate.bootstrap,
                params.evaluate.confidence,
            )
            for kind in kinds
        },
    }


def _from_expected_side(rows: Iterable[Row]) -> Iterable[Row]:
    """Yield rows for the statistics, turned so that x is the expected winner."""
    for row in rows:
        verdict = Verdict(row["m1"], row["m2"], reason=row["reason"])
        flip = row["expected"] == "y"
        outcome = (
            {"win": "loss", "loss": "win"}.get(row["outcome"], row["outcome"]) if flip else row["outcome"]
        )
        turned = verdict.flipped() if flip else verdict
        yield {"object": row["asset"], "outcome": outcome, "m1": turned.m1, "m2": turned.m2, "b": turned.b}


if __name__ == "__main__":
    run_stage(run)
