"""A user's folders: every file below one, and names as text that can be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def files_below(directory: Path) -> Iterator[Path]:
    """Yield every file below ``directory``, also in folders that are links; each folder is entered once."""
    entered = set()
    for folder, subfolders, names in os.walk(directory, followlinks=True):
        place = Path(folder).stat()
        if (place.st_dev, place.st_ino) in entered:
            subfolders.clear()
            continue
        entered.add((place.st_dev, place.st_ino))
        subfolders.sort()
        yield from (path for name in sorted(names) if (path := Path(folder, name)).is_file())


def readable(text: str) -> str:
    """Return text that can be written: bytes of a file's name that are no UTF-8 become U+FFFD."""
    return os.fsencode(text).decode("utf-8", errors="replace")
