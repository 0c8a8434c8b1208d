"""Stage ``preflight``: whether training can teach anything, before it is tried.

From the training judge's verdicts on pairs of known order: flips, coverage, win-rate of the better side and
the headroom of each regime (how often what the clean picture gives is preferred to what the degraded one
gives; the latter also had fewer steps, so this is an upper bound). Writes ``data/preflight/``:
``preflight.json`` and ``metrics.json``, and stops the run when there is no signal, unless
``preflight.override`` says to go on, which is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tasks.paths import LABEL, PREFLIGHT, read_generations, start_folder
from tasks.stage import run_stage
from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.records.files import write_json
from verdict3d.records.generations import Generation
from verdict3d.records.names import Outcome
from verdict3d.records.record import read_record, read_rows, write_record
from verdict3d.records.results import Headroom, Labels, PairSignal, Preflight
from verdict3d.records.verdicts import PairVerdict
from verdict3d.stats.preflight import (
    choose_promising_regime,
    count_objects_needed,
    find_signal_reasons,
    measure_half_credit,
)
from verdict3d.stats.winrate import Scored, turn


def examine(params: Params, root: Path) -> Preflight:
    """Return what is known before training below ``root``."""
    kinds = read_record(root / LABEL / "metrics.json", Labels).kinds
    generations = {row.id: row for row in read_generations(root)}
    verdicts = read_rows(root / LABEL / "verdicts.jsonl", PairVerdict)
    wanted, contrastive = params.preflight, kinds.get("contrastive")
    reasons = find_signal_reasons(kinds, wanted.least_win_rate, wanted.least_coverage)
    headroom = {
        regime: measure_headroom(verdicts, generations, regime) for regime in params.generate.pair_regimes
    }
    heldout = len({row.asset for row in generations.values() if row.split == "heldout"})
    coverage = contrastive.coverage if contrastive else None
    needed = count_objects_needed(params.evaluate.target, coverage, wanted.power, params.evaluate.confidence)
    return Preflight(
        signal=not reasons,
        reasons=reasons,
        overridden=bool(reasons) and wanted.override,
        pairs={
            kind: PairSignal(
                half_credit=found.half_credit,
                coverage=found.coverage,
                flip_rate=found.flip_rate,
                pairs=found.pairs,
            )
            for kind, found in kinds.items()
        },
        headroom=headroom,
        regime=choose_promising_regime(
            {name: part.judge for name, part in headroom.items()}, wanted.least_headroom
        ),
        objects_needed=needed,
        objects_heldout=heldout,
    )


def measure_headroom(
    verdicts: Sequence[PairVerdict], generations: dict[str, Generation], regime: str
) -> Headroom:
    """Return how often the clean side wins against this regime, by the judge and by the truth's F-score."""
    judged: list[Outcome] = []
    true: list[Outcome] = []
    for row in verdicts:
        if row.kind != "contrastive":
            continue
        better, worse = (row.x, row.y) if row.expected == "x" else (row.y, row.x)
        mine, theirs = generations[better.generation], generations[worse.generation]
        if theirs.regime != regime:
            continue
        seen = Scored(row.asset, row.outcome)
        judged.append((seen if row.expected == "x" else turn(seen)).outcome)
        if mine.truth and theirs.truth:
            gap = mine.truth.f_score - theirs.truth.f_score
            true.append("win" if gap > 0 else "loss" if gap < 0 else "close")
    return Headroom(judge=measure_half_credit(judged), truth=measure_half_credit(true), pairs=len(judged))


def run(params: Params, root: Path) -> None:
    """Run the stage below ``root``.

    Raises:
        Verdict3DError: There is no signal, and nobody said to go on.
    """
    found = examine(params, root)
    out = start_folder(root / PREFLIGHT)
    write_record(out / "preflight.json", found)
    metrics = {
        key: getattr(found, key) for key in ("signal", "overridden", "objects_needed", "objects_heldout")
    }
    write_json(out / "metrics.json", metrics)
    if found.reasons and not found.overridden:
        raise Verdict3DError(
            f"nothing to learn from: {'; '.join(found.reasons)}. More or clearer pairs help, or another "
            "training judge; preflight.override: true in params.yaml trains all the same and records it"
        )


if __name__ == "__main__":
    run_stage(run)
