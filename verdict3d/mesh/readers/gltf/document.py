"""The document of a glTF file: its JSON and, in a GLB, the binary chunk."""

from __future__ import annotations

import base64
import json
import re
import struct
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import numpy as np

from verdict3d.errors import ItemFailure
from verdict3d.mesh.readers.own_folder import OwnFolder
from verdict3d.mesh.readers.reading import Reading
from verdict3d.mesh.writers.glb import BIN_CHUNK, JSON_CHUNK, MAGIC

Json = dict[str, Any]

MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")
DRACO = "KHR_draco_mesh_compression"
INSTANCING = "EXT_mesh_gpu_instancing"
SPECULAR = "KHR_materials_pbrSpecularGlossiness"
VISIBILITY = "KHR_node_visibility"
LEVELS = "MSFT_lod"

_READ = {
    *MESHOPT,
    DRACO,
    INSTANCING,
    VISIBILITY,
    LEVELS,
    "KHR_mesh_quantization",
    "KHR_texture_transform",
}
# What changes neither the surface nor its base colour, and pictures, which may be left out.
_HARMLESS = re.compile(
    r"material|texture|light|animation|xmp|metadata|physics|rigid_bod|audio|interactiv|camera|environment"
    r"|hoverab|selectab|articulation|feature|copyright|license|VRM|vrm|springBone|constraint",
)
_PADDING = b" \t\r\n\0"
# What json.loads takes for one object, list or value beyond its text, in bytes.
_OBJECT_BYTES, _LIST_BYTES, _VALUE_BYTES = 232, 88, 40


@dataclass(frozen=True)
class Document:
    """A parsed file.

    Attributes:
        json: The document.
        binary: The binary chunk of a GLB; empty elsewhere.
        folder: Where other files may come from.
        reading: Limits, budget and notes of the file.
    """

    json: Json
    binary: memoryview
    folder: OwnFolder
    reading: Reading

    @classmethod
    def parse(cls, content: bytes, folder: OwnFolder, reading: Reading) -> Document:
        """Parse a GLB or a .gltf, whichever it is by its first bytes.

        Raises:
            ItemFailure: ``broken_file``, ``unsupported_feature`` (an unknown extension is required, which may
                change what is seen) or ``too_costly``.
            ValueError, KeyError, struct.error: The file is malformed.
        """
        if content[:4] == struct.pack("<I", MAGIC):
            text, binary = _cut_chunks(memoryview(content))
        else:
            text, binary = memoryview(content), memoryview(b"")
        reading.spend(_decode_bytes(content, text), "the glTF document")
        document = json.loads(bytes(text).strip(_PADDING))
        if not isinstance(document, dict):
            raise ItemFailure("broken_file", "the glTF document is not a JSON object")
        version = str(document.get("asset", {}).get("version", "2.0"))
        if not version.startswith("2"):
            raise ItemFailure("unsupported_feature", f"the file is glTF {version[:10]}; 2.0 is read")
        unknown = {str(name) for name in document.get("extensionsRequired", ()) if not _is_known(str(name))}
        if unknown:
            names = ", ".join(sorted(unknown))
            raise ItemFailure(
                "unsupported_feature", f"the file needs {names}; save it without, to have it read"
            )
        return cls(document, binary, folder, reading)

    def find_entry(self, table: str, index: Any) -> Json:
        """Return an entry of one of the document's tables.

        Raises:
            ItemFailure: ``broken_file``: there is no such entry.
        """
        if isinstance(index, bool) or not isinstance(index, int) or index < 0:
            raise ItemFailure("broken_file", f"{str(index)[:40]!r} is no index into {table}")
        entry = self.json[table][index]
        if not isinstance(entry, dict):
            raise ItemFailure("broken_file", f"{table}[{index}] is not an object")
        return entry

    def read_content(self, uri: Any) -> bytes:
        """Return what a URI stands for: data inside it, or a file in the mesh's own folder.

        Raises:
            ItemFailure: ``external_reference``, ``missing_reference``, ``broken_file`` or ``too_costly``.
        """
        if not isinstance(uri, str):
            raise ItemFailure("broken_file", "a URI is not text")
        if not uri.startswith("data:"):
            return self.folder.get(unquote(uri))
        self.reading.spend(3 * len(uri), "data inside the file")
        header, _, payload = uri.partition(",")
        return base64.b64decode(payload) if header.endswith(";base64") else _decode_percent(payload)


def find_extension(entry: Json, name: str) -> Json | None:
    """Return what ``entry`` says by an extension; None where it says nothing.

    Raises:
        ItemFailure: ``broken_file``: it is not an object.
    """
    found = entry.get("extensions", {}).get(name)
    if found is not None and not isinstance(found, dict):
        raise ItemFailure("broken_file", f"{name} is not an object")
    return found


def _is_known(name: str) -> bool:
    return name in _READ or _HARMLESS.search(name) is not None


def _cut_chunks(content: memoryview) -> tuple[memoryview, memoryview]:
    """Return the JSON and the binary chunk. The length of all that the header gives decides nothing."""
    _, version, _ = struct.unpack_from("<III", content)
    if version != 2:
        raise ItemFailure("unsupported_feature", f"the file is binary glTF {version}; 2 is read")
    chunks: dict[int, memoryview] = {}
    offset = 12
    while offset + 8 <= len(content):
        size, kind = struct.unpack_from("<II", content, offset)
        start = offset + 8
        if kind == JSON_CHUNK and start + size > len(content):
            raise ItemFailure("broken_file", f"the file is cut off after {len(content)} bytes")
        chunks.setdefault(kind, content[start : start + size])
        padded = start + size + -size % 4
        offset = padded if _begins_chunk(content, padded) else start + size
    return chunks[JSON_CHUNK], chunks.get(BIN_CHUNK, memoryview(b""))


def _begins_chunk(content: memoryview, offset: int) -> bool:
    return offset + 8 <= len(content) and struct.unpack_from("<I", content, offset + 4)[0] == BIN_CHUNK


def _decode_bytes(content: bytes, text: memoryview) -> float:
    """Return about what the JSON takes as Python objects; text inside it counts as it is."""
    start = content.find(text[:64].tobytes())
    end = start + len(text)
    weights = ((b"{", _OBJECT_BYTES), (b"[", _LIST_BYTES), (b",", _VALUE_BYTES))
    return 2 * len(text) + sum(weight * content.count(sign, start, end) for sign, weight in weights)


def _decode_percent(payload: str) -> bytes:
    """Return the bytes of percent-encoded text, as ``unquote_to_bytes`` of urllib, in little memory."""
    raw = np.frombuffer(payload.encode("utf-8", errors="replace"), dtype=np.uint8)
    digits = np.full(256, 16, dtype=np.uint8)
    for number, (low, high) in enumerate(zip(b"0123456789abcdef", b"0123456789ABCDEF", strict=True)):
        digits[[low, high]] = number
    at = np.flatnonzero(raw == ord("%"))
    at = at[at + 2 < len(raw)]
    first, second = digits[raw[at + 1]], digits[raw[at + 2]]
    right = (first < 16) & (second < 16)
    at = at[right]
    decoded, kept = raw.copy(), np.ones(len(raw), dtype=bool)
    decoded[at] = first[right] * 16 + second[right]
    kept[at + 1] = kept[at + 2] = False
    return decoded[kept].tobytes()
