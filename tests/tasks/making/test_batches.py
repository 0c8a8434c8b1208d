"""The resumable map: same bytes after kill -9, only what is missing is done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.making.batches import compose_batches, resuming, run_batches
from verdict3d.errors import Verdict3DError
from verdict3d.provenance import digest_directory
from verdict3d.records.record import RecordPart


class Number(RecordPart):
    """What a worker of these tests makes of an item: a number, and the process that made it."""

    item: int
    process: int = 0


STAGE = """
import os, sys
from pathlib import Path
from tasks.making.batches import resuming, run_batches
from verdict3d.records.files import write_jsonl
from verdict3d.records.record import RecordPart

class Piece(RecordPart):
    item: int
    file: str
    share: float

root, killed_at = Path(sys.argv[1]), int(sys.argv[2])

def make_worker():
    def work(items, folder):
        if killed_at in items:
            (folder / "half").write_bytes(b"half")
            os.kill(os.getpid(), 9)
        with (root / "calls").open("a") as log:
            log.write(f"{items}\\n")
        for item in items:
            (folder / f"{item}.bin").write_bytes(bytes([item]) * 100)
        return [Piece(item=item, file=f"{item}.bin", share=item / 7) for item in items]
    return work

with resuming("slow", {"items": 12}, root / "resume") as folder:
    results = run_batches(range(12), make_worker, Piece, folder=folder, batch_size=2, description="slow")
    out = root / "out"
    out.mkdir(exist_ok=True)
    for result in results:
        name = result.record.file
        (out / name).write_bytes((result.folder / name).read_bytes())
    write_jsonl(out / "rows.jsonl", [result.record.model_dump() for result in results])
"""


def run_stage(root: Path, killed_at: int = -1) -> int:
    """Run the stage in a process that kills itself in the middle of the batch with this item."""
    root.mkdir(exist_ok=True)
    command = [sys.executable, "-c", STAGE, str(root), str(killed_at)]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode


def test_killed_run_resumes_to_the_same_bytes(tmp_path):
    assert run_stage(tmp_path / "whole") == 0
    killed = tmp_path / "killed"
    assert run_stage(killed, killed_at=7) == -signal.SIGKILL
    calls = (killed / "calls").read_text().splitlines()
    kept = {path.name for path in killed.glob("resume/slow/*/0*")}
    assert len(calls) - 1 <= len(kept) <= len(calls) and 0 < len(kept) < 6

    assert run_stage(killed) == 0
    assert digest_directory(killed / "out") == digest_directory(tmp_path / "whole" / "out")
    assert len((killed / "calls").read_text().splitlines()) == 6 + len(calls) - len(kept)
    assert not list((killed / "resume" / "slow").iterdir())


def doubling_worker(made: list[int]):
    def factory():
        made.append(1)
        return lambda items, folder: [Number(item=2 * item) for item in items]

    return factory


def test_worker_is_made_once_and_only_when_needed(tmp_path):
    made: list[int] = []
    for _ in range(2):
        results = run_batches(
            [3, 1, 2], doubling_worker(made), Number, folder=tmp_path, batch_size=2, description="double"
        )
        assert [result.record.item for result in results] == [6, 2, 4]
    assert made == [1]


def sign(items, folder):
    """Write a file an item and say which process did; 7 is too much for it."""
    if 7 in items:
        raise Verdict3DError("7 is too much")
    for item in items:
        (folder / f"{item}.txt").write_text(str(item))
    return [Number(item=item, process=os.getpid()) for item in items]


def make_sign():
    return sign


def test_several_processes_leave_what_one_does(tmp_path, monkeypatch):
    made = {}
    for workers in ("1", "3"):
        monkeypatch.setenv("VERDICT3D_WORKERS", workers)
        folder = tmp_path / workers
        folder.mkdir()
        results = run_batches(range(6), make_sign, Number, folder=folder, batch_size=1, description="sign")
        assert [result.record.item for result in results] == list(range(6))
        assert all((result.folder / f"{item}.txt").is_file() for item, result in enumerate(results))
        made[workers] = {result.record.process for result in results}
    assert made["1"] == {os.getpid()}
    assert os.getpid() not in made["3"]


def test_a_failure_in_one_of_several_processes_is_raised_and_leaves_the_finished_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("VERDICT3D_WORKERS", "2")
    with pytest.raises(Verdict3DError, match="7 is too much"):
        run_batches([1, 2, 7], make_sign, Number, folder=tmp_path, batch_size=1, description="sign")
    assert not (tmp_path / "000002").exists()
    assert not list(tmp_path.glob(".unfinished-*"))


def test_processes_end_with_the_one_that_started_them(tmp_path):
    program = STAGE.replace("def make_worker", "def make_worker_here").split("with resuming")[0]
    (tmp_path / "slow_stage.py").write_text(
        f"{program}\n"
        "import time\n"
        "def work(items, folder):\n"
        "    (root / f'pid-{os.getpid()}').touch()\n"
        "    time.sleep(60)\n"
        "def make_worker():\n"
        "    return work\n"
        "if __name__ == '__main__':\n"
        "    run_batches(range(2), make_worker, Piece, folder=root, batch_size=1, description='slow')\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "slow_stage.py"), str(tmp_path), "0"],
        env={**os.environ, "VERDICT3D_WORKERS": "2"},
        stderr=subprocess.DEVNULL,
    )
    while len(children := list(tmp_path.glob("pid-*"))) < 2 and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    numbers = [int(path.name.removeprefix("pid-")) for path in children]
    end = time.monotonic() + 20
    while any(is_running(number) for number in numbers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(is_running(number) for number in numbers)


def is_running(process: int) -> bool:
    """Say whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("value", ["0", "-1", "many", "", "1.5", " 2", "\u00b2", "1000000000"])
def test_a_wrong_number_of_processes_is_refused(tmp_path, monkeypatch, value):
    monkeypatch.setenv("VERDICT3D_WORKERS", value)
    with pytest.raises(Verdict3DError, match="VERDICT3D_WORKERS"):
        run_batches([1], make_sign, Number, folder=tmp_path, batch_size=1, description="sign")


def test_no_items_make_no_worker(tmp_path):
    made: list[int] = []
    assert (
        run_batches([], doubling_worker(made), Number, folder=tmp_path, batch_size=2, description="double")
        == []
    )
    assert made == []


def test_a_failing_batch_leaves_the_finished_ones(tmp_path):
    def factory():
        def work(items, folder):
            (folder / "half-written").write_text("x")
            if 2 in items:
                raise RuntimeError("broken")
            return [Number(item=item) for item in items]

        return work

    with pytest.raises(RuntimeError, match="broken"), resuming("s", {"n": 4}, tmp_path) as folder:
        run_batches(range(4), factory, Number, folder=folder, batch_size=2, description="fail")
    assert [path.name for path in tmp_path.glob("s/*/0*")] == ["000000"]


def test_wrong_number_of_records_is_refused(tmp_path):
    with pytest.raises(Verdict3DError, match="1 records for 2 items"):
        run_batches(
            [1, 2],
            lambda: lambda items, folder: [Number(item=1)],
            Number,
            folder=tmp_path,
            batch_size=2,
            description="bad",
        )


@pytest.mark.parametrize("content", ["{}", "null", "[]", "[{}, {}]", '[{"item": 1'])
def test_damaged_records_of_a_finished_batch_are_named(tmp_path, content):
    def run() -> list[object]:
        factory = lambda: lambda items, folder: [Number(item=item) for item in items]  # noqa: E731
        return run_batches([1, 2], factory, Number, folder=tmp_path, batch_size=2, description="two")

    run()
    (tmp_path / "000000/records.json").write_text(content)
    with pytest.raises(Verdict3DError, match="000000 is no finished batch any more: remove it"):
        run()


@pytest.mark.parametrize("place", ["", "s", "s/arm", "s/arm/0"])
def test_a_file_where_work_is_kept_is_removed(tmp_path, place):
    root = tmp_path / "resume"
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_text("in the way")
    with pytest.raises(KeyboardInterrupt), resuming("s/arm", 1, root) as folder:
        (folder / "done").touch()
        raise KeyboardInterrupt
    folder.rename(folder.with_name("moved"))
    folder.write_text("in the way")
    with resuming("s/arm", 1, root) as again:
        assert again == folder and list(again.iterdir()) == []
    assert list((root / "s/arm").iterdir()) == []


def test_half_removed_work_is_never_used(tmp_path):
    with pytest.raises(KeyboardInterrupt), resuming("s", 1, tmp_path) as folder:
        raise KeyboardInterrupt
    removed = folder.rename(folder.with_name(f".removed-{folder.name}"))
    (removed / "000000").mkdir()
    with resuming("s", 1, tmp_path) as again:
        assert list(again.iterdir()) == []
        assert list(again.parent.iterdir()) == [again]


def test_another_identity_uses_and_keeps_nothing_of_the_old_one(tmp_path):
    with pytest.raises(KeyboardInterrupt), resuming("s", {"steps": 4}, tmp_path) as first:
        (first / "000000").mkdir()
        raise KeyboardInterrupt
    with resuming("s", {"steps": 4}, tmp_path) as again:
        assert again == first
        assert (again / "000000").exists()
        (tmp_path / "s" / "kept-by-nobody").mkdir()
    with resuming("s", {"steps": 5}, tmp_path) as second:
        assert list((tmp_path / "s").iterdir()) == [second]


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 7))
def test_batches_hold_every_position_once_in_order(groups, batch_size):
    batches = compose_batches(groups, batch_size, lambda group: group)
    assert sorted(position for batch in batches for position in batch) == list(range(len(groups)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        assert batch == sorted(batch)
        assert len({groups[position] for position in batch}) == 1
    for group in set(groups):
        sizes = [len(batch) for batch in batches if groups[batch[0]] == group]
        assert all(size == batch_size for size in sizes[:-1])


def test_one_batch_shows_its_progress(tmp_path, capfd):
    def make_worker():
        return lambda items, folder: [Number(item=item) for item in items]

    run_batches([1, 2], make_worker, Number, folder=tmp_path, batch_size=8, description="meshes of photos")
    said = capfd.readouterr().err
    assert "meshes of photos" in said and "2/2" in said
