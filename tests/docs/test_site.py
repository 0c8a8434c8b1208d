"""The site: its navigation names every page, and a build finds no dead link and nothing from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.places import ROOT

SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
MADE = {"index.md", "architecture.md", "contributing.md", "changelog.md", "security.md"}
MADE |= {"reference/commands.md", "reference/numbers.md"}


def list_pages(entry: Any) -> list[str]:
    """Return the pages of an entry of the navigation and of those below it."""
    if isinstance(entry, str):
        return [entry]
    below = entry.values() if isinstance(entry, dict) else entry
    return [page for one in below for page in list_pages(one)]


def test_the_navigation_names_every_page_once() -> None:
    named = list_pages(SITE["nav"])
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert len(named) == len(set(named))
    assert set(named) == written | MADE and not written & MADE


def test_the_site_asks_nothing_of_other_hosts() -> None:
    assert SITE["theme"]["font"] is False
    assert not {"extra_javascript", "extra_css", "extra"} & set(SITE)
    assert SITE["hooks"] == ["docs/site.py"]  # which reads what was built


@pytest.mark.slow
def test_a_dead_link_and_a_foreign_picture_stop_the_build(tmp_path: Path) -> None:
    if not find_spec("mkdocs"):
        pytest.skip("no MkDocs here: `make docs` installs it")
    copied = tmp_path / "docs"
    copied.mkdir()
    for path in (*ROOT.iterdir(), *(ROOT / "docs").iterdir()):
        if path.name not in ("docs", "build"):
            (tmp_path / path.relative_to(ROOT)).symlink_to(path)
    (copied / "diff.md").unlink()
    (copied / "diff.md").write_text("# Diff\n\n[a](nowhere.md)\n\n![b](https://example.org/far.png)\n")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert built.returncode != 0
    assert "nowhere.md" in built.stderr and "loads https://example.org/far.png" in built.stderr
