"""What DVC prints, and what it means: it says what it did nowhere else. Holds for the pinned DVC only."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal

StageOutcome = Literal["ran", "restored", "up to date"]

OUTCOMES: tuple[tuple[re.Pattern[str], StageOutcome], ...] = (
    (re.compile(r"^Running stage '"), "ran"),
    (re.compile(r"^Stage '.*' is cached - skipping run, checking out outputs"), "restored"),
    (re.compile(r"^Stage '.*' didn't change, skipping"), "up to date"),
)
BUSY = ("is busy, it is being blocked by", "Unable to acquire lock")
_CHATTER = re.compile(
    r"^(Running stage '|(Updating|Generating) lock file|Use `dvc push`|> |Stage '.*' (is cached|didn't)"
    r"|Data and pipelines are up to date|To track the changes with git|\s*git add)"
)
_LOST = "failed to transfer"
"""What DVC says of a file that its cache did not take; it ends with status 0 all the same."""
_REDRAW_EVERY_S = 15.0
_TAIL_LINES = 15


class Listener:
    """Reads a stage's lines: keeps them, passes on those for people, notes what DVC says it did.

    Args:
        say: Called with each line for people.
        log_file: Gets every line.

    Attributes:
        outcome: What DVC did; None while it has not said so.
        lost: What DVC said of a result that its cache did not take, "" when it took all.
        tail: The last lines.
    """

    def __init__(self, say: Callable[[str], None], log_file: Path) -> None:
        self.outcome: StageOutcome | None = None
        self.lost = ""
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._say = say
        self._log_file = log_file
        self._last_redraw = 0.0

    def __enter__(self) -> Listener:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        self._log = self._log_file.open("w", encoding="utf-8")
        return self

    def __exit__(self, *exception: object) -> None:
        self._log.close()

    def hear(self, line: str, redraws: bool) -> None:
        """Take one line."""
        self._log.write(line + "\n")
        self._log.flush()
        for pattern, outcome in OUTCOMES:
            if pattern.match(line):
                self.outcome = outcome
        if _LOST in line:
            self.lost = line
        if redraws:
            now = time.monotonic()
            if now - self._last_redraw < _REDRAW_EVERY_S:
                return
            self._last_redraw = now
        else:
            self.tail.append(line)
        if not _CHATTER.match(line):
            self._say(line)
