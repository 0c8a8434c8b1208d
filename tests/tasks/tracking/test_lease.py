"""Turns in real embedded stores: one at a time, whatever becomes of the processes that take them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from support.loopback import wait_until
from tasks.tracking import lease
from tasks.tracking.lease import (
    BEAT,
    HOST,
    PID,
    SINCE,
    SOURCE,
    SUBJECT,
    TICKETS,
    TOKEN,
    BusyError,
    Lease,
    list_live_tickets,
    turn,
)
from verdict3d.errors import Verdict3DError

TAKE = """
import sys
from mlflow import MlflowClient
from tasks.tracking.lease import Lease
store = "sqlite:///mlflow.db"
lease = Lease(MlflowClient(store, registry_uri=store), "a race", lease_s=2.0, beat_s=0.2)
print("ready", flush=True)
sys.stdin.readline()
try:
    lease.take(wait=False)
except Exception as error:
    lease.end()
    print(type(error).__name__, error)
else:
    print("taken", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store; making its tables takes seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def client(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(database, "mlflow.db")
    return MlflowClient("sqlite:///mlflow.db", registry_uri="sqlite:///mlflow.db")


def test_one_of_several_gets_the_turn_and_its_death_frees_it(client: MlflowClient) -> None:
    contenders = [
        subprocess.Popen(
            [sys.executable, "-c", TAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in contenders:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in contenders:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.stdout.readline() for process in contenders if process.stdout]
    assert sorted(answer.split()[0] for answer in answers) == ["BusyError", "BusyError", "taken"]
    holder = contenders[answers.index("taken\n")]
    (refused, _) = [answer for answer in answers if answer != "taken\n"]
    assert f"a race: process {holder.pid} on {socket.gethostname()} is at it" in refused
    holder.kill()
    for process in contenders:
        process.communicate()
    assert len(list_live_tickets(client, "a race")) == 1  # it left its ticket behind
    lease = Lease(client, "a race", lease_s=2.0, beat_s=0.2)
    lease.take(wait=False)
    assert [ticket.tags[PID] for ticket in list_live_tickets(client, "a race")] != [str(holder.pid)]
    lease.end()
    assert list_live_tickets(client, "a race") == []


def leave_ticket(client: MlflowClient, **changes: str) -> str:
    """Leave the ticket of a process that gives no more sign of life."""
    tags = {SUBJECT: "s", TOKEN: "t", BEAT: "7", HOST: socket.gethostname(), PID: "1", SINCE: "long ago"}
    if not client.search_registered_models(f"name = '{TICKETS}'"):
        client.create_registered_model(TICKETS)
    return str(client.create_model_version(TICKETS, SOURCE, tags=tags | changes).version)


def test_a_dead_owner_whose_number_another_process_has_holds_nothing(client: MlflowClient) -> None:
    leave_ticket(client)  # process 1 runs on every machine
    lease = Lease(client, "s", lease_s=0.5, beat_s=0.1)
    lease.take(wait=False)
    lease.check()
    lease.end()
    assert list_live_tickets(client, "s") == []


def test_who_was_taken_over_changes_nothing_more(client: MlflowClient) -> None:
    with turn(client, "s", wait=False) as lease:
        lease.check()
        (mine,) = list_live_tickets(client, "s")
        client.delete_model_version(TICKETS, mine.version)  # by one who has waited in vain
        with pytest.raises(Verdict3DError, match="another took over; nothing more was changed"):
            lease.check()
        with turn(client, "s", wait=False) as other:
            other.check()


class Clock:
    """Time that passes when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=lambda: self.now))


def test_a_watcher_that_was_stopped_takes_nobody_for_dead(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause of its own, between an answer of the store and its use, is no silence of the owner."""
    clock, list_tickets, asked = Clock(monkeypatch), lease.list_live_tickets, []
    owner = Lease(client, "s", beat_s=600.0)
    owner.take(wait=False)

    def answer_and_stop(client: MlflowClient, subject: str) -> list[ModelVersion]:
        found = list_tickets(client, subject)
        asked.append(subject)
        for _ in range(3 if len(asked) == 2 else 0):
            clock.now += 20.0
            owner.check()
        return found

    other = Lease(client, "s", beat_s=0.1)
    monkeypatch.setattr(lease, "list_live_tickets", answer_and_stop)
    with pytest.raises(BusyError):
        other.take(wait=False)
    other.end()
    owner.check()
    owner.end()


def test_an_owner_that_was_silent_for_a_lease_gives_up_where_somebody_waits(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has watched it may be about to delete its ticket; without others it goes on."""
    clock = Clock(monkeypatch)
    owner = Lease(client, "s", beat_s=600.0)
    owner.take(wait=False)
    clock.now += 31.0
    owner.check()
    leave_ticket(client)  # of one who has decided, and has not deleted yet
    clock.now += 29.0
    owner.check()
    clock.now += 31.0
    for _ in range(2):
        with pytest.raises(Verdict3DError, match="another took over"):
            owner.check()
    owner.end()


def test_who_waits_gets_the_turn_when_it_is_free_and_subjects_are_apart(client: MlflowClient) -> None:
    entered = threading.Event()

    def wait_for_turn() -> None:
        with turn(client, "s", wait=True):
            entered.set()

    with turn(client, "s", wait=False), turn(client, "another", wait=False):
        waiting = threading.Thread(target=wait_for_turn)
        waiting.start()
        wait_until(lambda: len(list_live_tickets(client, "s")) == 2, "the second ticket")
        with pytest.raises(BusyError, match="try again when it is done"), turn(client, "s", wait=False):
            raise AssertionError
        assert not entered.is_set()
    waiting.join(60)
    assert entered.is_set()


def test_a_ticket_that_was_given_twice_to_one_does_not_block_it(client: MlflowClient) -> None:
    """As when the answer to the first question for it was lost on the way."""
    lease = Lease(client, "s")
    leave_ticket(client, **{TOKEN: lease._token})
    lease.take(wait=False)
    lease.end()
