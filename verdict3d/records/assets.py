"""Assets and the photos that generations start from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Strict

from verdict3d.records.names import Regime, Split
from verdict3d.records.record import Record, RecordPart

NoteKind = Literal[
    "hidden",
    "levels_of_detail",
    "moved",
    "shadow_plane",
    "texture_reduced",
    "transparent",
    "untextured",
    "up_axis",
]
"""What may be changed in a mesh while it is read.

``hidden``: nodes that the file hides are left out. ``levels_of_detail``: all but the finest are left out.
``moved``: it lay far from the origin and is moved there. ``shadow_plane``: a painted shadow is left out.
``texture_reduced``: a texture has fewer pixels. ``transparent``: a surface is left out, cut or made solid
by its opacity. ``untextured``: a texture that cannot be read is left out.
``up_axis``: which axis points up is a guess.
"""


class Note(RecordPart):
    """One change to a mesh that was made while it was read.

    Attributes:
        kind: Short code that reports count by.
        text: What was changed, for people.
    """

    kind: NoteKind
    text: str


class View(RecordPart):
    """From where an asset's condition picture was taken; ``distance`` is in object units."""

    yaw_deg: float
    elevation_deg: float
    fov_deg: float
    distance: float


class Asset(Record):
    """One object of the run: ``data/assets/assets.jsonl``.

    Attributes:
        id: Unique name.
        category: Procedural category, folder of the file, or ``unknown``.
        split: Which part of the run it belongs to.
        source: ``procedural``, or the file's path below the folder of meshes.
        base_may_have_seen: Whether the base generator may have been trained on it.
        digest: Of the normalised mesh.
        faces: Number of triangles.
        mesh: Path of the normalised mesh.
        condition: Path of the clean condition picture.
        view: From where that was taken.
        notes: What was changed while the file was read.
    """

    SCHEMA: ClassVar[str] = "verdict3d/asset/2"

    id: str
    category: str
    split: Split
    source: str
    base_may_have_seen: bool
    digest: str
    faces: int
    mesh: str
    condition: str
    view: View
    notes: list[Note]


def count_notes(assets: Iterable[Asset]) -> dict[str, int]:
    """Return in how many assets each kind of note stands, kinds in order of name."""
    return {kind: len(names) for kind, names in list_noted(assets).items()}


def list_noted(assets: Iterable[Asset]) -> dict[str, list[str]]:
    """Return the ids of the assets in which each kind of note stands, kinds in order of name."""
    found: dict[str, list[str]] = {}
    for asset in assets:
        for kind in {note.kind for note in asset.notes}:
            found.setdefault(kind, []).append(asset.id)
    return dict(sorted(found.items()))


class Quarantined(Record):
    """A file that takes no part: ``data/assets/quarantine.jsonl``.

    Attributes:
        source: Path of the file below the folder of meshes.
        reason: Short code that reports count by.
        message: What is wrong, for people.
    """

    SCHEMA: ClassVar[str] = "verdict3d/quarantined/1"

    source: str
    reason: str
    message: str


class Condition(Record):
    """A degraded photo of an asset: ``data/degrade/conditions.jsonl``.

    Attributes:
        asset: Id of the asset.
        split: Its split.
        regime: How badly it is degraded.
        operators: Name and severity of what was applied, in order.
        image: Path of the picture.
        digest: Of the picture's file.
    """

    SCHEMA: ClassVar[str] = "verdict3d/condition/1"

    asset: str
    split: Split
    regime: Regime
    operators: list[Annotated[tuple[str, int], Strict(False)]]
    image: str
    digest: str
