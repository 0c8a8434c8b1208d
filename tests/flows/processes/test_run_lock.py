"""One run at a time, and recovery from killed ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.processes.run_lock import recover_dvc_locks, run_lock
from verdict3d.errors import Verdict3DError


def test_a_second_run_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "state/run.lock"
    with run_lock(path), pytest.raises(Verdict3DError, match=f"process {os.getpid()} on "), run_lock(path):
        pass
    with run_lock(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_the_lock_of_a_killed_run_is_waited_for_until_its_stages_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    code = (
        "import os, subprocess, sys; from pathlib import Path\n"
        "from flows.processes.run_lock import run_lock\n"
        f"with run_lock(Path({str(path)!r})) as lock:\n"
        "    subprocess.Popen(['sleep', '2'], pass_fds=[lock])\n"
        "    os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    said: list[str] = []
    with run_lock(path, said.append):
        assert len(said) == 1 and said[0].startswith("waiting for the stages of a killed run")


def rwlock(root: Path, pid: int) -> Path:
    path = root / ".dvc/tmp/rwlock"
    path.parent.mkdir(parents=True)
    info = {"pid": pid, "cmd": "dvc repro x"}
    path.write_text(json.dumps({"read": {"/a": [info]}, "write": {"/b": info}}))
    return path


def test_busy_paths_of_gone_or_other_processes_are_forgotten(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    path = rwlock(tmp_path / "gone", gone.pid)
    assert recover_dvc_locks(tmp_path / "gone") and not path.exists()
    reused = rwlock(tmp_path / "reused", 1)  # as in a container where the number is taken again
    assert recover_dvc_locks(tmp_path / "reused") and not reused.exists()
    damaged = tmp_path / "damaged/.dvc/tmp/rwlock"
    damaged.parent.mkdir(parents=True)
    damaged.write_text('{"read": {')
    assert recover_dvc_locks(tmp_path / "damaged") and not damaged.exists()


def test_busy_paths_of_a_running_dvc_stay(tmp_path: Path) -> None:
    dvc = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "-m", "dvc"])
    try:
        path = rwlock(tmp_path, dvc.pid)
        assert not recover_dvc_locks(tmp_path) and path.exists()
    finally:
        dvc.kill()
        dvc.wait()


def test_no_busy_paths_is_no_recovery(tmp_path: Path) -> None:
    assert not recover_dvc_locks(tmp_path)
    path = tmp_path / ".dvc/tmp/rwlock"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    assert not recover_dvc_locks(tmp_path) and path.exists()
