"""What identifies a run: its ``dvc.lock``."""

from __future__ import annotations

from pathlib import Path

from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_json
from verdict3d.records.yaml_files import read_yaml


def run_key(root: Path) -> str | None:
    """Return the SHA-256 of what the ``dvc.lock`` below ``root`` says, None where there is none.

    It is equal for two runs with the same parameters, code and results: DVC writes stages in the order in
    which they end, which therefore does not count.

    Raises:
        Verdict3DError: It was damaged, or edited to something else.
    """
    lock = root / "dvc.lock"
    if not lock.is_file():
        return None
    try:
        return digest_json(read_yaml(lock))
    except (TypeError, ValueError) as error:  # a date, for example, or names that are none
        raise Verdict3DError(f"{lock} is not what DVC wrote: {error}") from error
