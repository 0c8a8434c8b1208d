"""Lines of an OBJ file as numbers, thousands at once where they are alike, else word by word."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from verdict3d.mesh.readers.numerals import parse_number, parse_numbers

_ODD = re.compile(rb"(?<=\s)#|,|[a-df-uw-z]", re.IGNORECASE)  # comments, commas, words: read one by one
_SLASH, _BLANK = ord("/"), ord(" ")
_SHORT = 200  # bytes of lines that are read word by word as fast

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]


def read_table(run: bytes, keyword: bytes) -> Numbers | None:
    """Return the numbers (lines, words) of a run, or None where its lines are not all of one plain form."""
    if len(run) < _SHORT or _ODD.search(
        run[len(keyword) :].replace(b"\n" + keyword, b"\n").replace(b"\r" + keyword, b"\r")
    ):
        return None
    starts, lines = _split_words(run)
    counts = np.diff(np.append(np.searchsorted(starts, lines), len(starts)))
    if not (counts == counts[0]).all() or counts[0] < 2:
        return None
    plain = bytearray(run)
    for offset in range(len(keyword)):
        np.frombuffer(plain, np.uint8)[lines + offset] = _BLANK
    return parse_numbers(bytes(plain)).reshape(len(lines), counts[0] - 1)


def read_face_numbers(run: bytes) -> tuple[Numbers, Indices]:
    """Return vertex and texture coordinate (NaN: none) of each corner, (N, 2), and each line's corners."""
    if len(run) < _SHORT:
        return _read_odd_face_numbers(run)
    starts, lines = _split_words(run)
    sizes = np.diff(np.append(np.searchsorted(starts, lines), len(starts))) - 1
    characters = np.frombuffer(run, np.uint8)
    slashes = np.add.reduceat((characters == _SLASH).astype(np.int64), starts)
    corners = ~np.isin(starts, lines)
    forms = set(slashes[corners].tolist())
    doubled = run.count(b"//")
    if len(forms) != 1 or doubled not in (0, int(corners.sum())) or not forms <= {0, 1, 2} or b"#" in run:
        return _read_odd_face_numbers(run)
    plain = np.frombuffer(run, np.uint8).copy()
    plain[lines] = _BLANK
    try:
        numbers = parse_numbers(plain.tobytes().replace(b"/", b" ")).reshape(int(corners.sum()), -1)
    except ValueError:
        return _read_odd_face_numbers(run)
    if doubled or numbers.shape[1] == 1:
        numbers = np.stack([numbers[:, 0], np.full(len(numbers), math.nan)], axis=1)
    return numbers[:, :2], sizes


def _read_odd_face_numbers(run: bytes) -> tuple[Numbers, Indices]:
    numbers, sizes = [], []
    for words in split_lines(run):
        for word in words:
            first, _, rest = word.partition("/")
            second = rest.partition("/")[0]
            numbers.append((int(first), int(second) if second else math.nan))
        sizes.append(len(words))
    return np.array(numbers, dtype=np.float64).reshape(-1, 2), np.array(sizes, dtype=np.int64)


def _split_words(run: bytes) -> tuple[Indices, Indices]:
    """Return where words begin, and where lines (with their keyword) do."""
    characters = np.frombuffer(run, np.uint8)
    blank = characters <= _BLANK
    before = np.concatenate([[True], blank[:-1]])
    ended = np.concatenate([[True], (characters[:-1] == ord("\n")) | (characters[:-1] == ord("\r"))])
    starts = ~blank & before
    return np.flatnonzero(starts), np.flatnonzero(starts & ended)


def split_lines(run: bytes) -> list[list[str]]:
    """Return the words behind the keyword of each line, before a comment; ``1.#IND`` is a word."""
    text = run.decode("latin-1").replace("\t", " ")
    lines = (re.sub(r"(^|\s)#.*", "", line) if "#" in line else line for line in re.split(r"[\r\n]+", text))
    return [words[1:] for line in lines if (words := line.split())]


def read_vertex(words: list[str]) -> list[float]:
    """Return position and colour."""
    if len(words) < 3:
        raise ValueError(f"a vertex has {len(words)} coordinates")
    numbers = [parse_number(word) for word in words[:6]]
    return numbers if len(numbers) == 6 else numbers[:3] + [math.nan] * 3
