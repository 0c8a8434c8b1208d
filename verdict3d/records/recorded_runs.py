"""Runs that MLflow holds, as the processes that ask it hand them on."""

from __future__ import annotations

from typing import ClassVar

from verdict3d.records.record import Record, RecordPart


class RunNamed(RecordPart):
    """A run by what it is called.

    Attributes:
        name: What people call it.
        key: SHA-256 of its ``dvc.lock``.
        run: Id of its MLflow run; None where it was not taken from there.
        commit: Git commit of its code; None where nothing says it.
    """

    name: str
    key: str
    run: str | None
    commit: str | None


class PastRate(RecordPart):
    """What one recorded run says of ties and flips of an arm; ``ended`` is the day, in UTC."""

    run: str
    ended: str
    arm: str
    regime: str
    half_credit: float | None
    tie_rate: float | None
    flip_rate: float | None


class RecordedRuns(Record):
    """Runs that were asked for, in that order, and what the last runs of the preset say."""

    SCHEMA: ClassVar[str] = "verdict3d/recorded-runs/1"

    runs: list[RunNamed]
    history: list[PastRate]


class RunOrigin(Record):
    """What a recorded run was made of, as far as it is not in the files that are fetched with it.

    Attributes:
        run: Id of its MLflow run.
        commit: Git commit of its code; None outside git.
        dirty: Whether the tree differed from it.
        key: SHA-256 of its ``dvc.lock``.
        arm: Arm of the version that was asked for; None where a run was.
        adapter: Identity of that version's adapter; None where a run was.
    """

    SCHEMA: ClassVar[str] = "verdict3d/run-origin/1"

    run: str
    commit: str | None
    dirty: bool
    key: str
    arm: str | None
    adapter: str | None
