"""What held-out objects were used for: they wear out as decisions are made on them."""

from __future__ import annotations

from typing import ClassVar

from verdict3d.records.record import Record, RecordPart


class HoldoutSet(RecordPart):
    """Held-out objects that were used together, and what for.

    Attributes:
        objects: Digest of each, sorted.
        arms: Answers of the evaluation judge about each evaluated arm, by the identity of its adapter.
        audits: Its answers in its audit, and to pairs of two samples of the base, by the judge's digest.
    """

    objects: list[str]
    arms: dict[str, int]
    audits: dict[str, int]


class HoldoutSets(Record):
    """What held-out objects were used for by earlier decisions: ``data/registry/holdout.json``."""

    SCHEMA: ClassVar[str] = "verdict3d/holdout/1"

    sets: list[HoldoutSet]


class HoldoutUse(RecordPart):
    """What the held-out objects of a decision have been used for.

    Attributes:
        candidates: Arms that were evaluated on any of them, this run's counted.
        queries: Answers of the evaluation judge in all.
        looks: How often the candidate has been decided on while objects were added, this time counted.
    """

    candidates: int
    queries: int
    looks: int
