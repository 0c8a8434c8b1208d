"""A pair as the page reads it: what the list shows, what the pair's page shows, and the files of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from verdict3d.provenance import digest_json
from verdict3d.records.names import Outcome, Side
from verdict3d.records.record import RecordPart
from verdict3d.view.pairs.entry import (
    Entry,
    Known,
    People,
    Place,
    Shape,
    Word,
    compute_gap,
    compute_split,
    find_better,
)
from verdict3d.view.pairs.fields import compare_with_judges, compare_with_people, compare_with_truth

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


class ListedPair(RecordPart):
    """What the list shows of a pair; files are named by their keys, None where there is none.

    Attributes:
        id: Its name in addresses.
        place: Which question it belongs to.
        object: Id of the asset, or name of the photo.
        category: Its category or tag.
        regime: Regime of the input; empty where the sides differ in it.
        x: What made X.
        y: What made Y.
        judge: Role of the judge.
        panel: How the pair was shown.
        control: Which control asks it; empty outside audits.
        outcome: The verdict.
        d: Preference for X in nats; None without a verdict.
        se: Its standard error in nats; None of fewer than two view sets.
        gap: F-score of X minus that of Y; None where one is not known.
        truth: How the judge stands to the truth, a key of :data:`verdict3d.view.pairs.fields.TRUTHS`.
        judges: How it stands to other judges, a key of :data:`verdict3d.view.pairs.fields.JUDGES`.
        people: How it stands to people, a key of :data:`verdict3d.view.pairs.fields.PEOPLE`.
        split: Share of view sets that prefer another side than most, in [0, 0.5]; None of fewer than two.
        photo: The picture that the judge saw.
        x_montage: Montages of X as it saw them.
        y_montage: Montages of Y.
    """

    id: str
    place: Place
    object: str
    category: str
    regime: str
    x: str
    y: str
    judge: str
    panel: str
    control: str
    outcome: Outcome
    d: float | None
    se: float | None
    gap: float | None
    truth: str
    judges: str
    people: str
    split: float | None
    photo: str | None
    x_montage: str | None
    y_montage: str | None


class ShownSide(RecordPart):
    """One side on the page of a pair: as :class:`~verdict3d.view.pairs.entry.Shape`, files by their keys."""

    name: str
    generation: str
    mesh: str | None
    digest: str | None
    failure: str | None
    truth: dict[str, float]
    montages: dict[str, str | None]


class PairDocument(ListedPair):
    """What the page of a pair shows; other fields as in :class:`~verdict3d.view.pairs.entry.Entry`.

    Attributes:
        better: The side that is better in truth, ``same`` for neither; None where nobody knows.
        meshes: What names the two meshes, in either order.
        condition: The picture that the generators saw, where it is another one.
        sides: Both sides, by ``x`` and ``y``.
        votes: What people say of the same two meshes; None where nobody was asked.
        elsewhere: Rows of other pairs of the same meshes.
    """

    name: str
    group: str
    arm: str
    against: str
    defect: str
    grade: int | None
    known: Known | None
    better: Side | Literal["same"] | None
    meshes: str
    condition: str | None
    sides: dict[Side, ShownSide]
    word: Word
    others: list[Word]
    votes: People | None
    elsewhere: list[ListedPair]


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


def make_row(entry: Entry) -> ListedPair:
    """Return what the list shows of a pair."""
    return ListedPair(**_describe_row(entry))


def make_document(entry: Entry) -> PairDocument:
    """Return what the page of a pair shows."""
    return PairDocument(
        **_describe_row(entry),
        name=entry.name,
        group=entry.group,
        arm=entry.arm,
        against=entry.against,
        defect=entry.defect,
        grade=entry.grade,
        known=entry.known,
        better=find_better(entry),
        meshes=entry.meshes,
        condition=_get_key(find_photo(entry.condition)),
        sides={"x": _describe_side(entry.x), "y": _describe_side(entry.y)},
        word=entry.word,
        others=entry.others,
        votes=entry.people,
        elsewhere=[],
    )


def _describe_row(entry: Entry) -> dict[str, Any]:
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
        "people": compare_with_people(entry),
        "split": compute_split(word),
        "photo": _get_key(find_photo(entry.reference)),
        "x_montage": _get_key(find_montage(entry.x, mode)),
        "y_montage": _get_key(find_montage(entry.y, mode)),
    }


def _describe_side(side: Shape) -> ShownSide:
    modes = sorted(side.montages, key=lambda mode: _MODES.index(mode) if mode in _MODES else len(_MODES))
    return ShownSide(
        name=side.name,
        generation=side.generation,
        mesh=_get_key(find_mesh(side)),
        digest=side.mesh_digest,
        failure=side.failure,
        truth=side.truth,
        montages={mode: _get_key(find_montage(side, mode)) for mode in modes},
    )


def _get_key(file: ShownFile | None) -> str | None:
    return None if file is None else file.key
