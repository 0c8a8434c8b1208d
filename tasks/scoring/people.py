"""What people answered, for the stages that depend on it: labels, the gate's condition, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.paths import COUNTED_VOTES, EVALUATE
from verdict3d.config import Params
from verdict3d.judge.verdict import Verdict
from verdict3d.records.decisions import ObjectTally
from verdict3d.records.pairs import Pair
from verdict3d.records.record import read_rows
from verdict3d.records.verdicts import HeldoutVerdict
from verdict3d.records.votes import PeopleReport, Vote
from verdict3d.stats.tally import tally_rows
from verdict3d.stats.winrate import Scored
from verdict3d.votes.counted import drop_replaced
from verdict3d.votes.pairs import name_pair
from verdict3d.votes.people import JudgedPair, count_along, group_votes, report_people
from verdict3d.votes.raters import find_careless
from verdict3d.votes.verdicts import judge_by_people

BASE = "base"
ROLES = {"evaluation": "verdicts", "training": "training_judge", "third": "third_judge"}
"""Files of each judge's verdicts on an arm's pairs, by role."""


def read_votes(root: Path) -> list[Vote]:
    """Return the answers that this run counts; none where nobody has voted."""
    path = root / COUNTED_VOTES
    return read_rows(path, Vote) if path.is_file() else []


def group_answers(votes: Sequence[Vote]) -> dict[str, list[Vote]]:
    """Return the answers of careful people by pair (:func:`verdict3d.votes.people.group_votes`)."""
    current = drop_replaced(votes)
    return group_votes(current, find_careless(current))


def label_by_people(pairs: Sequence[Pair], votes: Sequence[Vote]) -> list[Verdict]:
    """Return people's verdict on each pair, in order."""
    answers = group_answers(votes)
    verdicts = []
    for pair in pairs:
        x, y = pair.x.mesh_digest, pair.y.mesh_digest
        verdicts.append(judge_by_people(answers.get(name_pair(pair.asset, x, y), ()), x, y))
    return verdicts


def tally_people(rows: Sequence[HeldoutVerdict], arm: str, seed: int, root: Path) -> list[ObjectTally] | None:
    """Return what people say of a candidate against the champion, by object, in the drawn order.

    Args:
        rows: The evaluation judge on these pairs, of one regime.
        arm: The candidate.
        seed: Of the order.
        root: The project's folder.

    Returns:
        None where nobody has answered about any of these pairs.
    """
    answers = group_answers(read_votes(root))
    pairs = [_make_pair(row, arm, "", {"evaluation": row}) for row in rows]
    if not any(pair.key in answers for pair in pairs):
        return None
    counted = count_along(pairs, answers, seed)
    order = list(dict.fromkeys(pair.object for pair, _ in counted))
    return tally_rows([Scored(pair.object, outcome) for pair, outcome in counted], order)


def report_on_people(params: Params, root: Path) -> PeopleReport | None:
    """Return what people say of the arms and how judges stand to it; None where nobody has voted."""
    votes = read_votes(root)
    if not votes:
        return None
    pairs = []
    for arm in params.train.arms:
        said = {
            role: {(row.object, row.regime, row.seed): row for row in read_rows(path, HeldoutVerdict)}
            for role, name in ROLES.items()
            if (path := root / EVALUATE / arm / f"{name}.jsonl").is_file()
        }
        for place, row in said.get("evaluation", {}).items():
            beside = {role: rows[place] for role, rows in said.items() if place in rows}
            pairs.append(_make_pair(row, arm, BASE, beside))
    return report_people(votes, pairs, params.seed, params.evaluate.bootstrap, params.evaluate.confidence)


def _make_pair(row: HeldoutVerdict, arm: str, against: str, said: Mapping[str, HeldoutVerdict]) -> JudgedPair:
    return JudgedPair(
        object=row.object,
        x=row.arm.mesh_digest,
        y=row.base.mesh_digest,
        outcomes={role: one.outcome for role, one in said.items()},
        place="evaluate",
        arm=arm,
        against=against,
        regime=row.regime,
    )
