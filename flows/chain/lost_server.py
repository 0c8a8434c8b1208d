"""Prefect's server goes away in the middle of a run: the work is finished, and nobody waits for the server.

Stages, tracking and the report need no server, but Prefect's clients would try for minutes to tell it that
the run has ended.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import NoReturn

from flows.chain.prefect_server import answers, is_refused

LOOK_S = 3.0
GONE_S = 15.0
SLOW_S = 45.0
"""Of a server that may be starting again; what asks it meanwhile is answered later."""
LOST = "the run is finished; Prefect's server went away and shows it unfinished"


@contextmanager
def leaving_lost_server(
    url: str, begun: threading.Event, ended: Future[bool], rest: Callable[[bool], None] | None = None
) -> Iterator[None]:
    """Run the block; when the server is silent, end this process as soon as the work of the block is done.

    Args:
        url: Address of Prefect's API.
        begun: The work has begun; before that, a server that is gone ends this process with status 1.
        ended: Whether all work succeeded, as soon as it is done; the process ends with status 0 or 1.
        rest: What to do before this process ends, given whether all work succeeded; needs no server.
    """
    leaving = threading.Event()

    def watch() -> None:
        heard, said = time.monotonic(), False
        while not leaving.wait(LOOK_S):
            if not begun.is_set():  # a server that is still starting takes its time, but it listens
                if is_refused(url):
                    leave_at_once("Prefect's server went away; nothing has been run", 1)
            elif answers(f"{url}/health"):
                heard, said = time.monotonic(), False
            elif is_lost(url, heard):
                if ended.done():
                    try:
                        if rest:
                            rest(ended.result())
                    finally:
                        leave_at_once(LOST, 0 if ended.result() else 1)
                if not said:
                    print("Prefect's server does not answer; the run goes on without it", flush=True)
                    said = True

    watching = threading.Thread(target=watch, daemon=True, name="lost-server")
    watching.start()
    try:
        yield
    finally:
        leaving.set()
        watching.join()  # what it has begun to finish is not done twice


def is_lost(url: str, heard: float) -> bool:
    """Tell whether a server that is silent since ``heard``, by the monotonic clock, is to be given up."""
    return time.monotonic() - heard > (GONE_S if is_refused(url) else SLOW_S)


def leave_if_lost(url: str, status: int, rest: Callable[[], None]) -> None:
    """End this process, whose work is done, when the server is silent; return when it answers.

    Args:
        url: Address of Prefect's API.
        status: Exit status.
        rest: What to do before the end.
    """
    heard = time.monotonic()
    while not answers(f"{url}/health"):
        if is_lost(url, heard):
            try:
                rest()
            finally:
                leave_at_once(LOST, status)
        time.sleep(LOOK_S)


def leave_at_once(line: str, status: int) -> NoReturn:
    """Print ``line`` and end this process, without the minutes that Prefect's clients take at its end."""
    print(line, flush=True)
    sys.stderr.flush()
    os._exit(status)
