"""Two mesh files before a judge, and its verdict in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from verdict3d.errors import Verdict3DError
from verdict3d.interface.judge import Judge
from verdict3d.judge.panel import read_picture
from verdict3d.mesh.axes import Up
from verdict3d.products.drawing import list_notes, read_one
from verdict3d.records.verdicts import Judged


def judge_files(
    reference: Path, first: Path, second: Path, load: Callable[[], Judge], up: Up = "auto"
) -> dict[str, Any]:
    """Ask a judge which of two mesh files is the better mesh of the object in a picture.

    Args:
        reference: Picture of the object.
        first: Mesh X.
        second: Mesh Y.
        load: Loads the judge, which is done when the files have been read.
        up: Axis of both files that points up.

    Returns:
        The verdict's row (m1, m2, d, b, r, outcome from the side of X, ...) with what was asked, and in
        ``notes`` what was changed or guessed while reading the meshes.

    Raises:
        Verdict3DError: A file or the judge cannot be used.
    """
    read_picture(reference)
    x, y = (read_one(path, up) for path in (first, second))
    judge = load()
    pair = judge.compare(reference, x, y)
    for path, side in ((first, pair.mine), (second, pair.theirs)):
        if side.failure is not None:
            raise Verdict3DError(f"{path}: {side.failure}: {side.message}")
    return {
        "reference": str(reference),
        "x": str(first),
        "y": str(second),
        "judge": judge.settings.model,
        "judge_digest": judge.digest,
        "panel": judge.panel,
        "notes": [*list_notes(first, x), *list_notes(second, y)],
        **pair.model_dump(include=set(Judged.model_fields)),
    }


def describe_verdict(row: dict[str, Any]) -> str:
    """Return a verdict's row for people."""
    if row["outcome"] == "invalid":
        return f"no verdict: {row['reason']}: {row['message']}"
    answer = {
        "win": f"better: {row['x']}",
        "loss": f"better: {row['y']}",
        "same": "the same: both files hold one mesh, or two that look alike; nothing was asked",
        "flip": "no winner: the two orders do not agree on one of them",
        "close": "no winner: too close, the preference is within its error",
    }[row["outcome"]]
    if row["outcome"] == "same":
        return answer
    error = "" if row["se"] is None else f", standard error {row['se']:.3f}"
    lines: Sequence[str] = (
        answer,
        f"  margin with {row['x']} first   {row['m1']:+.3f}",
        f"  margin with {row['y']} first   {row['m2']:+.3f}",
        f"  preference for {row['x']}   d = {row['d']:+.3f}{error}",
        f"  bias towards the first slot   b = {row['b']:+.3f}",
        f"  reliability |d| - |b|   r = {row['r']:+.3f}",
        f"  means over view sets: {len(row['sets'])}",
        f"  judge {row['judge']}, panel {row['panel']}",
    )
    return "\n".join(lines)
