"""Batches go on where processes die, hang or stop; a batch that kills its worker is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.batch_workers import Making, begun, die, die_once, files_of, hang_once, run, stop_once
from support.instant_crew import InstantCrew
from tasks.making import crew, processes
from tasks.making.batches import resuming
from tasks.making.crew import Event, Place, Sharing
from tasks.making.executors import MACHINES, _Machines, choose_executor
from tasks.making.finishing import settle
from verdict3d.errors import Verdict3DError

DOUBLED = [2 * item for item in range(6)]


@pytest.fixture(autouse=True)
def two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERDICT3D_WORKERS", "2")
    monkeypatch.setenv("VERDICT3D_EXECUTOR", "processes")


@pytest.mark.slow
def test_what_a_killed_process_had_begun_is_done_again_by_another_one(tmp_path):
    assert run(tmp_path / "whole", Making(tmp_path / "log")) == DOUBLED
    assert run(tmp_path / "killed", Making(tmp_path / "killed-log", die_once, 3)) == DOUBLED
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")
    first, second = begun(tmp_path / "killed-log")[3]
    assert first.split()[0] != second.split()[0]


@pytest.mark.slow
def test_a_batch_that_kills_three_processes_is_the_failure_of_the_stage_by_name(tmp_path):
    with pytest.raises(
        Verdict3DError, match=r"batch 000003 was lost 3 times .*status -9.*Its items: 3\."
    ) as no:
        run(tmp_path / "work", Making(tmp_path / "log", die, 3))
    assert len(begun(tmp_path / "log")[3]) == 3 and not (tmp_path / "work/000003").exists()
    assert len(str(no.value)) < 400
    alone = begun(tmp_path / "log")
    assert all(len(alone[item]) <= 2 for item in alone if item != 3)  # no other batch is suspected for long


def die_at_once():
    os._exit(9)


@pytest.mark.slow
def test_processes_that_die_before_there_is_a_worker_are_no_endless_loop(tmp_path):
    with pytest.raises(Verdict3DError, match=r"no worker can be made: process .* ended with status 9"):
        run(tmp_path / "work", die_at_once)


@pytest.mark.slow
def test_a_process_that_gives_no_sign_of_life_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "SILENCE_S", 3.0)
    monkeypatch.setattr(processes, "LIFE_S", 0.2)
    monkeypatch.setattr(processes, "_work", lively_work)
    assert run(tmp_path / "work", Making(tmp_path / "log", stop_once, 2)) == DOUBLED
    assert len(begun(tmp_path / "log")[2]) == 2


def lively_work(*arguments: Any) -> None:
    """Be a process that gives signs of life more often."""
    processes.LIFE_S = 0.2
    original_work(*arguments)


original_work = processes._work


@pytest.mark.slow
def test_a_process_that_is_at_a_batch_for_much_longer_than_any_other_took_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "PATIENCE_S", 3.0)
    assert run(tmp_path / "work", Making(tmp_path / "log", hang_once, 5)) == DOUBLED
    assert len(begun(tmp_path / "log")[5]) == 2


class Scripted(InstantCrew):
    """Places that finish batches when they are listened to, except as a script says.

    Args:
        count: How many places there are, at most.
        losses: For each batch, what is lost with it, one time after the other.
    """

    def __init__(self, count: int, losses: dict[int, list[str]]) -> None:
        super().__init__(count)
        self.losses = losses
        self.given: list[int] = []
        self.most = 0

    def give(self, place: Place, number: int, task: Any) -> None:
        self.given.append(number)
        self.most = max(self.most, len(place.unfinished))
        if self.losses.get(number):
            error = RuntimeError("gone")
            self.events.append(Event(place, "lost", error=error, loss=self.losses[number].pop(0)))  # type: ignore[arg-type]
        else:
            super().give(place, number, task)

    def listen(self, seconds: float) -> list[Event]:
        events = list(self.events)
        self.events.clear()
        gone = [event.place for event in events if event.what == "lost"]
        self.places = [place for place in self.places if place not in gone]
        return [event for event in events if event.place not in gone or event.what == "lost"]


def share(losses: dict[int, list[str]], count: int = 3) -> Scripted:
    crew_of_places = Scripted(count, losses)
    tasks = [([number], Path(f"{number:06d}")) for number in range(8)]
    assert sum(Sharing(crew_of_places, tasks, lambda machine, name: None).run()) == 8
    return crew_of_places


def test_a_batch_may_be_lost_with_many_machines_but_with_two_processes_only():
    assert share({2: ["machine"] * 19}).given.count(2) == 20
    assert share({2: ["worker"] * 2}).given.count(2) == 3
    for losses, times in ((["machine"] * 20, 20), (["worker"] * 3, 3), (["memory"] * 2, 2)):
        with pytest.raises(Verdict3DError, match=f"batch 000002 was lost {times} times .*: gone"):
            share({2: losses})


def test_a_batch_that_was_lost_is_done_alone():
    class Watching(Scripted):
        def give(self, place: Place, number: int, task: Any) -> None:
            if 0 in place.unfinished and self.given.count(0):
                assert list(place.unfinished) == [0]
            super().give(place, number, task)

    watching = Watching(1, {0: ["worker"]})
    tasks = [([number], Path(f"{number:06d}")) for number in range(4)]
    assert sum(Sharing(watching, tasks, lambda machine, name: None).run()) == 4


@pytest.mark.parametrize("ahead", [False, True])
def test_batches_are_given_ahead_only_where_the_others_have_enough(ahead):
    """Two places that begin nothing before both have all that they are to have."""

    class Slow(Scripted):
        def give(self, place: Place, number: int, task: Any) -> None:
            self.given.append(number)
            self.most = max(self.most, len(place.unfinished))

        def listen(self, seconds: float) -> list[Event]:
            if not self.events:
                for place in self.places:
                    for number in list(place.unfinished):
                        self.events += [Event(place, "begun", number), Event(place, "finished", number)]
            return super().listen(seconds)

    slow = Slow(2, {})
    slow.ahead = ahead
    tasks = [([number], Path(f"{number:06d}")) for number in range(9)]
    assert sum(Sharing(slow, tasks, lambda machine, name: None).run()) == 9
    assert slow.most == (2 if ahead else 1)
    assert slow.given == list(range(9))


def write_batch(folder: Path, content: bytes, host: str) -> Path:
    folder.mkdir()
    (folder / "records.json").write_bytes(b"[]\n")
    (folder / "0.bin").write_bytes(content)
    (folder / "machine.json").write_text(json.dumps({"host": host}))
    return folder


def test_a_batch_that_was_finished_twice_counts_once(tmp_path):
    home = write_batch(tmp_path / "000000", b"same", "node-a")
    settle(write_batch(tmp_path / ".unfinished-x", b"same", "node-b"), home)
    assert json.loads((home / "machine.json").read_text()) == {"host": "node-a"}


def test_other_bytes_of_the_same_batch_are_an_alarm_that_names_both_machines(tmp_path):
    home = write_batch(tmp_path / "000000", b"one", "node-a")
    with pytest.raises(
        Verdict3DError, match=r"batch 000000 was made twice, on node-a and on node-b.*: 0\.bin\."
    ):
        settle(write_batch(tmp_path / ".unfinished-x", b"other", "node-b"), home)
    assert (home / "0.bin").read_bytes() == b"one"


def machine(accelerator: str | None, torch: str | None = "2.13.0") -> dict[str, Any]:
    return {"torch": torch, "threads": 1, "accelerator": accelerator}


@pytest.mark.parametrize("damaged", ["{}", "[1]", "[{}]", "null"])
def test_what_is_known_of_machines_and_damaged_is_one_message(tmp_path, damaged):
    path = tmp_path / MACHINES
    path.write_text(damaged)
    with pytest.raises(Verdict3DError, match=r"machines.json is damaged.*remove .* to begin the stage again"):
        _Machines(path)


def test_unlike_machines_share_no_stage_unless_allowed(tmp_path, monkeypatch):
    path = tmp_path / MACHINES
    _Machines(path).admit(machine("NVIDIA H200"), "node-a")
    _Machines(path).admit(machine("NVIDIA H200"), "node-b")
    _Machines(path).admit(machine(None, torch=None), "a node that only draws")
    for other in (machine("NVIDIA A100"), machine(None), machine("NVIDIA H200", torch="2.12.0")):
        with pytest.raises(
            Verdict3DError, match=r"node-c has .*batches of this stage were made with NVIDIA H200"
        ):
            _Machines(path).admit(other, "node-c")
    monkeypatch.setenv("VERDICT3D_MIXED_ACCELERATORS", "1")
    _Machines(path).admit(machine("NVIDIA A100"), "node-c")
    assert [kind["accelerator"] for kind in json.loads(path.read_text())] == ["NVIDIA H200", "NVIDIA A100"]


def test_each_batch_says_on_what_machine_it_was_made(tmp_path, monkeypatch):
    import torch

    monkeypatch.setenv("VERDICT3D_EXECUTOR", "here")
    run(tmp_path / "work", Making(tmp_path / "log"))
    said = json.loads((tmp_path / "work/000000/machine.json").read_text())
    assert said["torch"] == torch.__version__ and said["host"]


def test_a_second_driver_in_the_same_checkout_is_refused(tmp_path):
    program = (
        "import sys\nfrom pathlib import Path\nfrom tasks.making.batches import resuming\n"
        f"with resuming('generate', 1, Path({str(tmp_path)!r})):\n"
        "    print('held', flush=True)\n    input()\n"
    )
    first = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdout and first.stdout.readline() == b"held\n"
    refused = pytest.raises(
        Verdict3DError, match=f"generate is being worked on .* by process {first.pid} on "
    )
    with refused, resuming("generate", 2, tmp_path):
        pass
    with resuming("evaluate/arm", 1, tmp_path):  # another stage is another matter
        pass
    first.send_signal(signal.SIGKILL)
    first.communicate()
    with resuming("generate", 2, tmp_path) as folder:
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("value", ["", "Ray", "threads"])
def test_an_executor_that_is_none_is_refused(monkeypatch, value):
    monkeypatch.setenv("VERDICT3D_EXECUTOR", value)
    with pytest.raises(Verdict3DError, match="choose here, processes or ray"):
        choose_executor()


def test_the_number_of_workers_decides_where_nothing_is_said(monkeypatch):
    monkeypatch.delenv("VERDICT3D_EXECUTOR")
    assert choose_executor() == "processes"
    monkeypatch.setenv("VERDICT3D_WORKERS", "1")
    assert choose_executor() == "here"
