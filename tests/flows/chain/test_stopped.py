"""A run that stops ends with the reason, and with a page of what there is."""

from __future__ import annotations

from pathlib import Path

from flows.chain.stopped import describe_failures, last_words, locate_page, write_page
from support.toy_chain import write_toy_chain
from verdict3d.project import Workspace

LOG = """Running stage 'admission':
> python -m tasks.admission
warning: something else
error: the training judge cannot be believed: untaught_gap
Choose another model
ERROR: failed to reproduce 'admission': failed to run: python -m tasks.admission, exited with 1
"""


def test_the_last_words_of_a_stage_are_its_own() -> None:
    assert last_words(LOG) == [
        "error: the training judge cannot be believed: untaught_gap",
        "Choose another model",
    ]
    assert last_words("Running stage 'train':\nKilled\n") == []


def test_failures_are_described_by_stage_and_missing_logs_left_out(tmp_path: Path) -> None:
    (tmp_path / "admission.log").write_text(LOG)
    words = describe_failures(tmp_path, ["admission", "train@arm"])
    assert words.splitlines() == [
        "admission: the training judge cannot be believed: untaught_gap",
        "admission: Choose another model",
    ]


def test_the_page_says_why_the_run_stopped_and_what_is_missing(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    workspace, said = Workspace(project, project, None), list[str]()
    write_page(
        workspace, "The run stopped in <admission>. admission: why\nadmission: what to do", said.append
    )
    page = locate_page(workspace).read_text()
    assert "<h1>The run stopped in &lt;admission&gt;</h1>" in page and "Run the evaluate stage" not in page
    assert "admission: why<br>admission: what to do</div>" in page
    assert "the gate has not decided on promotion" in page
    assert said == [f"what there is, on a page: {locate_page(workspace)}"]


def test_a_page_that_cannot_be_made_hides_nothing(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    (project / "data/assets").mkdir()
    (project / "data/assets/quarantine.jsonl").write_text("no JSON")
    workspace, said = Workspace(project, project, None), list[str]()
    write_page(workspace, "The run stopped", said.append)
    assert len(said) == 1 and said[0].startswith("no page of what there is: Verdict3DError")
    assert not locate_page(workspace).exists()
