"""Numbers as text, from files of any system."""

from __future__ import annotations

import math
import re
import warnings

import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import ItemFailure

_NOT_A_NUMBER = re.compile(r"[-+]?1\.#(IND|QNAN|SNAN|INF)\d*", re.IGNORECASE)  # of Microsoft's C runtime
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(e[-+]?\d+)?", re.IGNORECASE)


def parse_number(word: str) -> float:
    """Return the number that a word stands for, NaN also for ``1.#IND`` and its like.

    Raises:
        ItemFailure: ``broken_file``: it has a decimal comma.
        ValueError: It is no number.
    """
    try:
        return float(word)
    except ValueError:
        if _NOT_A_NUMBER.fullmatch(word):
            return math.nan
        if _DECIMAL_COMMA.fullmatch(word):
            message = f"numbers have decimal commas ({word}); export the mesh with decimal points"
            raise ItemFailure("broken_file", message) from None
        raise


def parse_numbers(text: bytes) -> NDArray[np.float64]:
    """Return all numbers of a text, (N,), separated by blanks.

    Raises:
        ItemFailure, ValueError: As :func:`parse_number`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # of text that is no number
        try:
            return np.fromstring(text.decode("latin-1"), dtype=np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            return np.array([parse_number(word) for word in text.decode("latin-1").split()])
