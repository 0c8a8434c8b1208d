"""What became of the stages in one run: handed from the flow to the run that started it, and to MLflow."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Strict

from verdict3d.records.record import Record, RecordPart

Samples = dict[str, list[Annotated[tuple[int, float], Strict(False)]]]
"""Numbers over time, by name: milliseconds since 1970, and the value then."""


class StageEnd(RecordPart):
    """What became of one stage.

    Attributes:
        stage: Its name, with ``@`` and the arm or role where it has one.
        outcome: ``ran``, ``restored``, ``up to date``, ``failed`` or ``not run``.
        seconds: How long it took; None where it did not end well.
        max_rss_mib: Most memory of one of its processes, in MiB; None likewise.
    """

    stage: str
    outcome: str
    seconds: float | None
    max_rss_mib: float | None


class StageEnds(Record):
    """What became of every stage, in the order of the chain, and of the machine meanwhile.

    Attributes:
        stages: The stages.
        machine: Its use, by the names that MLflow gives to system metrics.
    """

    SCHEMA: ClassVar[str] = "verdict3d/stage-ends/2"

    stages: list[StageEnd]
    machine: Samples
