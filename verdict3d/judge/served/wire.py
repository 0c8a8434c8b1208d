"""What goes over the socket: a JSON document, and the pixels that it names. Nothing is ever unpickled."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from verdict3d.judge.panel import PairRequest, Panel, Pixels, digest_picture
from verdict3d.judge.verdict import Margins

ADDRESS = "VERDICT3D_JUDGES"
"""Environment variable: the socket on which judges of this run answer."""
_LENGTHS = struct.Struct(">II")
_LONGEST_JSON = 1 << 26

Document = dict[str, Any]


def send(connection: socket.socket, document: Document, pixels: Sequence[Pixels] = ()) -> None:
    """Send a document and pictures, each uint8 (height, width, 3).

    Raises:
        OSError: The other side is gone.
    """
    text = json.dumps(document | {"pixels": [part.shape for part in pixels]}, allow_nan=False).encode()
    connection.sendall(_LENGTHS.pack(len(text), sum(part.nbytes for part in pixels)) + text)
    for part in pixels:
        connection.sendall(np.ascontiguousarray(part).data)


def receive(connection: socket.socket) -> tuple[Document, list[Pixels]]:
    """Return a document and its pictures.

    Raises:
        OSError: The other side is gone, or speaks otherwise.
    """
    length, size = _LENGTHS.unpack(_receive(connection, _LENGTHS.size))
    if length > _LONGEST_JSON:
        raise ConnectionError("a document that is too long")
    document = json.loads(_receive(connection, length))
    content, start, pixels = _receive(connection, size), 0, []
    for shape in document.pop("pixels"):
        part: Pixels = np.ndarray(tuple(shape), np.uint8, content, start)
        pixels.append(part)
        start += part.nbytes
    return document, pixels


def _receive(connection: socket.socket, size: int) -> bytearray:
    content = bytearray(size)
    view, start = memoryview(content), 0
    while start < size:
        got = connection.recv_into(view[start:])
        if not got:
            raise ConnectionError("the other side is gone")
        start += got
    return content


def pack_requests(requests: Sequence[PairRequest]) -> tuple[list[Document], list[Pixels]]:
    """Return requests as JSON values that name pictures by number, and each picture once."""
    places: dict[str, int] = {}
    pictures: list[Pixels] = []
    packed = []
    for request in requests:
        panel, numbers = request.panel, []
        for pixels in (panel.reference, panel.x, panel.y):
            digest = digest_picture(pixels)
            if digest not in places:
                places[digest] = len(pictures)
                pictures.append(pixels)
            numbers.append(places[digest])
        names = {name: getattr(request, name) for name in ("reference", "x", "y", "rig")}
        packed.append(names | {"panel": numbers})
    return packed, pictures


def unpack_requests(packed: Sequence[Document], pictures: Sequence[Pixels]) -> list[PairRequest]:
    """Return the requests that :func:`pack_requests` took."""
    return [
        PairRequest(
            Panel(*(pictures[number] for number in one["panel"])),
            *(one[name] for name in ("reference", "x", "y", "rig")),
        )
        for one in packed
    ]


def pack_answers(answers: Sequence[Margins]) -> list[Document]:
    """Return answers as JSON values; numbers keep all their bits."""
    return [asdict(answer) for answer in answers]


def unpack_answers(packed: Sequence[Document]) -> list[Margins]:
    """Return the answers that :func:`pack_answers` took."""
    return [Margins(**one) for one in packed]
