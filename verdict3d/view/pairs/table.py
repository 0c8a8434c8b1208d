"""The columns of all pairs in memory, from which lists are filtered, counted and ordered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from verdict3d.view.pairs.fields import FIELDS, NUMBERS, WORDS, Cell
from verdict3d.view.pairs.query import Query

CHOICES = tuple(one.name for one in FIELDS if one.kind == "choice")
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PairTable:
    """Columns of all pairs, in the order of the stages.

    Attributes:
        numbers: Numbers of the pairs in the index, (N,) int64.
        texts: What a search looks into, in lower case.
        values: The different values of each column of words, ascending.
        codes: Place of each pair's value among these, (N,) int64 a column.
        amounts: Columns of numbers, (N,) float64 each, NaN where there is none.
    """

    numbers: NDArray[np.int64]
    texts: list[str]
    values: dict[str, list[str]]
    codes: dict[str, NDArray[np.int64]]
    amounts: dict[str, NDArray[np.float64]]

    @classmethod
    def of(cls, numbers: Sequence[int], texts: list[str], columns: Mapping[str, Sequence[Cell]]) -> PairTable:
        """Return the table of columns as the index has them."""
        values, codes = {}, {}
        for name in WORDS:
            words = [str(value or "") for value in columns[name]]
            values[name] = sorted(set(words))
            places = {value: place for place, value in enumerate(values[name])}
            codes[name] = np.array([places[word] for word in words], dtype=np.int64)
        amounts = {name: np.array(columns[name], dtype=np.float64) for name in NUMBERS}  # None becomes NaN
        return cls(np.array(numbers, dtype=np.int64), texts, values, codes, amounts)

    def find(self, query: Query) -> NDArray[np.int64]:
        """Return the numbers of all pairs that fit, in the order of the query."""
        fitting = np.flatnonzero(self._match(query))
        if query.sort is not None:
            fitting = fitting[
                np.argsort(self._rank(query.sort.column, query.sort.descending)[fitting], kind="stable")
            ]
        return self.numbers[fitting]

    def count(self, query: Query) -> dict[str, dict[str, int]]:
        """Return how many pairs each value of each choice would leave, the other filters as they are."""
        whole = self._match(query)
        found = {}
        for name in CHOICES:
            fitting = self._match(query.without(name)) if name in query.choices else whole
            counts = np.bincount(self.codes[name][fitting], minlength=len(self.values[name])).tolist()
            found[name] = {
                value: count
                for value, count in zip(self.values[name], counts, strict=True)
                if value and count
            }
        return found

    def _match(self, query: Query) -> Mask:
        fits = np.ones(len(self.numbers), dtype=np.bool_)
        for name, allowed in query.choices.items():
            wanted = [place for place, value in enumerate(self.values[name]) if value in allowed]
            fits &= np.isin(self.codes[name], wanted)
        for name, (low, high) in query.ranges.items():
            amounts = self.amounts[name]  # comparisons with NaN are false
            fits &= amounts >= (-np.inf if low is None else low)
            fits &= amounts <= (np.inf if high is None else high)
        for word in query.search:
            fits[fits] = [word in self.texts[place] for place in np.flatnonzero(fits)]
        return fits

    def _rank(self, column: str, descending: bool) -> NDArray[np.float64]:
        """Return (N,) values whose ascending order is wanted; NaN, which comes last, where there is none."""
        ranks = self.amounts[column] if column in self.amounts else self.codes[column].astype(np.float64)
        return -ranks if descending else ranks
