"""``verdict3d votes``: answers of people taken over, written out, and set beside those of judges."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from flows.products.run_pairs import READER
from flows.products.voted_pairs import SOURCES, read_documents
from tasks.paths import PAIRS
from tasks.scoring.people import label_by_people
from verdict3d.config import load_params
from verdict3d.errors import Verdict3DError
from verdict3d.products.pair_index import open_index
from verdict3d.project import VOTE_JOURNAL, Workspace
from verdict3d.records.files import format_row_line, write_bytes
from verdict3d.records.pairs import Pair
from verdict3d.records.record import as_values, read_rows, write_rows
from verdict3d.records.votes import PeopleReport, Vote
from verdict3d.view.pairs.index import PairIndex
from verdict3d.votes.counted import drop_replaced
from verdict3d.votes.journal import VoteJournal, parse_votes
from verdict3d.votes.people import JudgedPair, report_people


def open_journal(workspace: Workspace) -> VoteJournal:
    """Return where the answers of a workspace are."""
    return VoteJournal(workspace.root / VOTE_JOURNAL)


def import_votes(workspace: Workspace, files: Sequence[Path]) -> tuple[int, int]:
    """Take over answers that are not there yet.

    Args:
        workspace: Where they go.
        files: JSON lines that ``verdict3d votes export`` or another machine's page wrote.

    Returns:
        How many are new, and how many were there.

    Raises:
        Verdict3DError: A file is missing, a line is no answer, or an id stands for two different answers;
            nothing is taken over then.
    """
    journal = open_journal(workspace)
    there = {vote.id: vote for vote in journal.read()}
    new: dict[str, Vote] = {}
    known = 0
    for path in files:
        if not path.is_file():
            raise Verdict3DError(f"{path} is not there; name a file that `verdict3d votes export` wrote")
        for vote in parse_votes(path.read_bytes(), path):
            earlier = there.get(vote.id) or new.get(vote.id)
            if earlier is not None and earlier != vote:
                raise Verdict3DError(f"{path}: the answer {vote.id} is there already and says something else")
            known += earlier is not None
            if earlier is None:
                new[vote.id] = vote
    if new:
        journal.append(list(new.values()))
    return len(new), known


def export_votes(workspace: Workspace, output: Path) -> int:
    """Write answers as lines of JSON, all of them, or as a table without those that were taken back.

    Args:
        workspace: Whose answers.
        output: A file that ends with ``.jsonl`` or ``.csv``.

    Returns:
        How many.

    Raises:
        Verdict3DError: The file's name ends otherwise.
    """
    votes = open_journal(workspace).read()
    if output.suffix == ".jsonl":
        write_bytes(output, "".join(format_row_line(as_values(vote)) + "\n" for vote in votes).encode())
    elif output.suffix == ".csv":
        votes = drop_replaced(votes)
        write_bytes(output, _format_table(votes).encode())
    else:
        raise Verdict3DError(f"{output}: name a file that ends with .jsonl or .csv")
    return len(votes)


def export_preferences(workspace: Workspace, output: Path) -> int:
    """Write people's preferences about the pairs to learn from, as the stage ``label`` writes them.

    Args:
        workspace: Whose answers and pairs.
        output: A file that ends with ``.jsonl``.

    Returns:
        How many.

    Raises:
        Verdict3DError: The file's name ends otherwise, or the stage ``pairs`` has not run.
    """
    from tasks.label import make_pair_verdict, select_preferences

    if output.suffix != ".jsonl":
        raise Verdict3DError(f"{output}: preferences are lines of JSON; name a file that ends with .jsonl")
    pairs = read_rows(workspace.root / PAIRS / "pairs.jsonl", Pair)
    verdicts = label_by_people(pairs, open_journal(workspace).read())
    rows = [make_pair_verdict(pair, verdict) for pair, verdict in zip(pairs, verdicts, strict=True)]
    preferences = select_preferences(rows)
    write_rows(output, preferences)
    return len(preferences)


def _format_table(votes: Sequence[Vote]) -> str:
    names = [name for name in Vote.model_fields if name not in ("x", "y", "replaces")]
    sides = [f"{side}_{name}" for side in ("x", "y") for name in ("generation", "mesh_digest")]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*names, *sides])
    for vote in votes:
        values = vote.model_dump()
        cells = [" ".join(value) if isinstance(value := values[name], list) else value for name in names]
        writer.writerow([*cells, *(values[side][name] for side in "xy" for name in values["x"])])
    return stream.getvalue()


def report_votes(
    workspace: Workspace, comparisons: Sequence[Path], say: Callable[[str], None]
) -> PeopleReport:
    """Return what people of a workspace say and how judges stand to it.

    Args:
        workspace: Whose answers.
        comparisons: Folders that ``verdict3d compare`` wrote.
        say: Prints a line for people.

    Raises:
        Verdict3DError: Nobody has voted, or a record cannot be read.
    """
    votes = open_journal(workspace).read()
    if not votes:
        raise Verdict3DError(f"nobody has voted yet; `verdict3d vote{workspace.option}` asks people")
    params = load_params(workspace.root / "params.yaml")
    pairs = list(list_judged_pairs(open_index(workspace, comparisons, READER, say)))
    return report_people(votes, pairs, params.seed, params.evaluate.bootstrap, params.evaluate.confidence)


def list_judged_pairs(index: PairIndex) -> Iterator[JudgedPair]:
    """Yield every pair of the index that people can be asked about, with what judges say."""
    for row in read_documents(index, SOURCES):
        yield JudgedPair(
            object=row.object,
            place=row.place,
            group=row.group,
            arm=row.arm,
            against=row.against,
            regime=row.regime,
            x=row.sides["x"].digest,
            y=row.sides["y"].digest,
            outcomes={word.role: word.outcome for word in (row.word, *row.others)},
        )
