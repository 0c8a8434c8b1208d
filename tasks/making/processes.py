"""Batches in several processes of this machine, spread over its GPUs."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
import traceback
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from tasks.making.crew import LIFE_S, Crew, Event, Place
from tasks.making.finishing import MakeWorker, Task, finishing
from tasks.making.machine import describe_machine, end_with_parent, list_visible_gpus


@dataclass(eq=False)
class _Process(Place):
    """A process with a worker."""

    process: BaseProcess | None = None
    pipe: Connection | None = None
    gpu: str | None = None


class ProcessCrew(Crew):
    """Processes of this machine.

    Args:
        make_worker: Makes the worker in each of them; it is pickled.
        count: How many.
    """

    places: list[_Process]  # type: ignore[assignment]

    def __init__(self, make_worker: MakeWorker, count: int) -> None:
        super().__init__()
        self.make_worker = make_worker
        self.count = count
        self.gpus = list_visible_gpus()

    def recruit(self, batches: int) -> None:
        """Start a process on the GPU that has the fewest."""
        context = multiprocessing.get_context("spawn")
        while len(self.places) < min(self.count, batches):
            used = [place.gpu for place in self.places]
            gpu = min(self.gpus, key=used.count, default=None)
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, self.make_worker, gpu))
            process.start()
            theirs.close()
            self.places.append(_Process(f"process {process.pid}", process=process, pipe=ours, gpu=gpu))

    def give(self, place: Place, number: int, task: Task) -> None:
        """Send a batch to a process; one that has ended is noticed when it is listened to."""
        assert isinstance(place, _Process) and place.pipe
        with suppress(OSError):
            place.pipe.send((number, *task))

    def listen(self, seconds: float) -> list[Event]:
        """Hear one message of each process that has something to say."""
        by_pipe = {place.pipe: place for place in self.places if place.pipe}
        return [self._hear(by_pipe[pipe]) for pipe in wait(list(by_pipe), seconds)]  # type: ignore[index]

    def _hear(self, place: _Process) -> Event:
        assert place.pipe and place.process
        try:
            what, number, said = place.pipe.recv()
        except (EOFError, OSError):
            place.process.join()
            self._forget(place)
            how = RuntimeError(f"it ended with status {place.process.exitcode}")
            return Event(place, "lost", error=how)
        known = {"failed": "error", "ready": "machine"}.get(what)
        return Event(place, what, number, **({known: said} if known else {}))

    def end(self, place: Place) -> None:
        """Kill a process."""
        assert isinstance(place, _Process) and place.process
        place.process.kill()
        place.process.join()
        self._forget(place)

    def _forget(self, place: _Process) -> None:
        assert place.pipe
        self.places.remove(place)
        place.pipe.close()

    def dismiss(self) -> list[BaseException]:
        """Tell all processes that there is nothing more to do, and wait for them."""
        errors = []
        for place in self.places:
            assert place.pipe
            with suppress(OSError):
                place.pipe.send(None)
        while self.places:
            event = self._hear(self.places[0])
            errors += [event.error] if event.what == "failed" and event.error else []
        return errors

    def leave(self) -> None:
        """Let processes that are left after an error end as soon as they listen."""
        for place in self.places:
            assert place.pipe
            place.pipe.close()
        for place in self.places:
            assert place.process
            place.process.join()


def _work(pipe: Connection, make_worker: MakeWorker, gpu: str | None) -> None:
    """Be a process that finishes batches until it is told that there are no more."""
    end_with_parent()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    lock, ended = threading.Lock(), threading.Event()

    def say(what: str, number: int | None = None, said: object = None) -> None:
        with lock, suppress(OSError):  # nobody listens any more
            pipe.send((what, number, said))

    def live() -> None:
        while not ended.wait(LIFE_S):
            say("alive")

    def report(number: int, done: Future[None]) -> None:
        error = done.exception()
        say("finished", number) if error is None else say("failed", number, as_sent(error))

    number = None
    say("alive")
    threading.Thread(target=live, daemon=True).start()
    try:
        with finishing(make_worker) as finisher:
            say("ready", None, describe_machine())
            while task := pipe.recv():
                number, batch, home = task
                finisher.begin(batch, home).add_done_callback(partial(report, number))
                say("begun", number)
                number = None
    except EOFError:  # the one that shares out batches has ended
        pass
    except BaseException as error:
        say("failed", number, as_sent(error))
    finally:
        ended.set()


def as_sent(error: BaseException) -> BaseException:
    """Return an error as it can travel, with its traceback in words."""
    said = "".join(traceback.format_exception(error))
    try:
        error = pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(said)
    error.add_note(said)
    return error
