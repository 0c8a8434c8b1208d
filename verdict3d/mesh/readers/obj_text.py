"""The text of an OBJ file as numbers: runs of lines of one kind are parsed at once.

It is read as Latin-1, so that names are the bytes of the file, whatever their encoding: those of materials
are compared as they are, those of files are looked up by :class:`.own_folder.OwnFolder`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.numerals import parse_number, parse_numbers
from verdict3d.mesh.readers.reading import Reading

_RUN = re.compile(
    rb"(?P<v>(?:v[ \t][^\r\n]*(?:\r\n?|\n|$)){1,8192})|(?P<vt>(?:vt[ \t][^\r\n]*(?:\r\n?|\n|$)){1,8192})"
    rb"|(?P<f>(?:f[ \t][^\r\n]*(?:\r\n?|\n|$)){1,8192})|\s+|(?P<other>[^\r\n]+)",
    re.IGNORECASE,
)
_ODD = re.compile(rb"(?<=\s)#|,|[a-df-uw-z]", re.IGNORECASE)  # comments, commas, words: read one by one
_CORNER_BYTES = 64  # with what becomes of it
_SLASH, _BLANK = ord("/"), ord(" ")
_LARGEST = 2**53
_SHORT = 200  # bytes of a run that is read word by word as fast

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass
class ObjText:
    """Numbers of an OBJ, in parts that follow each other.

    Attributes:
        vertices: (N, 6) position and colour, NaN where the file gives no colour.
        coordinates: (N, 2) texture coordinates.
        corners: (N, 2) of polygons: vertex and texture coordinate (-1: none).
        sizes: (P,) corners of each polygon.
        materials: (P,) number in ``names`` of each polygon's material.
        names: Of materials; the first is no material.
        libraries: What stands behind ``mtllib``, each once.
    """

    vertices: list[Numbers] = field(default_factory=list)
    coordinates: list[Numbers] = field(default_factory=list)
    corners: list[Indices] = field(default_factory=list)
    sizes: list[Indices] = field(default_factory=list)
    materials: list[Indices] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=lambda: {"": 0})
    libraries: dict[str, None] = field(default_factory=dict)


def read_text(content: bytes, reading: Reading) -> ObjText:
    """Parse the lines of an OBJ; polygons with fewer than three corners are left out.

    Raises:
        ItemFailure: ``too_many_faces``, ``too_costly``, ``index_out_of_range`` or ``broken_file``.
        ValueError: A number or a line is malformed.
    """
    return _Parser(reading).parse(content)


class _Parser:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._text = ObjText()
        self._vertices = self._coordinates = self._triangles = self._material = 0

    def parse(self, content: bytes) -> ObjText:
        content = content.removeprefix(b"\xef\xbb\xbf")
        if b"\\\n" in content or b"\\\r" in content:
            content = re.sub(rb"\\(\r\n|\n|\r)", b" ", content)
        readers = {"v": self._read_vertices, "vt": self._read_coordinates, "f": self._read_faces}
        for number, match in enumerate(_RUN.finditer(content)):
            if number % 256 == 0:
                self._reading.check_time()
            if match.lastgroup == "other":
                self._read_line(match[0])
            elif match.lastgroup:
                readers[match.lastgroup](match[0])
        return self._text

    def _read_line(self, line: bytes) -> None:
        keyword, _, rest = line.decode("latin-1").replace("\t", " ").strip().partition(" ")
        match keyword.lower():
            case "usemtl":
                self._material = self._text.names.setdefault(rest.strip(), len(self._text.names))
            case "mtllib":
                self._text.libraries[rest.strip()] = None
            case "v":  # behind blanks
                self._read_vertices(line.strip())
            case "vt":
                self._read_coordinates(line.strip())
            case "f":
                self._read_faces(line.strip())

    def _read_vertices(self, run: bytes) -> None:
        table = _read_table(run, b"v")
        if table is None:
            table = np.array([_read_vertex(words) for words in _split_lines(run)])
        elif table.shape[1] < 3:
            raise ValueError(f"a vertex has {table.shape[1]} coordinates")
        else:  # a fourth number alone is a weight
            colors = table[:, 3:6] if table.shape[1] >= 6 else np.full((len(table), 3), math.nan)
            table = np.hstack([table[:, :3], colors])
        self._text.vertices.append(table)
        self._vertices += len(table)

    def _read_coordinates(self, run: bytes) -> None:
        table = _read_table(run, b"vt")
        if table is None:
            rows = [[parse_number(word) for word in words[:2]] for words in _split_lines(run)]
            table = np.array([(*row, 0.0)[:2] for row in rows])
        elif table.shape[1] == 1:
            table = np.hstack([table, np.zeros_like(table)])
        self._text.coordinates.append(table[:, :2])
        self._coordinates += len(table)

    def _read_faces(self, run: bytes) -> None:
        numbers, sizes = _read_face_numbers(run)
        kept = np.repeat(sizes >= 3, sizes)
        numbers, sizes = numbers[kept], sizes[sizes >= 3]
        self._triangles += len(numbers) - 2 * len(sizes)
        if self._triangles > self._reading.limits.faces:
            raise ItemFailure(
                "too_many_faces", f"more than {self._reading.limits.faces} faces, the most that is allowed"
            )
        self._reading.spend(_CORNER_BYTES * len(numbers), "its faces")
        corners = np.full((len(numbers), 2), -1, dtype=np.int64)
        corners[:, 0] = _resolve(numbers[:, 0], self._vertices)
        mapped = ~np.isnan(numbers[:, 1])
        corners[mapped, 1] = _resolve(numbers[mapped, 1], self._coordinates)
        self._text.corners.append(corners)
        self._text.sizes.append(sizes)
        self._text.materials.append(np.full(len(sizes), self._material, dtype=np.int64))


def _resolve(numbers: Numbers, count: int) -> Indices:
    """Return places from 0 for numbers that count from 1, or back from ``count``."""
    if not (np.abs(numbers) < _LARGEST).all() or (numbers != np.floor(numbers)).any():
        raise ValueError("a face names no whole number")
    places = np.where(numbers > 0, numbers - 1, count + numbers).astype(np.int64)
    bad = (numbers == 0) | (places < 0)
    if bad.any():
        word = int(numbers[bad.argmax()])
        raise ItemFailure("index_out_of_range", f"a face names element {word} of {count}")
    return places


def _read_table(run: bytes, keyword: bytes) -> Numbers | None:
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


def _read_face_numbers(run: bytes) -> tuple[Numbers, Indices]:
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
    for words in _split_lines(run):
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


def _split_lines(run: bytes) -> list[list[str]]:
    """Return the words behind the keyword of each line, before a comment; ``1.#IND`` is a word."""
    text = run.decode("latin-1").replace("\t", " ")
    lines = (re.sub(r"(^|\s)#.*", "", line) if "#" in line else line for line in re.split(r"[\r\n]+", text))
    return [words[1:] for line in lines if (words := line.split())]


def _read_vertex(words: list[str]) -> list[float]:
    """Return position and colour."""
    if len(words) < 3:
        raise ValueError(f"a vertex has {len(words)} coordinates")
    numbers = [parse_number(word) for word in words[:6]]
    return numbers if len(numbers) == 6 else numbers[:3] + [math.nan] * 3
