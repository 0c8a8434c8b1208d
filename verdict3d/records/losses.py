"""The table of a training's losses as CSV: a row a step, the step first; what was not measured is empty."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verdict3d.errors import Verdict3DError

StepLosses = dict[str, float | None]
"""What was measured at one step, by heading; None is what was not."""


@dataclass(frozen=True)
class Losses:
    """Losses over the steps of a training.

    Attributes:
        step_name: Heading of the first column.
        steps: Its numbers.
        columns: The other columns by heading, as long as ``steps``; NaN where nothing was measured.
    """

    step_name: str
    steps: tuple[float, ...]
    columns: dict[str, tuple[float, ...]]


def format_losses(rows: Sequence[StepLosses]) -> bytes:
    """Return the table as CSV; columns in the order of their first appearance."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def read_losses(path: Path) -> Losses:
    """Read the table.

    Raises:
        Verdict3DError: A row is shorter or longer than the first, or holds something that is no number.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream)
        headings = next(reader, []) or ["step"]  # nothing was trained
        rows: list[list[float]] = []
        try:
            for row in reader:
                cells = zip(headings, row, strict=True)
                rows.append([float(cell) if cell else math.nan for _, cell in cells])
        except ValueError as error:
            raise Verdict3DError(
                f"{path}, line {reader.line_num}, is not a row of {len(headings)} numbers: {error}; "
                "rerun the train stage"
            ) from error
    columns = {name: tuple(row[place] for row in rows) for place, name in enumerate(headings)}
    return Losses(headings[0], columns.pop(headings[0]), columns)
