"""A run that stopped: the last words of the stages that failed, and a page of what there is.

The page lies in the state folder, not among the outputs, which belong to the stage ``report``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from verdict3d.config import load_params
from verdict3d.project import Workspace

MOST_LINES = 8
_OF_DVC = re.compile(r"^ERROR: failed to reproduce ")
_SAID = re.compile(r"^error: ")


def locate_page(workspace: Workspace) -> Path:
    """Return where the page of a run that stopped is."""
    return workspace.state / "stopped" / f"{workspace.preset or 'default'}.html"


def last_words(log: str) -> list[str]:
    """Return what a stage said of its end, from its ``error:`` on, without DVC's words; empty: nothing."""
    lines = [line.rstrip() for line in log.splitlines() if not _OF_DVC.match(line)]
    said = [number for number, line in enumerate(lines) if _SAID.match(line)]
    return lines[said[-1] :][:MOST_LINES] if said else []


def describe_failures(logs: Path, failed: Sequence[str]) -> str:
    """Return the last words of the stages that failed, from what they printed into ``logs``."""
    found = []
    for stage in failed:
        log = logs / f"{stage}.log"
        text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        found += [f"{stage}: {line.removeprefix('error: ')}" for line in last_words(text)]
    return "\n".join(found)


def write_page(workspace: Workspace, words: str, say: Callable[[str], None]) -> None:
    """Write the page of what a run has made before it stopped with ``words``, and say where it is."""
    from tasks.report import gather
    from verdict3d.view.page import render_page

    page = locate_page(workspace)
    try:
        report = gather(load_params(workspace.root / "params.yaml"), workspace.root, stopped=words)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(render_page(report), encoding="utf-8")
    except Exception as error:  # why the run stopped matters more than its page
        say(f"no page of what there is: {type(error).__name__}: {error}")
    else:
        say(f"what there is, on a page: {page}")
