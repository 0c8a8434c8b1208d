"""Batches in several processes of this machine, spread over its GPUs."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tasks.making.finishing import AT_ONCE, Worker, finishing
from tasks.making.machine import end_with_parent, list_visible_gpus
from verdict3d.errors import Verdict3DError

Task = tuple[Sequence[Any], Path]
"""A batch, and the folder that it becomes."""
BEGUN, FINISHED, FAILED = "begun", "finished", "failed"
"""What a process says of a batch: it can take another one; the folder is there; an error."""


@dataclass
class _Process:
    """A process with a worker, as the one that shares out batches sees it."""

    process: BaseProcess
    pipe: Connection
    free: bool = True
    unfinished: set[int] = field(default_factory=set)


def finish_in_processes(
    make_worker: Callable[[], Worker[Any, Any]], tasks: Sequence[Task], count: int
) -> Iterator[int]:
    """Finish batches in ``count`` processes; yield the number of items of each.

    Raises:
        Verdict3DError: A process ended by itself.
        Exception: What a worker raised. Batches that others have begun are finished first.
    """
    context, gpus = multiprocessing.get_context("spawn"), list_visible_gpus()
    crew: list[_Process] = []
    try:
        for number in range(count):
            ours, theirs = context.Pipe()
            gpu = gpus[number % len(gpus)] if gpus else None
            process = context.Process(target=_work, args=(theirs, make_worker, gpu))
            process.start()
            theirs.close()
            crew.append(_Process(process, ours))
        yield from _share_out(crew, tasks)
    finally:
        for one in crew:
            one.pipe.close()
        for one in crew:
            one.process.join()


def _share_out(crew: Sequence[_Process], tasks: Sequence[Task]) -> Iterator[int]:
    waiting, errors = deque(range(len(tasks))), list[BaseException]()
    while True:
        for one in sorted(crew, key=lambda one: len(one.unfinished)):
            if waiting and not errors and one.free and len(one.unfinished) < AT_ONCE:
                number = waiting.popleft()
                one.free = False
                one.unfinished.add(number)
                one.pipe.send((number, *tasks[number]))
        busy = {one.pipe: one for one in crew if one.unfinished or not one.free}
        if not busy:
            break
        for pipe in wait(list(busy)):
            assert isinstance(pipe, Connection)
            one = busy[pipe]
            try:
                said, number, error = pipe.recv()
            except (EOFError, ConnectionError):
                one.process.join()
                one.free, one.unfinished = True, set()
                errors.append(Verdict3DError(f"a process ended with status {one.process.exitcode}"))
                continue
            if said == BEGUN:
                one.free = True
                continue
            one.free |= said == FAILED
            one.unfinished.discard(number)
            if error is None:
                yield len(tasks[number][0])
            else:
                errors.append(error)
    for one in crew:
        errors += _dismiss(one.pipe)
    if errors:
        raise errors[0]


def _dismiss(pipe: Connection) -> list[BaseException]:
    """Tell a process that there is nothing more to do; return what it still has to say."""
    with suppress(OSError):
        pipe.send(None)
        with suppress(EOFError):
            return [pipe.recv()[2]]
    return []


def _work(pipe: Connection, make_worker: Callable[[], Worker[Any, Any]], gpu: str | None) -> None:
    """Be a process that finishes batches until it is told that there are no more."""
    end_with_parent()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    lock, task = threading.Lock(), pipe.recv()
    if task is None:
        return

    def say(what: str, number: int, error: BaseException | None = None) -> None:
        with lock, suppress(OSError):  # nobody listens any more
            pipe.send((what, number, error and _as_sent(error)))

    def report(number: int, done: Future[None]) -> None:
        error = done.exception()
        say(FINISHED if error is None else FAILED, number, error)

    try:
        with finishing(make_worker) as finisher:
            while task is not None:
                number, batch, home = task
                finisher.begin(batch, home).add_done_callback(partial(report, number))
                say(BEGUN, number)
                task = pipe.recv()
    except EOFError:  # the one that shares out batches has ended
        pass
    except BaseException as error:
        say(FAILED, number, error)


def _as_sent(error: BaseException) -> BaseException:
    """Return an error as it can travel, with its traceback in words."""
    said = "".join(traceback.format_exception(error))
    try:
        error = pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(said)
    error.add_note(said)
    return error
