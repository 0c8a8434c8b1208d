"""What runs and comparisons left, as pandas data frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from verdict3d.errors import Verdict3DError

if TYPE_CHECKING:
    import pandas as pd


def read_results(folder: str | Path) -> dict[str, pd.DataFrame]:
    """Read every table of records below a folder: of a comparison, of a stage, or of a whole run.

    Args:
        folder: What ``verdict3d compare`` wrote, or a folder of results such as ``data/evaluate``.

    Returns:
        A data frame for each ``.jsonl`` file, by its path below the folder without the suffix, such as
        ``pairs`` or ``repair/verdicts``: a row for each record, a column for each field, parts of records as
        ``mine.side``. The column ``schema`` says what the rows are; :mod:`verdict3d.records` describes them.
        :func:`verdict3d.win_rate` takes any that has ``object`` and ``outcome``.

    Raises:
        Verdict3DError: The folder is missing or has no such file, or a line is no record of this project.
    """
    import pandas as pd

    from verdict3d.records.files import read_jsonl

    root = Path(folder)
    if not root.is_dir():
        raise Verdict3DError(f"{root} is no folder; name one that `verdict3d compare` or a run has written")
    files = sorted(root.rglob("*.jsonl"))
    if not files:
        raise Verdict3DError(f"{root} has no file of records (.jsonl); name a folder of results")
    frames = {}
    for path in files:
        rows = [_require_record(row, path, number) for number, row in enumerate(read_jsonl(path), start=1)]
        frames[path.relative_to(root).with_suffix("").as_posix()] = pd.json_normalize(rows)
    return frames


def _require_record(row: Any, path: Path, number: int) -> dict[str, Any]:
    schema = row.get("schema") if isinstance(row, dict) else None
    if not isinstance(schema, str) or not schema.startswith("verdict3d/"):
        raise Verdict3DError(f"{path}, line {number}, field schema: {schema!r} is no record of this project")
    return dict(row)
