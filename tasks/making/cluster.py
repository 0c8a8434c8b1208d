"""Batches on a Ray cluster: one actor a GPU, or a core where there are no GPUs, holds a worker.

The cluster is the one that ``RAY_ADDRESS`` names. Ray ends actors with the job, so none outlives its driver
for long; what one finishes nevertheless is found whole or not at all. Results go into the stage's folder
where workers see it: they look for a file that the driver has just written there. Where they do not, a batch
comes back through Ray's object store.
"""

from __future__ import annotations

import io
import logging
import math
import os
import sys
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.making.crew import LIFE_S, Crew, Event, Loss, Place
from tasks.making.finishing import (
    AT_ONCE,
    RECORDS,
    Finisher,
    MakeWorker,
    Task,
    finishing,
    name_host,
    name_unfinished,
    settle,
)
from tasks.making.machine import describe_machine, read_workers
from tasks.making.processes import as_sent
from verdict3d.errors import Verdict3DError, missing_extra
from verdict3d.provenance import digest_file, digest_sources
from verdict3d.records.files import sync_file

ADDRESS = "RAY_ADDRESS"
ARRIVAL_S = 60.0
"""How long a network file system may take to show a folder that another machine has renamed."""
RESOURCES_S = 5.0
"""How often the cluster is asked what it has: nodes may join."""
CLOSING_S = 60.0
LOW_MEMORY = "running low on memory"
"""What Ray says of an actor that it has killed for want of memory."""
RETRIES = 20
"""How often a picture is tried again whose machine is gone."""


def connect() -> Any:
    """Return Ray, connected to the cluster.

    Raises:
        Verdict3DError: Ray is not installed, no cluster is named, or it does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise missing_extra("ray", f"VERDICT3D_EXECUTOR is ray, and Ray is missing ({error})") from error
    if ray.is_initialized():
        return ray
    if not os.environ.get(ADDRESS):
        raise Verdict3DError(
            f"VERDICT3D_EXECUTOR is ray, and {ADDRESS} names no cluster; for one on this machine type "
            f"`ray start --head --node-ip-address=127.0.0.2`, and set {ADDRESS}=127.0.0.2:6379"
        )
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise Verdict3DError(
            f"no Ray cluster answers at {os.environ[ADDRESS]} ({ADDRESS}): {error}"
        ) from error
    return ray


@dataclass(frozen=True)
class Order:
    """What an actor is told at its start.

    Attributes:
        make_worker: Makes the worker, pickled; nothing of it is imported before the GPU is settled.
        code: Digest of the driver's code.
        token: A file that the driver wrote into the stage's folder; its name is its content.
        threads: Of torch; None where the driver does not use it.
        wants_gpu: Whether the actor has a GPU, or hides all.
    """

    make_worker: bytes
    code: str
    token: Path
    threads: int | None
    wants_gpu: bool


class Seat:
    """The actor: a worker, whose methods run in threads of three groups."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.stack = ExitStack()
        self.finisher: Finisher[Any, Any] | None = None
        self.unfinished: dict[int, tuple[Future[None], Path]] = {}
        self.local: Path | None = None

    def open(self) -> tuple[str, str, Any]:
        """Make the worker; return its node, its host and its machine, or what went wrong."""
        import ray

        try:
            node = ray.get_runtime_context().get_node_id()
            self._settle([str(number) for number in ray.get_gpu_ids()])
            if not self._sees_folder():
                self.local = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="verdict3d-")))
            make_worker = ray.cloudpickle.loads(self.order.make_worker)
            self._settle_threads()
            self.finisher = self.stack.enter_context(finishing(make_worker))
            self._settle_threads()
            return node, name_host(), describe_machine()
        except Exception as error:
            return "", name_host(), as_sent(error)

    def _settle(self, gpus: list[str]) -> None:
        """Settle on the GPU that Ray gives, before torch is imported, and refuse other code."""
        if self.order.wants_gpu and len(gpus) != 1:
            raise Verdict3DError(f"Ray gave {len(gpus)} GPUs to a worker on {name_host()} that needs one")
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
        require_code(self.order.code)

    def _settle_threads(self) -> None:
        """Give torch the driver's number of threads; Ray leaves one to an actor."""
        if self.order.threads and (torch := sys.modules.get("torch")):
            torch.set_num_threads(self.order.threads)

    def _sees_folder(self) -> bool:
        with suppress(OSError):
            return self.order.token.read_text(encoding="ascii") == self.order.token.name
        return False

    def begin(self, number: int, task: Task) -> BaseException | None:
        """Run the worker on a batch."""
        batch, home = task
        assert self.finisher is not None
        try:
            place = self.local / home.name if self.local else home
            self.unfinished[number] = self.finisher.begin(batch, place), place
            return None
        except Exception as error:
            return as_sent(error)

    def finish(self, number: int) -> tuple[str, bytes | None] | BaseException:
        """Wait for a batch; return the digest of its records, and its files if the driver cannot see them."""
        future, place = self.unfinished.pop(number)
        try:
            future.result()
            digest = digest_file(place / RECORDS)
            return digest, pack(place) if self.local else None
        except Exception as error:
            return as_sent(error)

    def live(self) -> bool:
        """Give a sign of life."""
        return True

    def close(self) -> BaseException | None:
        """Close the worker."""
        try:
            self.stack.close()
            return None
        except Exception as error:
            return as_sent(error)


GROUPS = {"open": "networks", "begin": "networks", "close": "networks", "finish": "files", "live": "life"}
"""Which threads run a method: OpenGL and CUDA want one thread, and a sign of life waits for none."""


def require_code(driver: str) -> None:
    """Check that this machine has the driver's code.

    Raises:
        Verdict3DError: It has other code.
    """
    if driver != (own := digest_sources()):
        raise Verdict3DError(
            f"the code on {name_host()} is not the driver's ({own[:8]}, {driver[:8]}): give all nodes the "
            "same checkout, by a shared folder or by `ray job submit --working-dir`"
        )


def pack(folder: Path) -> bytes:
    """Return the files of a folder as an archive, and remove it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
            path.unlink()
    folder.rmdir()
    return content.getvalue()


def unpack(content: bytes, home: Path) -> None:
    """Write the files of an archive into a folder that appears whole."""
    with tempfile.TemporaryDirectory(
        prefix=name_unfinished(), dir=home.parent, ignore_cleanup_errors=True
    ) as unfinished:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(unfinished, filter="data")
        for path in Path(unfinished).iterdir():
            sync_file(path)
        settle(Path(unfinished), home)


@dataclass(eq=False)
class _Actor(Place):
    """An actor, with the calls that it has not answered."""

    actor: Any = None
    node: str = ""
    calls: dict[Any, tuple[str, int | None]] = field(default_factory=dict)
    next_life: float = math.inf


class ClusterCrew(Crew):
    """Actors on a Ray cluster; there are more when nodes join.

    Args:
        make_worker: Makes the worker in each of them.
        folder: The stage's batches.
    """

    places: list[_Actor]  # type: ignore[assignment]
    ahead = True

    def __init__(self, make_worker: MakeWorker, folder: Path) -> None:
        super().__init__()
        self.ray = connect()
        self.folder = folder
        self.homes: dict[int, Path] = {}
        groups = {"networks": 1, "files": AT_ONCE, "life": 1}
        self.seat = self.ray.remote(max_restarts=0, max_task_retries=0, concurrency_groups=groups)(Seat)
        for old in folder.glob(".token-*"):
            old.unlink()
        token = folder / f".token-{uuid.uuid4().hex}"
        token.write_text(token.name, encoding="ascii")
        torch = sys.modules.get("torch")
        threads = torch.get_num_threads() if torch else None
        self.order = Order(
            self.ray.cloudpickle.dumps(make_worker), digest_sources(), token, threads, wants_gpu=False
        )
        self.arriving: list[tuple[float, _Actor, int, str]] = []
        self.asked = -math.inf
        self.slots, self.share = 0, 0.0

    def recruit(self, batches: int) -> None:
        """Ask for an actor a slot of the cluster; Ray starts those that have to wait as soon as it can."""
        if time.monotonic() - self.asked > RESOURCES_S:
            self.asked = time.monotonic()
            self._count()
        while len(self.places) < min(self.slots, batches):
            wants_gpu = self.share > 0
            order = Order(**{**vars(self.order), "wants_gpu": wants_gpu})
            needs = {"num_gpus": self.share, "num_cpus": 0 if wants_gpu else 1}
            place = _Actor("an actor", actor=self.seat.options(**needs).remote(order))
            self.places.append(place)
            self._call(place, "open", None)
            self._call(place, "live", None)

    def _count(self) -> None:
        """Find out how many actors the cluster has room for."""
        has = self.ray.cluster_resources()
        gpus, wanted = int(has.get("GPU", 0)), read_workers(None)
        self.slots = wanted or gpus or int(has.get("CPU", 0))
        self.share = 1 / math.ceil(self.slots / gpus) if gpus else 0.0

    def _call(self, place: _Actor, method: str, number: int | None, *words: Any) -> None:
        call = getattr(place.actor, method).options(concurrency_group=GROUPS[method])
        numbers = () if number is None else (number,)
        place.calls[call.remote(*numbers, *words)] = method, number

    def give(self, place: Place, number: int, task: Task) -> None:
        """Send a batch to an actor."""
        assert isinstance(place, _Actor)
        self.homes[number] = task[1]
        self._call(place, "begin", number, task)

    def listen(self, seconds: float) -> list[Event]:
        """Hear what the actors have answered, and ask whether they live."""
        for place in self.places:
            if place.seen is not None and time.monotonic() > place.next_life:
                place.next_life = math.inf
                self._call(place, "live", None)
        by_call = {call: place for place in self.places for call in place.calls}
        if not by_call:
            time.sleep(seconds)
            return self._look_for_arrivals()
        calls = list(by_call)
        soon = 0.1 if self.arriving else seconds
        if self.ray.wait(calls, num_returns=1, timeout=soon)[0]:
            calls, _ = self.ray.wait(calls, num_returns=len(calls), timeout=0)
        else:
            calls = []
        events = self._look_for_arrivals()
        for call in calls:
            place = by_call[call]
            if place in self.places:  # an earlier answer may have said that it is gone
                method, number = place.calls.pop(call)
                events += self._hear(place, call, method, number)
        return events

    def _hear(self, place: _Actor, call: Any, method: str, number: int | None) -> list[Event]:
        try:
            said = self.ray.get(call)
        except self.ray.exceptions.RayTaskError as error:
            return [Event(place, "failed", number, error=error)]
        except self.ray.exceptions.RayError as error:
            loss = self._blame(place, error)
            self.end(place)
            return [Event(place, "lost", error=error, loss=loss)]
        return self._understand(place, method, number, said)

    def _understand(self, place: _Actor, method: str, number: int | None, said: Any) -> list[Event]:
        """Return what the answer of an actor means."""
        if method == "live":
            place.next_life = time.monotonic() + LIFE_S
            return [Event(place, "alive")]
        if method == "open":
            place.node, host, said = said
            place.name = f"{host} ({place.node[:8]})"
            return [
                Event(place, "ready", machine=said) if isinstance(said, dict) else _failed(place, None, said)
            ]
        if isinstance(said, BaseException):
            return [_failed(place, number, said), *([Event(place, "begun")] if method == "begin" else [])]
        assert number is not None
        if method == "begin":
            self._call(place, "finish", number)
            return [Event(place, "begun", number)]
        return self._take(place, number, *said)

    def _take(self, place: _Actor, number: int, digest: str, files: bytes | None) -> list[Event]:
        """Take what an actor has finished."""
        home = self.homes[number]
        if files is not None:
            try:
                unpack(files, home)
            except (OSError, Verdict3DError) as error:
                return [_failed(place, number, error)]
        if is_finished(home, digest):
            del self.homes[number]
            return [Event(place, "finished", number)]
        self.arriving.append((time.monotonic() + ARRIVAL_S, place, number, digest))
        return []

    def _look_for_arrivals(self) -> list[Event]:
        """Return the batches that this machine sees now; a network file system may be late."""
        events, late = [], []
        if self.arriving:
            list(self.folder.iterdir())  # has a network file system look again
        for end, place, number, digest in self.arriving:
            home = self.homes[number]
            if is_finished(home, digest):
                del self.homes[number]
                events.append(Event(place, "finished", number))
            elif time.monotonic() > end:
                words = (
                    f"{place.name} has finished {home}, and {ARRIVAL_S:.0f} s later this machine does not "
                    "see it, or sees other records: do all nodes have the same file system at this path?"
                )
                events.append(_failed(place, number, Verdict3DError(words)))
            else:
                late.append((end, place, number, digest))
        self.arriving = late
        return events

    def _blame(self, place: _Actor, error: Exception) -> Loss:
        """Tell whether an actor died alone, for want of memory, or with its node."""
        known = self.ray.exceptions
        if isinstance(error, known.ActorUnavailableError):
            try:  # Ray does not know yet what has happened
                self.ray.get(place.actor.live.options(concurrency_group="life").remote(), timeout=10)
            except (known.RayError, known.GetTimeoutError) as later:
                error = later
        if isinstance(error, known.OutOfMemoryError) or LOW_MEMORY in str(error):
            return "memory"
        alive = {node["NodeID"] for node in self.ray.nodes() if node["Alive"]}
        died = isinstance(error, known.ActorDiedError | known.WorkerCrashedError)
        return "worker" if died and (not place.node or place.node in alive) else "machine"

    def end(self, place: Place) -> None:
        """Kill an actor."""
        assert isinstance(place, _Actor)
        with suppress(self.ray.exceptions.RayError):
            self.ray.kill(place.actor)
        self.places.remove(place)
        self.arriving = [each for each in self.arriving if each[1] is not place]

    def dismiss(self) -> list[BaseException]:
        """Have the workers closed that were made, for a minute; those that are gone need no closing."""
        calls = [
            place.actor.close.options(concurrency_group=GROUPS["close"]).remote()
            for place in self.places
            if place.ready
        ]
        done, _ = self.ray.wait(calls, num_returns=len(calls), timeout=CLOSING_S) if calls else ([], [])
        errors = []
        for call in done:
            with suppress(self.ray.exceptions.RayError):
                errors += [error] if (error := self.ray.get(call)) else []
        self.leave()
        return errors

    def leave(self) -> None:
        """Kill the actors that are left."""
        for place in list(self.places):
            self.end(place)
        self.order.token.unlink(missing_ok=True)


def is_finished(home: Path, digest: str) -> bool:
    """Tell whether this machine sees a batch whose records have a digest."""
    records = home / RECORDS
    return records.is_file() and digest_file(records) == digest


def _failed(place: Place, number: int | None, error: BaseException) -> Event:
    return Event(place, "failed", number, error=error)


class ClusterHelpers(Executor):
    """Runs functions on pictures as Ray tasks, each of which reads the project's files where it runs."""

    def __init__(self) -> None:
        self.ray = connect()
        self.task = self.ray.remote(num_cpus=1, max_retries=RETRIES)(_help)
        self.code = digest_sources()

    def submit(self, function: Callable[..., Any], /, *words: Any, **named: Any) -> Future[Any]:
        """Start a task, which is tried again where its machine is gone."""
        future: Future[Any] = self.task.remote(self.code, function, words, named).future()
        return future


def _help(code: str, function: Callable[..., Any], words: tuple[Any, ...], named: dict[str, Any]) -> Any:
    require_code(code)
    return function(*words, **named)
