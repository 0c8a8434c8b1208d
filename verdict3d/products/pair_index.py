"""The index of a workspace's pairs and the report that leads to them, made anew where a stage has written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from verdict3d.errors import Verdict3DError
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import Mesh
from verdict3d.project import DATA, VOTE_JOURNAL, Workspace
from verdict3d.provenance import code_of, digest_file, digest_json
from verdict3d.records.comparisons import Comparison
from verdict3d.records.differences import DIFFERENCE, Difference
from verdict3d.records.files import write_bytes
from verdict3d.records.record import read_record
from verdict3d.run_keys import run_key
from verdict3d.view.difference import render_difference
from verdict3d.view.pairs.entry import Entry
from verdict3d.view.pairs.index import PairIndex
from verdict3d.view.pairs.meshes import REMADE
from verdict3d.view.pairs.people import with_people
from verdict3d.view_sets import VIEW_SETS
from verdict3d.votes.journal import VoteJournal

T = TypeVar("T")
KEPT = Path("view")
"""Below the state folder: indexes, reports, and reduced copies of meshes. All of it can be made again."""
REPORT_PAGE, DIFFERENCE_PAGE, PAIRS_PAGE = "report.html", "difference.html", "index.html"
COMPARISON = "comparison.json"
READ = ("*.jsonl", "*/*.jsonl", "*/*/*.jsonl", "*/*.json", "*/*/*.json")
"""What the index depends on, below ``data``."""
SHOWN = ("verdict3d.view.pairs.index", "verdict3d.view.pairs.controls", "verdict3d.view.pairs.people")
COMPARED = Path(__file__).with_name("compared_entries.py")
"""Modules of the library, and a file, that decide what the index holds of a comparison."""


@dataclass(frozen=True)
class RunReader:
    """What reads the pairs of a run, which the library knows nothing of. The functions are given its root.

    Attributes:
        read: Returns its pairs, and the texts of its judges' questions by digest.
        report: Returns its report, with links to a page of pairs (the second argument).
        remake: Returns a mesh that the run has not kept, by its name and digest.
        files: Files whose code decides what ``read`` returns.
    """

    read: Callable[[Path], tuple[list[Entry], dict[str, str]]]
    report: Callable[[Path, str], str]
    remake: Callable[[Path, str, str], Mesh]
    files: tuple[Path, ...]


def open_index(
    workspace: Workspace, comparisons: Sequence[Path], reader: RunReader | None, say: Callable[[str], None]
) -> PairIndex:
    """Return the index of a workspace's pairs, made anew where a stage has written since.

    Args:
        workspace: Whose pairs.
        comparisons: Folders that ``verdict3d compare`` wrote; those right below the project are found.
        reader: Reads the pairs of its runs; None: only comparisons are shown.
        say: Prints a line for people.

    Raises:
        Verdict3DError: A record cannot be read, or the index not be written.
    """
    root = workspace.root
    folders = find_comparisons(workspace.project, comparisons, say)
    read = sorted({path for pattern in READ for path in (root / DATA).glob(pattern)} | {root / "params.yaml"})
    read += [folder / COMPARISON for folder in folders]
    states = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in read]
    readers = [digest_file(path) for path in (COMPARED, *(reader.files if reader else ()))]
    state = digest_json([states, code_of(*SHOWN), readers])
    path = workspace.state / KEPT / (workspace.preset or "project") / "pairs.sqlite"
    if path.is_file() and PairIndex(path).fact("state") == state:
        return PairIndex(path)
    say("reading what the stages left")
    facts = {"state": state, "title": f"preset {workspace.preset}" if workspace.preset else root.name}
    _in_a_process(write_index, path, root, folders, reader, facts)
    path.with_name(REPORT_PAGE).unlink(missing_ok=True)
    return PairIndex(path)


def find_comparisons(project: Path, named: Sequence[Path], say: Callable[[str], None]) -> list[Path]:
    """Return the folders of comparisons: those that are named and those right below a project.

    One that was found and cannot be read, such as one of an earlier version, is said and left out.

    Raises:
        Verdict3DError: A named folder holds no comparison, or one that cannot be read.
    """
    folders = {folder.resolve(): None for folder in named}
    for folder in named:
        if not (folder / COMPARISON).is_file():
            raise Verdict3DError(
                f"{folder} holds no {COMPARISON}; name a folder that `verdict3d compare` wrote"
            )
        read_record(folder / COMPARISON, Comparison)
    for path in sorted(project.glob(f"*/{COMPARISON}")):
        try:
            read_record(path, Comparison)
            folders[path.parent.resolve()] = None
        except Verdict3DError as error:
            say(f"{path.parent} is left out: {error}")
    return list(folders)


def write_index(
    path: Path, root: Path, comparisons: Sequence[Path], reader: RunReader | None, facts: Mapping[str, str]
) -> None:
    """Read the pairs of a workspace into an index.

    Args:
        path: The index.
        root: Where ``params.yaml`` and ``data`` are.
        comparisons: Folders of comparisons.
        reader: Reads the pairs of runs; None: there are none.
        facts: What the page must know beside pairs, questions and view sets.

    Raises:
        Verdict3DError: As :func:`open_index`.
    """
    from verdict3d.products.compared_entries import compared_entries, compared_questions

    entries, questions = reader.read(root) if reader else ([], {})
    entries = [*entries, *(entry for folder in comparisons for entry in compared_entries(folder))]
    for folder in comparisons:
        questions |= compared_questions(folder)
    entries = list(with_people(entries, VoteJournal(root / VOTE_JOURNAL).read()))
    views = [one.name for one in VIEW_SETS]
    PairIndex.write(path, entries, {**facts, "questions": questions, "views": views})


def open_report(workspace: Workspace, index: PairIndex, reader: RunReader | None) -> str | None:
    """Return the report with links from its numbers to their pairs, made where it is not there.

    Returns:
        The page; None where the stage ``report`` has not run.

    Raises:
        Verdict3DError: A record cannot be read.
    """
    if reader is None or not workspace.report.is_file():
        return None
    path = index.path.with_name(REPORT_PAGE)
    if not path.is_file():
        _in_a_process(write_report, path, workspace.root, reader)
    return path.read_text(encoding="utf-8")


def open_difference(workspace: Workspace) -> str | None:
    """Return what `verdict3d diff` wrote last, with links to pairs; None where it is not of the results here.

    Raises:
        Verdict3DError: It cannot be read.
    """
    path, key = workspace.difference / DIFFERENCE, run_key(workspace.root)
    if not (path.is_file() and key):
        return None
    difference = read_record(path, Difference)
    return render_difference(difference, PAIRS_PAGE) if difference.after.key == key else None


def list_pages(
    workspace: Workspace, index: PairIndex, reader: RunReader | None
) -> dict[str, Callable[[], str | None]]:
    """Return what makes the pages whose numbers lead to pairs, by name; each may be absent (None)."""
    pages: dict[str, Callable[[], str | None]] = {REPORT_PAGE: lambda: open_report(workspace, index, reader)}
    if open_difference(workspace) is not None:
        pages[DIFFERENCE_PAGE] = lambda: open_difference(workspace)
    return pages


def read_shown(path: Path, root: Path, remake: Callable[[Path, str, str], Mesh]) -> Mesh:
    """Read the mesh of a pair, or make it again where it is not kept.

    Args:
        path: Its file, or what stands for it (:func:`verdict3d.view.pairs.meshes.name_remade`).
        root: Where ``data`` is.
        remake: Of :class:`RunReader`.

    Raises:
        ItemFailure: It cannot be read, or would be another mesh now.
    """
    if path.suffix != REMADE:
        return read_mesh(path)
    return _in_a_process(remake, root, path.name.removesuffix(REMADE), path.parent.name)


def write_report(path: Path, root: Path, reader: RunReader) -> None:
    """Write the report of what the stages left, with links to the page of pairs beside it."""
    write_bytes(path, reader.report(root, PAIRS_PAGE).encode())


def _in_a_process(work: Callable[..., T], *arguments: object) -> T:
    """Do what imports the networks in a process that ends, so that a server stays small."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(work, *arguments).result()
