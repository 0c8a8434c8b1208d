"""A pair as the page reads it: what the list shows, what the pair's page shows, and the files of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from verdict3d.provenance import digest_json
from verdict3d.records.files import Row
from verdict3d.view.pairs.entry import Entry, Shape, Word, better_side, camera_split, f_score_gap
from verdict3d.view.pairs.fields import against_judges, against_truth

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


def photo_file(path: str | None) -> ShownFile | None:
    """Return a picture of an object as a file of the page."""
    return None if path is None else ShownFile(digest_json(["photo", path])[:20], "photo", path)


def montage_file(side: Shape, mode: str) -> ShownFile | None:
    """Return the montages of a mesh as a file of the page."""
    path = side.montages.get(mode)
    return None if path is None else ShownFile(digest_json(["montage", path])[:20], "montage", path)


def mesh_file(side: Shape) -> ShownFile | None:
    """Return a mesh as a file of the page."""
    if side.mesh is None:
        return None
    return ShownFile(digest_json(["mesh", side.mesh_digest or side.mesh])[:20], "mesh", side.mesh)


def files_of(entry: Entry) -> Iterator[ShownFile]:
    """Yield every file that the page of a pair shows."""
    photos = [photo_file(entry.reference), photo_file(entry.condition)]
    montages = [montage_file(side, mode) for side in (entry.x, entry.y) for mode in side.montages]
    for file in [*photos, *montages, *(mesh_file(side) for side in (entry.x, entry.y))]:
        if file is not None:
            yield file


def list_row(entry: Entry) -> Row:
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
        "gap": f_score_gap(entry),
        "truth": against_truth(entry),
        "judges": against_judges(entry),
        "split": camera_split(word),
        "photo": _key(photo_file(entry.reference)),
        "x_montage": _key(montage_file(entry.x, mode)),
        "y_montage": _key(montage_file(entry.y, mode)),
    }


def pair_document(entry: Entry) -> Row:
    """Return what the page of a pair shows."""
    return {
        **list_row(entry),
        **{name: getattr(entry, name) for name in ("name", "group", "arm", "against")},
        "defect": entry.defect,
        "grade": entry.grade,
        "known": entry.known,
        "better": better_side(entry),
        "meshes": entry.meshes,
        "condition": _key(photo_file(entry.condition)),
        "sides": {"x": _side(entry.x), "y": _side(entry.y)},
        "word": _word(entry.word),
        "others": [_word(word) for word in entry.others],
    }


def _side(side: Shape) -> Row:
    modes = sorted(side.montages, key=lambda mode: _MODES.index(mode) if mode in _MODES else len(_MODES))
    return {
        "name": side.name,
        "generation": side.generation,
        "mesh": _key(mesh_file(side)),
        "digest": side.mesh_digest,
        "failure": side.failure,
        "truth": side.truth,
        "montages": {mode: _key(montage_file(side, mode)) for mode in modes},
    }


def _word(word: Word) -> Row:
    return word.model_dump(mode="json")


def _key(file: ShownFile | None) -> str | None:
    return None if file is None else file.key
