"""A crew without processes: places that finish at once what they are given."""

from __future__ import annotations

from collections import deque
from typing import Any

from tasks.making.crew import Crew, Event, Place

HEARD_AT_ONCE = 8


class InstantCrew(Crew):
    """Places that finish batches when they are listened to.

    Args:
        count: How many places there are, at most.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.events: deque[Event] = deque()

    def recruit(self, batches: int) -> None:
        while len(self.places) < min(self.count, batches):
            self.places.append(Place(f"place {len(self.places)}"))
            self.events.append(Event(self.places[-1], "ready", machine={}))

    def give(self, place: Place, number: int, task: Any) -> None:
        self.events += [Event(place, "begun", number), Event(place, "finished", number)]

    def listen(self, seconds: float) -> list[Event]:
        return [self.events.popleft() for _ in range(min(HEARD_AT_ONCE, len(self.events)))]

    def end(self, place: Place) -> None:
        self.places.remove(place)

    def dismiss(self) -> list[BaseException]:
        return []

    def leave(self) -> None:
        pass
