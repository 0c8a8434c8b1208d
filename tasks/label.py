"""Stage ``label``: the training judge compares every pair in both orders, or people have done so.

Writes ``data/label/``: ``verdicts.jsonl`` (one row a pair: margins, outcome, expectation),
``preferences.jsonl`` (pairs whose two orders agree, the preferred generation as ``chosen``) and
``metrics.json``. Margins are kept in a store outside these outputs, so that re-runs ask nothing twice. Where
people label (``label.by``), their answers take the place of the judge's, as
:func:`verdict3d.votes.verdicts.judge_by_people` has it; a pair that nobody has seen in both orders has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tasks.paths import LABEL, PAIRS, start_folder
from tasks.scoring.people import label_by_people, read_votes
from tasks.stage import run_stage
from verdict3d.asking.certificates import require_certified_judge
from verdict3d.asking.pairings import Pairing, judge_pairings
from verdict3d.config import Params
from verdict3d.judge.verdict import Verdict
from verdict3d.randomness import numpy_generator
from verdict3d.records.names import PairKind
from verdict3d.records.numbers import Summary
from verdict3d.records.pairs import Candidate, Pair
from verdict3d.records.record import read_rows, write_record, write_rows
from verdict3d.records.results import Labels
from verdict3d.records.verdicts import Compared, PairVerdict, Preference
from verdict3d.render.rig import Rig
from verdict3d.stats.winrate import Scored, summarise, turn


def run(params: Params, root: Path) -> None:
    """Run the stage below ``root``."""
    judge = require_certified_judge(params, root, "training")
    pairs = read_rows(root / PAIRS / "pairs.jsonl", Pair)
    if params.label.by == "people":
        answers = label_by_people(pairs, read_votes(root))
    else:
        asked = [("label", [Pairing(pair.reference, pair.x, pair.y) for pair in pairs])]
        (answers,) = judge_pairings(asked, judge.settings, Rig(view_px=params.judges.view_px), root)
    rows = [make_pair_verdict(pair, answer) for pair, answer in zip(pairs, answers, strict=True)]
    out = start_folder(root / LABEL)
    write_rows(out / "verdicts.jsonl", rows)
    write_rows(out / "preferences.jsonl", select_preferences(rows))
    labels = Labels(
        by=params.label.by,
        pairs=len(rows),
        preferences=sum(row.outcome in ("win", "loss") for row in rows),
        invalid=dict(sorted(Counter(row.reason for row in rows if row.reason).items())),
        kinds=measure_kinds(params, rows),
        judge=judge.identity.record(),
        certificate=judge.certificate,
    )
    write_record(out / "metrics.json", labels)


def make_pair_verdict(pair: Pair, verdict: Verdict) -> PairVerdict:
    """Return one row of ``verdicts.jsonl``: the pair without its pictures, and the verdict about x."""
    return PairVerdict(
        id=pair.id,
        kind=pair.kind,
        asset=pair.asset,
        category=pair.category,
        split=pair.split,
        expected=pair.expected,
        x=_describe_compared(pair.x),
        y=_describe_compared(pair.y),
        **verdict.row(),
    )


def _describe_compared(side: Candidate) -> Compared:
    return Compared(generation=side.generation, mesh_digest=side.mesh_digest)


def select_preferences(rows: Sequence[PairVerdict]) -> list[Preference]:
    """Return the decisive verdicts as preferences, in their order."""
    kept = []
    for row in rows:
        if row.outcome not in ("win", "loss"):
            continue
        chosen, rejected = (row.x, row.y) if row.outcome == "win" else (row.y, row.x)
        kept.append(
            Preference(
                id=row.id,
                kind=row.kind,
                asset=row.asset,
                split=row.split,
                chosen=chosen.generation,
                rejected=rejected.generation,
            )
        )
    return kept


def measure_kinds(params: Params, rows: Sequence[PairVerdict]) -> dict[PairKind, Summary]:
    """Return for each kind of pair the win-rate summary of the expected side.

    Where nothing is expected (same base), x stands for the expected side. ``first_slot_share`` and
    ``position_bias`` do not depend on which side that is.
    """
    return {
        kind: summarise(
            list(_turn_to_expected_side(row for row in rows if row.kind == kind)),
            numpy_generator(params.seed, "label", kind),
            params.evaluate.bootstrap,
            params.evaluate.confidence,
        )
        for kind in sorted({row.kind for row in rows})
    }


def _turn_to_expected_side(rows: Iterable[PairVerdict]) -> Iterable[Scored]:
    """Yield rows for the statistics, turned so that x is the expected winner."""
    for row in rows:
        plain = Scored(row.asset, row.outcome, row.m1, row.m2)
        yield turn(plain) if row.expected == "y" else plain


if __name__ == "__main__":
    run_stage(run)
