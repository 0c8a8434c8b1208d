"""What the documents name is there: files, links, commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import typer

from examples.two_folders import write_folders
from support.places import ROOT

DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
EXAMPLES = {"verdict3d/adapt/methods/token_gain.py"}
ROOMS = "verdict3d|tasks|flows|benchmarks|tests|presets|docs|data/checkpoints"


def names(documents: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in documents]


@pytest.mark.parametrize("document", DOCUMENTS, ids=names(DOCUMENTS))
def test_files_that_a_document_names_exist(document: Path) -> None:
    named = re.findall(rf"`((?:{ROOMS})/[\w./-]+\.\w+)(?:::\w+)?`(?! of commit)", document.read_text())
    assert [path for path in named if not (ROOT / path).exists() and path not in EXAMPLES] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=names(DOCUMENTS))
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        place = (document.parent / path).resolve() if path else document
        assert place.exists(), target
        headings = re.findall(r"^#+ (.+)$", place.read_text(), re.MULTILINE) if anchor else []
        slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, target


@pytest.mark.parametrize("document", DOCUMENTS, ids=names(DOCUMENTS))
def test_commands_that_a_document_shows_exist(document: Path) -> None:
    from verdict3d.cli.main import app

    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    shown = re.findall(r"^    (?:\$ )?verdict3d ([a-z]+)", document.read_text(), re.MULTILINE)
    assert [name for name in shown if name not in known] == []


@pytest.mark.slow
def test_the_lines_of_python_in_the_readme_judge_two_folders(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^    from pathlib import Path\n(?:    .*\n|\n)+", text, re.MULTILINE)
    assert found
    lines = textwrap.dedent(found.group())
    assert (
        len([line for line in lines.splitlines() if line and not line.startswith(("import", "from"))]) <= 10
    )
    write_folders(tmp_path, ("chair", "table", "lamp"))
    (tmp_path / "readme.py").write_text(lines)
    command = [sys.executable, "-W", "error::DeprecationWarning:verdict3d", "readme.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"^june wins Estimate.* coverage 1\.0$", done.stdout, re.MULTILINE), done.stdout
