"""Pairs of meshes before anybody has judged them."""

from __future__ import annotations

from typing import ClassVar

from verdict3d.records.generations import Truth
from verdict3d.records.names import PairKind, Side, Split
from verdict3d.records.record import Record, RecordPart

CLEAR_GRADES = (4, 5)
"""Grades of damage that make a clear gap: nobody overlooks them."""


class Candidate(RecordPart):
    """What a pair says about one of its generations; fields as in :class:`Generation`."""

    generation: str
    mesh: str | None
    mesh_digest: str | None
    montage: str | None
    failure: str | None


class Pair(Record):
    """Two generations of an asset that the training judge compares: ``data/pairs/pairs.jsonl``.

    Attributes:
        id: Unique name.
        kind: What is known of it beforehand.
        asset: Id of the asset.
        category: Its category.
        split: Its split.
        reference: Path of the clean condition picture.
        x: The one generation.
        y: The other.
        expected: Which should win; None where nothing is known.
    """

    SCHEMA: ClassVar[str] = "verdict3d/pair/1"

    id: str
    kind: PairKind
    asset: str
    category: str
    split: Split
    reference: str
    x: Candidate
    y: Candidate
    expected: Side | None


class Shown(RecordPart):
    """One side of a control pair.

    Attributes:
        mesh_digest: Of the mesh; None when it failed.
        montages: Paths of its montages, by mode.
        failure: Why there is no mesh; None when there is one.
        truth: How near a generation is to the asset's own mesh; None for other meshes.
    """

    mesh_digest: str | None
    montages: dict[str, str] | None
    failure: str | None
    truth: Truth | None


class ControlPair(Record):
    """A pair whose better side is known: ``data/controls/pairs.jsonl``, and pairs of generations.

    Attributes:
        id: Unique name.
        control: Which control asks it.
        pair: What pairs that are shown in several ways have in common.
        object: Id of the asset.
        category: Its category.
        reference: Path of the reference picture; None for a blank one.
        x: The better side, where one is.
        y: The other.
        defect: What was done to Y: the kind of damage, or the clothes of an equal object; None for others.
        grade: How much, from 1 to 5; None for what is not damage.
    """

    SCHEMA: ClassVar[str] = "verdict3d/control-pair/1"

    id: str
    control: str
    pair: str
    object: str
    category: str
    reference: str | None
    x: Shown
    y: Shown
    defect: str | None
    grade: int | None
