"""Servers that end when they are told to."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ending_at_signals() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt, and leave the block quietly at either."""

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)
