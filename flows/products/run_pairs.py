"""The pairs of a run and its report, for the pages that the library makes of them."""

from __future__ import annotations

from pathlib import Path

from verdict3d.config import load_params
from verdict3d.products.pair_index import RunReader
from verdict3d.project import PARAMETERS
from verdict3d.view.pairs.entry import Entry


def read_pairs(root: Path) -> tuple[list[Entry], dict[str, str]]:
    """Return every pair that the stages left below ``root``, and the texts of questions by digest.

    Raises:
        Verdict3DError: A record cannot be read.
    """
    from flows.products.pair_entries import PairReader
    from flows.products.pair_records import RunRecords

    records = RunRecords(load_params(root / PARAMETERS), root)
    return list(PairReader(records).entries()), records.questions


def render_report(root: Path, pairs_page: str) -> str:
    """Return the report of what the stages left, with links to the page of pairs.

    Raises:
        Verdict3DError: A record cannot be read.
    """
    from tasks.report import gather
    from verdict3d.view.page import render_page

    return render_page(gather(load_params(root / PARAMETERS), root), pairs_page)


READER = RunReader(
    read_pairs,
    render_report,
    tuple(Path(__file__).with_name(name) for name in ("pair_entries.py", "pair_records.py")),
)
