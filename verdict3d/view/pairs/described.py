"""A pair as the page reads it: what the list shows, what the pair's page shows, and the files of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from verdict3d.provenance import digest_json
from verdict3d.records.files import Row
from verdict3d.view.pairs.entry import Entry, Shape, Word, compute_gap, compute_split, find_better
from verdict3d.view.pairs.fields import compare_with_judges, compare_with_truth

FileKind = Literal["photo", "montage", "mesh"]
_MODES = ("normal", "clay", "rgb", "splat")


@dataclass(frozen=True)
class ShownFile:
    """A file that the page shows.

    Attributes:
        key: Its name in addresses, which follows from what it shows.
        kind: What it is.
        path: Where it is.
    """

    key: str
    kind: FileKind
    path: str


def find_photo(path: str | None) -> ShownFile | None:
    """Return a picture of an object as a file of the page."""
    return None if path is None else ShownFile(digest_json(["photo", path])[:20], "photo", path)


def find_montage(side: Shape, mode: str) -> ShownFile | None:
    """Return the montages of a mesh as a file of the page."""
    path = side.montages.get(mode)
    return None if path is None else ShownFile(digest_json(["montage", path])[:20], "montage", path)


def find_mesh(side: Shape) -> ShownFile | None:
    """Return a mesh as a file of the page."""
    if side.mesh is None:
        return None
    return ShownFile(digest_json(["mesh", side.mesh_digest or side.mesh])[:20], "mesh", side.mesh)


def list_files(entry: Entry) -> Iterator[ShownFile]:
    """Yield every file that the page of a pair shows."""
    photos = [find_photo(entry.reference), find_photo(entry.condition)]
    montages = [find_montage(side, mode) for side in (entry.x, entry.y) for mode in side.montages]
    for file in [*photos, *montages, *(find_mesh(side) for side in (entry.x, entry.y))]:
        if file is not None:
            yield file


def make_row(entry: Entry) -> Row:
    """Return what the list shows of a pair."""
    word, mode = entry.word, entry.word.mode
    return {
        "id": entry.id,
        "place": entry.place,
        "object": entry.object,
        "category": entry.category,
        "regime": entry.regime,
        "x": entry.x.name,
        "y": entry.y.name,
        "judge": word.role,
        "panel": word.panel,
        "control": entry.control,
        "outcome": word.outcome,
        "d": word.d,
        "se": word.se,
        "gap": compute_gap(entry),
        "truth": compare_with_truth(entry),
        "judges": compare_with_judges(entry),
        "split": compute_split(word),
        "photo": _get_key(find_photo(entry.reference)),
        "x_montage": _get_key(find_montage(entry.x, mode)),
        "y_montage": _get_key(find_montage(entry.y, mode)),
    }


def make_document(entry: Entry) -> Row:
    """Return what the page of a pair shows."""
    return {
        **make_row(entry),
        **{name: getattr(entry, name) for name in ("name", "group", "arm", "against")},
        "defect": entry.defect,
        "grade": entry.grade,
        "known": entry.known,
        "better": find_better(entry),
        "meshes": entry.meshes,
        "condition": _get_key(find_photo(entry.condition)),
        "sides": {"x": _describe_side(entry.x), "y": _describe_side(entry.y)},
        "word": _dump_word(entry.word),
        "others": [_dump_word(word) for word in entry.others],
    }


def _describe_side(side: Shape) -> Row:
    modes = sorted(side.montages, key=lambda mode: _MODES.index(mode) if mode in _MODES else len(_MODES))
    return {
        "name": side.name,
        "generation": side.generation,
        "mesh": _get_key(find_mesh(side)),
        "digest": side.mesh_digest,
        "failure": side.failure,
        "truth": side.truth,
        "montages": {mode: _get_key(find_montage(side, mode)) for mode in modes},
    }


def _dump_word(word: Word) -> Row:
    return word.model_dump(mode="json")


def _get_key(file: ShownFile | None) -> str | None:
    return None if file is None else file.key
