"""The text of an OBJ file as numbers: lines of one kind are parsed thousands at once.

Whatever stands between them (other kinds, materials, groups, blanks at their beginning) costs little.
It is read as Latin-1, so that names are the bytes of the file, whatever their encoding: those of materials
are compared as they are, those of files are looked up by :class:`.own_folder.OwnFolder`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.numerals import parse_number
from verdict3d.mesh.readers.obj_lines import read_face_numbers, read_table, read_vertex, split_lines
from verdict3d.mesh.readers.reading import Reading

_RUN = re.compile(
    rb"(?P<v>(?:v[ \t][^\r\n]*(?:\r\n?|\n|$)){1,8192})|(?P<vt>(?:vt[ \t][^\r\n]*(?:\r\n?|\n|$)){1,8192})"
    rb"|(?P<f>(?:f[ \t][^\r\n]*(?:\r\n?|\n|$)){1,8192})|\s+|(?P<other>[^\r\n]+)",
    re.IGNORECASE,
)
_CORNER_BYTES = 64  # with what becomes of it
_AT_ONCE = 8192  # lines
_LARGEST = 2**53

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


class _Run(NamedTuple):
    """Lines of one kind that follow each other, and what the file had told before them."""

    text: bytes
    lines: int
    vertices: int
    coordinates: int
    material: int


class _Parser:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._text = ObjText()
        self._readers = {"v": self._read_vertices, "vt": self._read_coordinates, "f": self._read_faces}
        self._waiting: dict[str, list[_Run]] = {kind: [] for kind in self._readers}
        self._lines = dict.fromkeys(self._readers, 0)  # that wait
        self._counts = dict.fromkeys(self._readers, 0)
        self._triangles = self._material = 0

    def parse(self, content: bytes) -> ObjText:
        content = content.removeprefix(b"\xef\xbb\xbf")
        if b"\\\n" in content or b"\\\r" in content:
            content = re.sub(rb"\\(\r\n|\n|\r)", b" ", content)
        for number, match in enumerate(_RUN.finditer(content)):
            if number % 256 == 0:
                self._reading.check_time()
            if match.lastgroup == "other":
                self._read_line(match[0])
            elif match.lastgroup:
                self._add(match.lastgroup, match[0])
        for kind in self._readers:
            self._flush(kind)
        return self._text

    def _add(self, kind: str, run: bytes) -> None:
        if run[-1:] not in (b"\n", b"\r"):
            run += b"\n"
        lines = run.count(b"\n") + run.count(b"\r") - run.count(b"\r\n")
        self._waiting[kind].append(_Run(run, lines, self._counts["v"], self._counts["vt"], self._material))
        self._lines[kind] += lines
        self._counts[kind] += lines
        if self._lines[kind] >= _AT_ONCE:
            self._flush(kind)

    def _flush(self, kind: str) -> None:
        runs, self._waiting[kind], self._lines[kind] = self._waiting[kind], [], 0
        if runs:
            self._readers[kind](b"".join(run.text for run in runs), runs)

    def _read_line(self, line: bytes) -> None:
        keyword, *rest = line.split(None, 1)
        match keyword.lower():
            case b"usemtl":
                names = self._text.names
                self._material = names.setdefault(_read_name(rest), len(names))
            case b"mtllib":
                self._text.libraries[_read_name(rest)] = None
            case b"v" | b"vt" | b"f" as kind:  # without a word behind it
                self._add(kind.decode(), line)

    def _read_vertices(self, text: bytes, _runs: list[_Run]) -> None:
        table = read_table(text, b"v")
        if table is None:
            table = np.array([read_vertex(words) for words in split_lines(text)])
        elif table.shape[1] < 3:
            raise ValueError(f"a vertex has {table.shape[1]} coordinates")
        else:  # a fourth number alone is a weight
            colors = table[:, 3:6] if table.shape[1] >= 6 else np.full((len(table), 3), math.nan)
            table = np.hstack([table[:, :3], colors])
        self._text.vertices.append(table)

    def _read_coordinates(self, text: bytes, _runs: list[_Run]) -> None:
        table = read_table(text, b"vt")
        if table is None:
            rows = [[parse_number(word) for word in words[:2]] for words in split_lines(text)]
            table = np.array([(*row, 0.0, 0.0)[:2] for row in rows])
        elif table.shape[1] == 1:
            table = np.hstack([table, np.zeros_like(table)])
        self._text.coordinates.append(table[:, :2])

    def _read_faces(self, text: bytes, runs: list[_Run]) -> None:
        numbers, sizes = read_face_numbers(text)
        _, lines, vertices, coordinates, materials = map(np.array, zip(*runs, strict=True))
        before = np.repeat(np.repeat([vertices, coordinates], lines, axis=1), sizes, axis=1)
        polygons = sizes >= 3
        kept = np.repeat(polygons, sizes)
        numbers, before, sizes = numbers[kept], before[:, kept], sizes[polygons]
        self._triangles += len(numbers) - 2 * len(sizes)
        if self._triangles > self._reading.limits.faces:
            raise ItemFailure(
                "too_many_faces", f"more than {self._reading.limits.faces} faces, the most that is allowed"
            )
        self._reading.spend(_CORNER_BYTES * len(numbers), "its faces")
        corners = np.full((len(numbers), 2), -1, dtype=np.int64)
        corners[:, 0] = _resolve(numbers[:, 0], before[0])
        mapped = ~np.isnan(numbers[:, 1])
        corners[mapped, 1] = _resolve(numbers[mapped, 1], before[1, mapped])
        self._text.corners.append(corners)
        self._text.sizes.append(sizes)
        self._text.materials.append(np.repeat(materials, lines)[polygons])


def _resolve(numbers: Numbers, counts: Indices) -> Indices:
    """Return places from 0 for numbers that count from 1, or back from ``counts``."""
    if not (np.abs(numbers) < _LARGEST).all() or (numbers != np.floor(numbers)).any():
        raise ValueError("a face names no whole number")
    places = np.where(numbers > 0, numbers - 1, counts + numbers).astype(np.int64)
    bad = (numbers == 0) | (places < 0)
    if bad.any():
        first = bad.argmax()
        message = f"a face names element {int(numbers[first])} of {counts[first]}"
        raise ItemFailure("index_out_of_range", message)
    return places


def _read_name(rest: list[bytes]) -> str:
    return b"".join(rest).decode("latin-1").replace("\t", " ").strip()
