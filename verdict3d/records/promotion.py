"""What is done about a decision: the record it is bound to, and what promotion and rollback have moved."""

from __future__ import annotations

from typing import ClassVar

from verdict3d.records.decisions import Champion, Decision, Word
from verdict3d.records.generators import GeneratorRecord
from verdict3d.records.record import Record, RecordPart


class EvaluatedMeshes(Record):
    """What the evaluation got from a generator that is not ours: ``meshes.json`` of its version.

    Attributes:
        generator: What made them.
        meshes: Digest of each mesh, by the id of its generation; None where there is none.
    """

    SCHEMA: ClassVar[str] = "verdict3d/evaluated-meshes/1"

    generator: GeneratorRecord
    meshes: dict[str, str | None]


class Candidate(RecordPart):
    """An arm and the identity of its adapter."""

    arm: str
    adapter: str


class BoundTo(RecordPart):
    """What a decision rests on.

    Attributes:
        git_commit: Commit of the code; None outside git.
        git_dirty: Whether the tree differed from it.
        dvc_lock: Digest of ``dvc.lock``.
        stages: Digest of each stage's entry in it: command, code, data, parameters, outputs.
        certificates: Digest of each judge's certificate, by role.
        adapter: Identity of the adapter.
        base: Digest of the base generator.
        parameters: Digest of the parameters.
    """

    git_commit: str | None
    git_dirty: bool | None
    dvc_lock: str
    stages: dict[str, str]
    certificates: dict[str, str | None]
    adapter: str
    base: str
    parameters: str


class PromotionRecord(Record):
    """The record of a decision, bound to everything it rests on.

    Attributes:
        candidate: Whom it is about.
        decision: The gate's word on every candidate.
        forced: Why the champion was moved whatever the gate says; None when it was not.
        bound_to: What it rests on.
    """

    SCHEMA: ClassVar[str] = "verdict3d/promotion/4"

    candidate: Candidate
    decision: Decision
    forced: str | None
    bound_to: BoundTo


class PlacedChampion(Record):
    """What ``sync`` has put below a project's folder.

    Attributes:
        champion: Who has to be beaten.
        changed: Whether something else was there before.
    """

    SCHEMA: ClassVar[str] = "verdict3d/placed-champion/1"

    champion: Champion
    changed: bool


class Promotion(Record):
    """What ``promote`` has done about a decision.

    Attributes:
        arm: The candidate.
        decision: The gate's word on it.
        version: Version in the registry; None when nothing was registered.
        moved: Whether the champion was moved to it.
        digest: Digest of the record.
        record: What was decided, and what it rests on.
    """

    SCHEMA: ClassVar[str] = "verdict3d/promotion-done/1"

    arm: str
    decision: Word
    version: int | None
    moved: bool
    digest: str
    record: PromotionRecord


class Rollback(Record):
    """What ``rollback`` has done.

    Attributes:
        before: Version that was the champion; None for the base.
        champion: Who is the champion now.
    """

    SCHEMA: ClassVar[str] = "verdict3d/rollback/1"

    before: int | None
    champion: Champion
