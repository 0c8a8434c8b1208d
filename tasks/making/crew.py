"""Shares batches out among places that come and die: processes of this machine, actors of a cluster.

A batch that is lost with its place is done again elsewhere, alone, so that a batch that kills what works on
it is found: after its third kill it is the stage's failure, by name. What a worker raises is never tried
again. A place that gives no sign of life, or is at one batch for far longer than any other took, is ended
and replaced.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.making.finishing import AT_ONCE, Task
from verdict3d.errors import Verdict3DError

TICK_S = 1.0
LIFE_S = 10.0
"""How often a place says that it lives."""
SILENCE_S = 120.0
"""After this long without a sign of life a place is ended."""
SLOWER = 10
PATIENCE_S = 600.0
"""A place is ended that is at a batch for so long, and that many times as long as the slowest so far."""
MOST_LOSSES: dict[Loss, int] = {"worker": 3, "memory": 2, "machine": 20}
"""How often a batch may be lost, by what was lost with it."""

Loss = Literal["worker", "memory", "machine"]
"""What ended a place: its process, a lack of memory, or the machine or network below, no fault of a batch."""


@dataclass(eq=False)
class Place:
    """Where one worker is, as the process that shares out batches sees it.

    Attributes:
        name: For messages.
        ready: Whether its worker has been made.
        pending: How many of its batches its worker has not begun, or is still at.
        unfinished: Its batches, with the moments when they were given out.
        seen: When it last gave a sign of life; None before the first.
    """

    name: str
    ready: bool = False
    pending: int = 0
    unfinished: dict[int, float] = field(default_factory=dict)
    seen: float | None = None


@dataclass(frozen=True)
class Event:
    """What happened at a place.

    Attributes:
        place: The place.
        what: ``alive``: a sign of life. ``ready``: there is a worker; ``machine`` tells on what. ``begun``:
            it can take another batch. ``finished``: the folder of a batch is there. ``failed``: a worker
            raised ``error``. ``lost``: the place is gone, because of ``loss``.
        number: The batch, where it is about one.
        machine: As :func:`tasks.making.machine.describe_machine` has it.
        error: What was raised, or words for a loss.
        loss: What was lost.
    """

    place: Place
    what: Literal["alive", "ready", "begun", "finished", "failed", "lost"]
    number: int | None = None
    machine: dict[str, Any] | None = None
    error: BaseException | None = None
    loss: Loss = "worker"


class Crew(ABC):
    """Places of one kind.

    Attributes:
        places: Those that live or are about to.
        ahead: Whether a place gets its next batch before it asks, as long as all others have enough: messages
            to it take time.
    """

    ahead = False

    def __init__(self) -> None:
        self.places: list[Place] = []

    @abstractmethod
    def recruit(self, batches: int) -> None:
        """Start the places that are missing, no more than ``batches`` in all."""

    @abstractmethod
    def give(self, place: Place, number: int, task: Task) -> None:
        """Give a batch to a place."""

    @abstractmethod
    def listen(self, seconds: float) -> list[Event]:
        """Return what has happened, after ``seconds`` at the latest."""

    @abstractmethod
    def end(self, place: Place) -> None:
        """End a place at once and forget it."""

    @abstractmethod
    def dismiss(self) -> list[BaseException]:
        """Have all workers closed and end the places; return what went wrong."""

    @abstractmethod
    def leave(self) -> None:
        """End the places that are left after an error."""


class Sharing:
    """One stage's batches and who has them.

    Args:
        crew: Who works.
        tasks: The batches.
        admit: Called with the machine of each new place; raises where it may not take part.
    """

    def __init__(
        self, crew: Crew, tasks: Sequence[Task], admit: Callable[[dict[str, Any], str], None]
    ) -> None:
        self.crew = crew
        self.tasks = tasks
        self.admit = admit
        self.waiting = deque(range(len(tasks)))
        self.able: set[Place] = set()
        self.losses: defaultdict[int, list[Loss]] = defaultdict(list)
        self.stillborn = 0
        self.slowest_s: float | None = None
        self.errors: list[BaseException] = []
        self.now = 0.0
        self._checked = 0.0
        self._clock = time.monotonic()

    def run(self) -> Iterator[int]:
        """Finish all batches; yield the number of items of each.

        Raises:
            Verdict3DError: A batch was lost too often, or no place can make a worker.
            Exception: What a worker raised. Batches that others have begun are finished first.
        """
        while (self.waiting and not self.errors) or any(place.unfinished for place in self.crew.places):
            if not self.errors:
                self._hand_out()
            for event in self.crew.listen(TICK_S):
                event.place.seen = self.now
                if event.what == "finished":
                    assert event.number is not None
                    began = event.place.unfinished.pop(event.number)
                    self.slowest_s = max(self.slowest_s or 0.0, self.now - began)
                    yield len(self.tasks[event.number][0])
                self._hear(event)
            self._watch()
        self.errors += self.crew.dismiss()
        if self.errors:
            raise self.errors[0]

    def _hand_out(self) -> None:
        left = len(self.waiting) + sum(len(place.unfinished) for place in self.crew.places)
        self.crew.recruit(left)
        given = True
        while given and self.waiting:
            given = False
            for place in sorted(self.able, key=lambda place: len(place.unfinished)):
                if self.waiting and self._may_have(place, self.waiting[0]):
                    self._give(place, self.waiting.popleft())
                    given = True

    def _may_have(self, place: Place, number: int) -> bool:
        """Tell whether a place that can take a batch gets this one now."""
        if place.unfinished and any(self.losses.get(each) for each in (number, *place.unfinished)):
            return False  # a batch that was lost once is alone, and is known to be the one if that recurs
        return not place.pending or len(self.waiting) > len(self.crew.places)

    def _give(self, place: Place, number: int) -> None:
        place.pending += 1
        place.unfinished[number] = self.now
        self._note(place)
        self.crew.give(place, number, self.tasks[number])

    def _note(self, place: Place) -> None:
        """Note whether a place may get a batch."""
        able = place.ready and len(place.unfinished) < AT_ONCE and (self.crew.ahead or not place.pending)
        if able and place in self.crew.places:
            self.able.add(place)
        else:
            self.able.discard(place)

    def _hear(self, event: Event) -> None:
        place = event.place
        if event.what == "ready":
            place.ready, self.stillborn = True, 0
            try:
                self.admit(event.machine or {}, place.name)
            except Verdict3DError as error:
                self.errors.append(error)
        elif event.what == "failed":
            assert event.error is not None
            self.errors.append(event.error)
            if event.number is not None:
                place.unfinished.pop(event.number, None)
        elif event.what == "lost":
            self._lose(place, event.loss, str(event.error))
        if event.what == "begun":
            place.pending -= 1
        self._note(place)

    def _lose(self, place: Place, loss: Loss, words: str) -> None:
        """Forget a place and give its batches to others."""
        self.able.discard(place)
        if not place.ready and loss != "machine":
            self.stillborn += 1
            if self.stillborn >= MOST_LOSSES[loss]:
                self.errors.append(Verdict3DError(f"no worker can be made: {place.name} ended; {words}"))
        for number in sorted(place.unfinished, reverse=True):
            found = self.losses[number]
            found.append(loss)
            self.waiting.appendleft(number)
            if found.count(loss) >= MOST_LOSSES[loss]:
                name = self.tasks[number][1].name
                self.errors.append(
                    Verdict3DError(
                        f"batch {name} was lost {found.count(loss)} times with what worked on it, the last "
                        f"time at {place.name}: {words}. Its items: {_shorten(self.tasks[number][0])}. "
                        "Finished batches are kept; take these items out, or give the stage more memory"
                    )
                )
        place.unfinished.clear()
        place.pending = 0

    def _watch(self) -> None:
        """End the places that hang. Time counts while this process was awake to hear them."""
        moment = time.monotonic()
        self.now += min(moment - self._clock, 2 * TICK_S)
        self._clock = moment
        if self.now - self._checked < TICK_S:
            return
        self._checked = self.now
        for place in list(self.crew.places):
            silent_s = 0.0 if place.seen is None else self.now - place.seen
            busy_s = max((self.now - began for began in place.unfinished.values()), default=0.0)
            limit_s = None if self.slowest_s is None else max(PATIENCE_S, SLOWER * self.slowest_s)
            if silent_s > SILENCE_S:
                self._end(place, f"no sign of life for {silent_s:.0f} s")
            elif limit_s is not None and busy_s > limit_s:
                self._end(
                    place, f"at it for {busy_s:.0f} s, where no other batch took {self.slowest_s:.0f} s"
                )

    def _end(self, place: Place, words: str) -> None:
        self.crew.end(place)
        self._lose(place, "worker", words)


def _shorten(items: Sequence[Any]) -> str:
    """Return the ids of a batch's items, or what they are where they have none."""
    names = [str(getattr(item, "id", item)) for item in items]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
