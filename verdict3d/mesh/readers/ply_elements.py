"""The elements of a PLY file: what its header announces, and the numbers that follow, as text or bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.numerals import parse_numbers
from verdict3d.mesh.readers.reading import Reading

_END = re.compile(rb"^end_header[ \t]*(\r\n|\n|\r)", re.MULTILINE)
_HEADER_BYTES = 1 << 18
_MOST_PROPERTIES = 1000
_AT_ONCE = 1 << 14  # rows between two looks at the clock
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
Numbers = NDArray[np.float64]


@dataclass
class Element:
    """One kind of rows.

    Attributes:
        name: ``vertex``, ``face`` or another.
        count: Number of rows.
        properties: Name, type of the length (None: a single number) and type, in their order.
        single: (count,) of each property with one number.
        lists: All numbers of each list property, and the length (count,) of each row's list.
    """

    name: str
    count: int
    properties: list[tuple[str, str | None, str]] = field(default_factory=list)
    single: dict[str, Numbers] = field(default_factory=dict)
    lists: dict[str, tuple[Numbers, NDArray[np.int64]]] = field(default_factory=dict)


def read_elements(content: bytes, reading: Reading) -> tuple[dict[str, Element], str | None]:
    """Return a file's elements by name, and the name of its picture.

    Raises:
        ItemFailure: ``broken_file``, ``too_many_faces`` or ``too_costly``.
        KeyError, ValueError: The file is malformed.
    """
    end = _END.search(content, 0, _HEADER_BYTES)
    if not content.startswith(b"ply") or end is None:
        raise ItemFailure("broken_file", "the file has no header of a PLY file")
    order, picture, elements = _read_header(content[: end.start()].decode("latin-1"))
    _check_counts(elements, len(content) - end.end(), reading)
    place, numbers = end.end(), None
    if not order:
        reading.spend(8 * (content.count(b" ") + content.count(b"\n")), "its numbers")
        numbers = parse_numbers(content[end.end() :])
    for element in (one for one in elements.values() if one.count):
        if numbers is None:
            place = _read_rows(content, place, order, element, reading)
        else:
            numbers = numbers[_read_text_rows(numbers, element, reading) :]
    return elements, picture


def _read_header(text: str) -> tuple[str, str | None, dict[str, Element]]:
    """Return the byte order ("" for text), the name of a picture, and the elements without content."""
    order, picture, elements = "", None, dict[str, Element]()
    for line in text.splitlines()[1:]:
        match line.split():
            case ["format", kind, *_]:
                order = _ORDERS[kind]
            case ["comment", "TextureFile", *_]:
                picture = picture or line.split("TextureFile", 1)[1].strip()
            case ["element", name, count]:
                elements[name] = Element(name, int(count))
            case ["property", "list", length, kind, name]:
                _last(elements).properties.append((name, _TYPES[length], _TYPES[kind]))
            case ["property", kind, name]:
                _last(elements).properties.append((name, None, _TYPES[kind]))
    return order, picture, elements


def _last(elements: dict[str, Element]) -> Element:
    element = list(elements.values())[-1]
    if len(element.properties) >= _MOST_PROPERTIES:
        raise ItemFailure("broken_file", f"the header has more than {_MOST_PROPERTIES} properties")
    return element


def _check_counts(elements: dict[str, Element], size: int, reading: Reading) -> None:
    """Refuse what the header announces beyond the limits, or beyond the ``size`` of what follows."""
    for element in elements.values():
        most = {"face": reading.limits.faces, "vertex": 3 * reading.limits.faces}.get(element.name, size)
        words = f"the header announces {element.count} elements of {element.name}"
        if element.count > most:
            raise ItemFailure(
                "too_many_faces" if element.name in ("face", "vertex") else "broken_file", words
            )
        if element.count < 0 or element.count * max(1, len(element.properties)) > size:
            raise ItemFailure("broken_file", f"{words}, the file is too short for them")
        reading.spend(8 * element.count * max(4, len(element.properties)), words)


def _read_rows(content: bytes, place: int, order: str, element: Element, reading: Reading) -> int:
    """Read the rows of one element, and return where the next begins."""
    lengths = _read_first_lengths(content, place, order, element)
    row = np.dtype(
        [
            item
            for name, length, kind in element.properties
            for item in (
                [(name, order + kind)]
                if length is None
                else [(f"{name} length", order + length), (name, order + kind, (lengths[name],))]
            )
        ]
    )
    if place + element.count * row.itemsize <= len(content):
        rows = np.frombuffer(content, row, element.count, place)
        if all((rows[f"{name} length"] == length).all() for name, length in lengths.items()):
            for name, length, _ in element.properties:
                if length is None:
                    element.single[name] = rows[name].astype(np.float64)
                else:
                    flat = rows[name].astype(np.float64).ravel()
                    element.lists[name] = flat, np.full(element.count, lengths[name], dtype=np.int64)
            return place + element.count * row.itemsize
    return _read_uneven_rows(content, place, order, element, reading)


def _read_first_lengths(content: bytes, place: int, order: str, element: Element) -> dict[str, int]:
    lengths: dict[str, int] = {}
    for name, length, kind in element.properties:
        if length is not None:
            lengths[name] = _read_length(
                np.frombuffer(content, order + length, 1, place)[0], len(content) - place
            )
            place += np.dtype(length).itemsize
        place += np.dtype(kind).itemsize * lengths.get(name, 1)
    return lengths


def _read_length(number: float, most: int) -> int:
    if not 0 <= number <= most:
        raise ItemFailure("broken_file", f"a list has {number:g} numbers, more than the file holds")
    return int(number)


def _read_uneven_rows(content: bytes, place: int, order: str, element: Element, reading: Reading) -> int:
    """Read rows whose lists have different lengths, one by one."""
    columns = _Columns(element)
    types = [
        (name, length and np.dtype(order + length), np.dtype(order + kind))
        for name, length, kind in element.properties
    ]
    for number in range(element.count):
        if number % _AT_ONCE == 0:
            reading.check_time()
        for name, length, kind in types:
            size = 1
            if length:
                size = _read_length(np.frombuffer(content, length, 1, place)[0], len(content) - place)
                place += length.itemsize
            columns.parts[name].append(np.frombuffer(content, kind, size, place))
            place += kind.itemsize * size
    columns.keep()
    return place


def _read_text_rows(numbers: Numbers, element: Element, reading: Reading) -> int:
    """Read the rows of one element, and return how many numbers they take."""
    if all(length is None for _, length, _ in element.properties):
        names = [name for name, _, _ in element.properties]
        size = element.count * len(names)
        table = numbers[:size].reshape(element.count, len(names))
        element.single.update(zip(names, table.T, strict=True))
        return size
    if len(element.properties) == 1 and _read_even_text_rows(numbers, element):
        return element.count * (1 + len(element.lists[element.properties[0][0]][0]) // element.count)
    columns, place = _Columns(element), 0
    for number in range(element.count):
        if number % _AT_ONCE == 0:
            reading.check_time()
        for name, length, _ in element.properties:
            size = 1
            if length:
                size = _read_length(numbers[place], len(numbers) - place - 1)
                place += 1
            columns.parts[name].append(numbers[place : place + size])
            place += size
    columns.keep()
    return place


def _read_even_text_rows(numbers: Numbers, element: Element) -> bool:
    """Read lists that are all as long as the first, if they are, and return whether."""
    size = _read_length(numbers[0], len(numbers) - 1)
    table = numbers[: element.count * (size + 1)]
    if len(table) < element.count * (size + 1):
        return False
    table = table.reshape(element.count, size + 1)
    if not (table[:, 0] == size).all():
        return False
    ((name, _, _),) = element.properties
    element.lists[name] = table[:, 1:].ravel(), np.full(element.count, size, dtype=np.int64)
    return True


class _Columns:
    """The numbers of each property of an element, collected row by row."""

    def __init__(self, element: Element) -> None:
        self._element = element
        self.parts: dict[str, list[np.ndarray]] = {name: [] for name, _, _ in element.properties}

    def keep(self) -> None:
        """Put what was collected into the element."""
        for name, length, _ in self._element.properties:
            flat = np.concatenate(self.parts[name]).astype(np.float64)
            if length is None:
                self._element.single[name] = flat
            else:
                sizes = np.array([len(part) for part in self.parts[name]], dtype=np.int64)
                self._element.lists[name] = flat, sizes
