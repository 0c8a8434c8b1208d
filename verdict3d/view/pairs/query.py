"""What is asked of the list of pairs: the same words in an address, on the command line and in the index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from verdict3d.errors import Verdict3DError
from verdict3d.view.pairs.fields import FIELDS, SORTS, Sort

PAGE_ROWS = 50
MOST_ROWS = 1000
MOST_WORDS = 100
"""Words of a search; each is looked for in the texts of all pairs that are left."""
_MOST_DIGITS = 10
_SHOWN_CHARACTERS = 60
_KINDS = {one.name: one.kind for one in FIELDS}
_SORTS = {one.name: one for one in SORTS}

Bounds = tuple[float | None, float | None]


@dataclass(frozen=True)
class Query:
    """Filters, order and page.

    Attributes:
        choices: Allowed values by field; a field that is not here allows all.
        ranges: Least and greatest value by field.
        search: Words that must all occur; lower case.
        sort: Order; None: as the stages wrote them.
        page: From 1.
        rows: Rows a page.
    """

    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ranges: dict[str, Bounds] = field(default_factory=dict)
    search: tuple[str, ...] = ()
    sort: Sort | None = None
    page: int = 1
    rows: int = PAGE_ROWS

    def without(self, name: str) -> Query:
        """Return the query without the filter by one field."""
        choices = {key: values for key, values in self.choices.items() if key != name}
        return Query(choices, self.ranges, self.search, self.sort, self.page, self.rows)


def parse_query(text: str) -> Query:
    """Return the query that the part of an address behind ``?`` means.

    A choice is named once for each allowed value (``outcome=win&outcome=loss``), a range by its ends
    (``size=2..``, ``gap=0.05..0.2``). ``q`` is the search, ``sort`` the order; ``page`` and ``rows`` say
    which part of the list is wanted.

    Raises:
        Verdict3DError: A name or a value is none of these.
    """
    return make_query(parse_qsl(text.lstrip("?"), keep_blank_values=True))


def make_query(pairs: Iterable[tuple[str, str]]) -> Query:
    """Return the query of names and values; see :func:`parse_query`."""
    choices: dict[str, tuple[str, ...]] = {}
    ranges: dict[str, Bounds] = {}
    search: tuple[str, ...] = ()
    sort: Sort | None = None
    numbers = {"page": 1, "rows": PAGE_ROWS}
    for name, value in pairs:
        kind = _KINDS.get(name)
        if kind == "choice":
            choices[name] = (*choices.get(name, ()), value)
        elif kind == "range":
            ranges[name] = _parse_bounds(name, value)
        elif name == "q":
            search = tuple(value.lower().split())
            if len(search) > MOST_WORDS:
                raise Verdict3DError(f"q has {len(search)} words; a search has at most {MOST_WORDS}")
        elif name == "sort":
            sort = _parse_sort(value)
        elif name in numbers:
            numbers[name] = _parse_count(name, value)
        else:
            known = ", ".join((*_KINDS, "q", "sort", *numbers))
            raise Verdict3DError(f"pairs have no {_shown(name)}; they are filtered by: {known}")
    return Query(choices, ranges, search, sort, numbers["page"], min(numbers["rows"], MOST_ROWS))


def _parse_bounds(name: str, value: str) -> Bounds:
    low, dots, high = value.partition("..")
    try:
        if not dots:
            return float(low), float(low)
        return float(low) if low else None, float(high) if high else None
    except ValueError:
        raise Verdict3DError(
            f"{name}={_shown(value)}: give a range such as {name}=0.5.., {name}=..2 or {name}=0.5..2"
        ) from None


def _parse_sort(value: str) -> Sort | None:
    if value and value not in _SORTS:
        raise Verdict3DError(f"sort={_shown(value)}: pairs are sorted by: {', '.join(_SORTS)}")
    return _SORTS.get(value)


def _parse_count(name: str, value: str) -> int:
    if not value.isdecimal() or len(value) > _MOST_DIGITS or not 1 <= int(value) <= 10**9:
        raise Verdict3DError(f"{name}={_shown(value)}: give a whole number from 1 to 1000000000")
    return int(value)


def _shown(text: str) -> str:
    """Return the start of what was given, as Python writes it."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}...")
