"""What stages make of people's answers: the gate's evidence, labels, the report."""

from __future__ import annotations

from pathlib import Path

from flows.chain.counted_votes import count_new_votes, count_votes
from support.ballots import ARMS, asked_pair, vote
from support.report_project import ARM, write_project
from support.rows import filled
from tasks.label import make_pair_verdict, select_preferences
from tasks.paths import COUNTED_VOTES
from tasks.report import gather
from tasks.scoring.people import label_by_people, tally_people
from tasks.tracking.run_values import collect_people_numbers
from verdict3d.config import load_params
from verdict3d.project import VOTE_JOURNAL, Workspace
from verdict3d.records.files import write_json
from verdict3d.records.pairs import Candidate, Pair
from verdict3d.records.record import read_rows, write_rows
from verdict3d.records.verdicts import Contender, HeldoutVerdict
from verdict3d.records.votes import Vote
from verdict3d.view.page import collect_people, render_page
from verdict3d.votes.journal import VoteJournal
from verdict3d.votes.pairs import draw_rank


def both(number: int, choice: str) -> list[Vote]:
    return [vote(f"p{n}", number, choice, id=f"{number}-{n}", first="xy"[(n + number) % 2]) for n in range(2)]


def heldout(number: int, outcome: str = "win", **values: object) -> HeldoutVerdict:
    pair = asked_pair(number)
    sides = {"arm": filled(Contender, mesh_digest=pair.x.mesh_digest)}
    sides |= {"base": filled(Contender, mesh_digest=pair.y.mesh_digest)}
    about = {"object": pair.object, "category": "chair", "regime": "severe", "outcome": outcome}
    return filled(HeldoutVerdict, **about | sides | values)


def test_the_gate_gets_answers_by_object_in_the_drawn_order(tmp_path: Path) -> None:
    rows = [heldout(number) for number in range(3)] + [
        heldout(3, "same"),
        heldout(4, "loss", arm=filled(Contender)),
    ]
    assert tally_people(rows, ARMS[0], 7, tmp_path) is None
    votes = [
        one for number, choice in enumerate("xyt") for one in both(number, {"t": "tie"}.get(choice, choice))
    ]
    write_rows(tmp_path / COUNTED_VOTES, votes)
    found = tally_people(rows, ARMS[0], 7, tmp_path)
    assert found is not None and {row[0]: row[1:] for row in found} == {
        "chair-000": (2, 0, 0),
        "chair-001": (0, 2, 0),
        "chair-002": (0, 0, 2),
        "chair-003": (0, 0, 2),
        "chair-004": (0, 2, 0),
    }
    names = [row[0] for row in found]
    assert names == sorted(names, key=lambda name: draw_rank(7, ARMS[0], "severe", name)) != sorted(names)
    assert tally_people([heldout(9)], ARMS[0], 7, tmp_path) is None, "answers are about other meshes"


def test_people_label_pairs_as_the_judge_does() -> None:
    pairs = []
    for number in range(3):
        asked = asked_pair(number)
        sides = {
            side: filled(
                Candidate, generation=f"{side}-{number}", mesh_digest=getattr(asked, side).mesh_digest
            )
            for side in ("x", "y")
        }
        pairs.append(
            filled(Pair, id=str(number), asset=asked.object, kind="same_base", split="train", **sides)
        )
    verdicts = label_by_people(pairs, [*both(0, "y"), vote("p0", 1, "x")])
    rows = [make_pair_verdict(pair, verdict) for pair, verdict in zip(pairs, verdicts, strict=True)]
    assert [row.outcome for row in rows] == ["loss", "invalid", "invalid"]
    assert (rows[0].d, rows[0].r) == (-1.0, 1.0)
    (kept,) = select_preferences(rows)
    assert (kept.id, kept.chosen, kept.rejected) == ("0", "y-0", "x-0")


def test_the_report_shows_what_people_say(tmp_path: Path) -> None:
    rows = write_project(tmp_path)
    params = load_params(tmp_path / "params.yaml")
    assert collect_people(gather(params, tmp_path)) is None
    known = [
        row.model_copy(
            update={
                side: getattr(row, side).model_copy(update={"mesh_digest": f"{side}-{n}"})
                for side in ("arm", "base")
            }
        )
        for n, row in enumerate(rows)
    ]
    write_rows(tmp_path / f"data/evaluate/{ARM}/verdicts.jsonl", known)
    votes = [
        one.model_copy(
            update={
                "object": row.object,
                "x": one.x.model_copy(update={"mesh_digest": row.arm.mesh_digest}),
                "y": one.y.model_copy(update={"mesh_digest": row.base.mesh_digest}),
                "x_tags": ["holes"],
            }
        )
        for n, row in enumerate(known)
        for one in both(n, "x")
    ]
    write_rows(tmp_path / COUNTED_VOTES, votes)
    report = gather(params, tmp_path)
    found = collect_people(report)
    assert found is not None and found["counted"] == 80 and found["careless"] == 0
    assert found["half_credit"][ARM]["severe"]["value"] > 0.9
    write_json(tmp_path / "metrics.json", {"people": found})
    numbers = collect_people_numbers(tmp_path / "metrics.json")
    assert numbers["people/answers"] == 80 and numbers["people/agreement.evaluation.low"] < 1
    assert 0.9 < numbers[f"people/half_credit.{ARM}.severe"] <= 1
    write_json(tmp_path / "metrics.json", {"people": None})
    assert collect_people_numbers(tmp_path / "metrics.json") == {}
    page = render_page(report)
    assert "2 people gave 80 answers" in page and "Evaluation judge" in page and "holes 40" in page


def test_a_run_counts_what_was_answered_before_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, tmp_path, None)
    count_votes(workspace)
    assert not (tmp_path / COUNTED_VOTES).exists(), "without answers nothing is written"
    journal = VoteJournal(tmp_path / VOTE_JOURNAL)
    journal.append(both(0, "x"))
    assert count_new_votes(workspace) == 2
    count_votes(workspace)
    before = (tmp_path / COUNTED_VOTES).stat().st_mtime_ns
    count_votes(workspace)
    assert (tmp_path / COUNTED_VOTES).stat().st_mtime_ns == before and count_new_votes(workspace) == 0
    (tmp_path / COUNTED_VOTES).write_bytes(b"damaged\n")
    count_votes(workspace)
    assert count_new_votes(workspace) == 0
    journal.append(both(1, "x"))
    assert count_new_votes(workspace) == 2
    assert len(read_rows(tmp_path / COUNTED_VOTES, Vote)) == 2, "what comes in meanwhile waits"
