"""One at a time, across processes and machines, by what an MLflow store guarantees.

A registered model of this name holds tickets: its versions. Their numbers are given out one after the other,
in one transaction each, and never again, deleted ones included. Whoever holds the lowest ticket of a subject
has its turn, so taking a turn, giving it back and ending a dead owner's are steps that two processes cannot
mix up: each touches one ticket, by its number. An owner writes to its ticket every few seconds. One that has
written nothing while it was watched for :data:`LEASE_S` is taken for dead, and its ticket is deleted; should
it come back, its next write fails. What counts is the time between two answers of the store: a watcher that
is stopped meanwhile has watched nothing. An owner that finds that it was silent for so long gives up where
somebody waits, who may be about to delete its ticket. No clock is compared with another, and no process
number is asked.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from tasks.tracking.store import make_registered_model
from verdict3d.errors import Verdict3DError

TICKETS = "verdict3d.leases"
"""Registered model whose versions are the tickets of all subjects."""
WHAT = "Who records or promotes at this moment, as versions; empty while nobody does. Leave it alone."
SOURCE = "verdict3d-lease:/none"
"""Stands where a version names its files; a ticket has none. Servers want an absolute path."""
LEASE_S = 30.0
BEAT_S = 2.0
SUBJECT, TOKEN, BEAT, HOST, PID, SINCE = "subject", "token", "beat", "host", "pid", "since"


class BusyError(Verdict3DError):
    """Somebody else has the turn, and lives."""


class Lease:
    """A turn that is held; :func:`turn` takes and ends it.

    Args:
        client: Client of the store.
        subject: What one process may do at a time.
        lease_s: Seconds without a sign of life after which an owner is taken for dead.
        beat_s: Seconds between signs of life.
    """

    def __init__(
        self, client: MlflowClient, subject: str, lease_s: float = LEASE_S, beat_s: float = BEAT_S
    ) -> None:
        self.client, self.subject = client, subject
        self.lease_s, self.beat_s = lease_s, beat_s
        self._token = uuid.uuid4().hex
        self._beats = 0
        self._asked = 0.0
        self._lost = False
        self._ended = threading.Event()
        self._beating = threading.Lock()
        self._heart = threading.Thread(target=self._keep_beating, name=f"lease {subject}", daemon=True)
        self._ticket = ""

    def take(self, wait: bool) -> None:
        """Get a ticket, and wait for the turn.

        Args:
            wait: Wait for owners that live, too.

        Raises:
            BusyError: The owner lives, and ``wait`` is off.
        """
        self._asked = time.monotonic()
        self._ticket = self._draw()
        self._heart.start()
        seen: dict[str, tuple[str, float]] = {}
        while True:
            asked = time.monotonic()
            ahead, answered = self._list_ahead(), time.monotonic()
            if not ahead:
                return
            for ticket in ahead:
                number, beat = str(ticket.version), ticket.tags[BEAT]
                before, since = seen.setdefault(number, (beat, answered))
                if ticket.tags[TOKEN] == self._token or (before == beat and asked - since > self.lease_s):
                    self._delete(number)
                elif before != beat:
                    if ticket is ahead[0] and not wait:
                        raise BusyError(_describe_busy(ticket))
                    seen[number] = (beat, answered)
            self._ended.wait(self.beat_s / 2)

    def check(self) -> None:
        """Make sure that the turn is still this one's, right before the step it protects.

        Raises:
            Verdict3DError: Others waited in vain for a sign of life and went on.
        """
        with self._beating:
            self._beats += 1
            asked = time.monotonic()
            try:
                self.client.set_model_version_tag(TICKETS, self._ticket, BEAT, str(self._beats))
                silent_s = time.monotonic() - self._asked
                self._lost |= silent_s > self.lease_s and self._is_awaited()
                self._asked = asked
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                self._lost = True
            if self._lost:
                raise Verdict3DError(
                    f"{self.subject}: this process gave no sign of life for {self.lease_s:.0f} s, and "
                    "another took over; nothing more was changed"
                )

    def end(self) -> None:
        """Give the turn back. A store that does not answer is left to find out by itself."""
        self._ended.set()
        if self._heart.is_alive():
            self._heart.join(self.beat_s)
        if self._ticket:
            with suppress(MlflowException):
                self._delete(self._ticket)

    def _draw(self) -> str:
        make_registered_model(self.client, TICKETS, WHAT)
        tags = {
            SUBJECT: self.subject,
            TOKEN: self._token,
            BEAT: "0",
            HOST: socket.gethostname(),
            PID: str(os.getpid()),
            SINCE: datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return str(self.client.create_model_version(TICKETS, SOURCE, tags=tags, await_creation_for=0).version)

    def _list_ahead(self) -> list[ModelVersion]:
        """Return the tickets of the subject before this one's, oldest first."""
        mine = int(self._ticket)
        return [
            ticket for ticket in list_live_tickets(self.client, self.subject) if int(ticket.version) < mine
        ]

    def _is_awaited(self) -> bool:
        """Return whether another may have watched this one: those who wait have later tickets."""
        mine = int(self._ticket)
        return any(int(ticket.version) > mine for ticket in list_live_tickets(self.client, self.subject))

    def _delete(self, number: str) -> None:
        try:
            self.client.delete_model_version(TICKETS, number)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise

    def _keep_beating(self) -> None:
        while not self._ended.wait(self.beat_s):
            with suppress(MlflowException, Verdict3DError):  # the step that is protected checks for itself
                self.check()


@contextmanager
def turn(client: MlflowClient, subject: str, *, wait: bool) -> Iterator[Lease]:
    """Do something that one process may do at a time, on this machine or another.

    Args:
        client: Client of the store that all of them use.
        subject: What it is, such as "promotion of verdict3d".
        wait: Wait for a living owner too, without a limit; otherwise the error names it.

    Raises:
        BusyError: Somebody else has the turn.
    """
    lease = Lease(client, subject)
    try:
        lease.take(wait)
        yield lease
    finally:
        lease.end()


def list_live_tickets(client: MlflowClient, subject: str) -> list[ModelVersion]:
    """Return the tickets of a subject, in the order in which they were given out."""
    found = client.search_model_versions(f"name = '{TICKETS}'", order_by=["version_number ASC"])
    return [ticket for ticket in found if ticket.tags.get(SUBJECT) == subject]


def _describe_busy(ticket: ModelVersion) -> str:
    tags = ticket.tags
    return (
        f"{tags[SUBJECT]}: process {tags[PID]} on {tags[HOST]} is at it since {tags[SINCE]}; "
        "try again when it is done"
    )
