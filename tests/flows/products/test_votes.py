"""From a comparison of folders to people's answers, to another machine, and to the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.products.vote import open_ballot, require_one_address
from flows.products.votes import export_votes, import_votes, open_journal, report_votes
from support.ballots import vote, write_pairs
from support.pair_pages import QUESTION
from support.places import ROOT
from support.rows import filled
from verdict3d.errors import Verdict3DError
from verdict3d.project import Workspace
from verdict3d.records.comparisons import Comparison, PairedMesh, PairOfMeshes, SideFiles
from verdict3d.records.record import write_record, write_rows
from verdict3d.records.results import JudgeUsed


def write_compared(folder: Path) -> None:
    """What `verdict3d compare` leaves of ten photos, with meshes that are there."""
    folder.mkdir()
    (asked, *_), _ = write_pairs(folder, 1, 0)
    photos = [f"photo-{number}" for number in range(10)]

    def side(name: str, file: Path, number: int) -> PairedMesh:
        found = {"side": name, "file": file.name, "mesh_digest": f"{name}-{number}"}
        return PairedMesh(**found, failure=None, message="")

    rows = [
        filled(
            PairOfMeshes,
            **{"object": name, "photo": f"{name}.png", "outcome": "win"},
            mine=side("june", asked.x_mesh, number),
            theirs=side("july", asked.y_mesh, number),
        )
        for number, name in enumerate(photos)
    ]
    sides = [filled(SideFiles, name=name, folder=str(folder)) for name in ("june", "july")]
    judge = filled(JudgeUsed, model="judge", mode="normal", panel="three_images", prompt="p")
    asked = {"judge": judge, "role": "evaluation", "texts": {"normal": QUESTION}}
    write_rows(folder / "pairs.jsonl", rows)
    write_record(folder / "comparison.json", filled(Comparison, sides=sides, **asked))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("voted")
    (root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_compared(root / "june-july")
    return Workspace(root, root, None)


@pytest.mark.slow  # a process of its own reads the records
def test_answers_about_a_comparison_reach_the_report(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(Verdict3DError, match="`verdict3d vote` asks people"):
        report_votes(workspace, [], print)
    ballot = open_ballot(workspace, [], ["compare"], 2, print)
    assert (len(ballot.pairs), len(ballot.known)) == (10, 10)
    for person in ("one", "two"):
        while asked := ballot.open_questions(person):
            better = "a" if asked[0].first == "x" else "b"
            ballot.answer(person, asked[0].token, better, seconds=4.0)
    found = report_votes(workspace, [], print)
    (rate,) = found.rates
    assert (rate.arm, rate.against, rate.group, rate.counted) == ("june", "july", "june-july", 10)
    assert rate.people.decisive.wins == 20 and rate.people.half_credit.value == 1.0
    assert all(rater.known == rater.known_right >= 1 for rater in found.raters)
    assert found.judges["evaluation"].observed == found.ceiling.observed == 1.0
    with pytest.raises(Verdict3DError, match="no pair of evaluate has two different meshes"):
        open_ballot(workspace, [], ["evaluate"], 2, print)

    other = Workspace(tmp_path, tmp_path, None)
    count = export_votes(workspace, tmp_path / "votes.jsonl")
    assert import_votes(other, [tmp_path / "votes.jsonl"]) == (count, 0)
    assert import_votes(other, [tmp_path / "votes.jsonl"]) == (0, count)
    assert open_journal(other).read() == open_journal(workspace).read()
    assert export_votes(other, tmp_path / "votes.csv") == count
    head, *lines = (tmp_path / "votes.csv").read_text().splitlines()
    assert head.endswith("x_generation,x_mesh_digest,y_generation,y_mesh_digest") and len(lines) == count


def test_what_contradicts_what_is_there_is_not_taken_over(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, tmp_path, None)
    open_journal(workspace).append([vote("one", 0)])
    write_rows(tmp_path / "more.jsonl", [vote("two", 1), vote("one", 0, "y")])
    with pytest.raises(Verdict3DError, match="one-0 is there already and says something else"):
        import_votes(workspace, [tmp_path / "more.jsonl"])
    (tmp_path / "wrong.jsonl").write_text(json.dumps({"schema": "verdict3d/vote/0"}))
    with pytest.raises(Verdict3DError, match="line 1, field schema"):
        import_votes(workspace, [tmp_path / "wrong.jsonl"])
    with pytest.raises(Verdict3DError, match="is not there"):
        import_votes(workspace, [tmp_path / "nothing.jsonl"])
    with pytest.raises(Verdict3DError, match=r"\.jsonl or \.csv"):
        export_votes(workspace, tmp_path / "votes.xls")
    assert len(open_journal(workspace).read()) == 1


@pytest.mark.parametrize("share", ["0.0.0.0", "::", "[::]", ""])
def test_a_page_is_shared_at_one_address_only(share: str) -> None:
    assert require_one_address("192.0.2.7") == "192.0.2.7"
    with pytest.raises(Verdict3DError, match="the one address that voters reach"):
        require_one_address(share)
