from __future__ import annotations

import pytest

from verdict3d.errors import Verdict3DError
from verdict3d.view.pairs.query import MOST_ROWS, PAGE_ROWS, parse_query


def test_an_address_is_a_query() -> None:
    query = parse_query("?outcome=win&outcome=loss&size=2..&gap=..0.2&grade=3&q=Chair+00&sort=wrong&page=2")
    assert query.choices == {"outcome": ("win", "loss")}
    assert query.ranges == {"size": (2.0, None), "gap": (None, 0.2), "grade": (3.0, 3.0)}
    assert query.search == ("chair", "00")
    assert query.sort is not None and query.sort.name == "wrong"
    assert (query.page, query.rows) == (2, PAGE_ROWS)
    assert parse_query("rows=999999").rows == MOST_ROWS
    assert query.without("outcome").choices == {} and query.without("outcome").ranges == query.ranges


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("outcme=win", "filtered by: place, group"),
        ("size=big", r"size=0\.5\.\."),
        ("sort=best", "loudest"),
        ("page=0", "whole number from 1"),
        ("rows=-1", "whole number"),
        (f"page={'1' * 5000}", "whole number"),
        (f"q={'+'.join('a' * 1000)}", "1000 words; a search has at most 100"),
        (f"sort={'x' * 5000}", r"x\.\.\.'"),
    ],
)
def test_what_is_no_query_is_refused_with_what_is_allowed(text: str, words: str) -> None:
    with pytest.raises(Verdict3DError, match=words) as refused:
        parse_query(text)
    assert len(str(refused.value)) < 600
