"""The reading of one mesh file: what it may cost, and what was changed on the way."""

from __future__ import annotations

import time

from verdict3d.config_generators import MeshLimits
from verdict3d.errors import ItemFailure
from verdict3d.records.assets import Note, NoteKind

_MIB = 2**20
_SHARE_MIB = 32


class TooCostly(ItemFailure):
    """The file has spent its budget; this ends its reading, whatever part of it was being read."""


class Reading:
    """Passed to everything that reads a part of one file: its limits, its budget and its notes.

    A file costs what its parts decode to, summed over all of them, and not its own size: a small file may
    name one picture forty times. Whoever decodes a part pays for it first (:meth:`spend`), and long loops
    look at the clock (:meth:`check_time`). The clock counts this thread's time on a processor, so that a busy
    machine refuses nothing that an idle one reads.

    Args:
        limits: Bounds of one file.
        file_bytes: Size of the file: large ones get more time.
    """

    def __init__(self, limits: MeshLimits, file_bytes: int = 0) -> None:
        self.limits = limits
        self._decoded = 0.0
        self._seconds = limits.seconds * max(1.0, file_bytes / (_SHARE_MIB * _MIB))
        self._start = time.thread_time()
        self._notes: dict[Note, None] = {}

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was changed so far, each note once."""
        return tuple(self._notes)

    @property
    def bytes_left(self) -> float:
        """How much may still be decoded."""
        return max(0.0, self.limits.decoded_mib * _MIB - self._decoded)

    @property
    def seconds_left(self) -> float:
        """How much time on a processor is left."""
        return max(0.0, self._start + self._seconds - time.thread_time())

    def spend(self, decoded_bytes: float, what: str) -> None:
        """Pay for a part that is about to be decoded.

        Args:
            decoded_bytes: How much memory it takes, once decoded.
            what: The part, such as ``a texture``.

        Raises:
            TooCostly: ``too_costly``, before the memory is taken.
        """
        self._decoded += decoded_bytes
        if self._decoded > self.limits.decoded_mib * _MIB:
            raise TooCostly(
                "too_costly",
                f"its parts decode to more than {self.limits.decoded_mib:g} MiB, the most that is allowed "
                f"(the last one was {what})",
            )
        self.check_time()

    def check_time(self) -> None:
        """Look at the clock.

        Raises:
            TooCostly: ``too_costly``: the file's share of time is over.
        """
        if self.seconds_left == 0:
            raise TooCostly(
                "too_costly", f"reading it takes more than {self._seconds:.3g} s, its share of time"
            )

    def note(self, kind: NoteKind, text: str) -> None:
        """Write down a change to the mesh."""
        self._notes[Note(kind=kind, text=text)] = None

    def lose_texture(self, failure: ItemFailure) -> None:
        """Leave out a texture that cannot be read, with a note.

        Raises:
            ItemFailure: ``failure`` itself, where ``limits`` refuse such a mesh, or the budget is spent.
        """
        if self.limits.refuse_untextured or isinstance(failure, TooCostly):
            raise failure
        self.note("untextured", f"{failure.reason}: {failure}")
