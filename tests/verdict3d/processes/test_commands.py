"""Commands under the supervisor: output as it comes, outcomes, limits, nothing that outlives its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from verdict3d.processes import commands
from verdict3d.processes.commands import (
    LONGEST_LINE,
    READ_AT_ONCE,
    run_supervised,
    stopping_all_on_error,
)

WRITE_AND_STAY = (
    "import os, pathlib, subprocess, sys, time;"
    "child = subprocess.Popen(['sleep', '300']);"
    "pathlib.Path('pids.new').write_text(f'{os.getpid()} {child.pid}');"
    "os.rename('pids.new', 'pids');"
    "time.sleep(300)"
)


WRITE_AND_ESCAPE = WRITE_AND_STAY.replace("'300'])", "'300'], start_new_session=True)")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for(condition, limit_s: float = 20.0) -> bool:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def run(tmp_path: Path, code: str, **options):  # type: ignore[no-untyped-def]
    return run_supervised([sys.executable, "-c", code], cwd=tmp_path, environment=dict(os.environ), **options)


def test_lines_come_with_their_kind_and_the_outcome_is_told(tmp_path: Path) -> None:
    lines: list[tuple[str, bool]] = []
    code = "import sys; sys.stdout.write('one\\n10%\\r20%\\r\\ntwo'); sys.stderr.write('err\\n'); sys.exit(3)"
    ended = run(tmp_path, code, on_line=lambda line, redraws: lines.append((line, redraws)))
    assert ended.status == 3 and not ended.timed_out
    assert ended.max_rss_mib > 1 and ended.seconds > 0
    assert {("one", False), ("10%", True), ("20%", False)} <= set(lines)
    assert any("two" in line for line, _ in lines) and any("err" in line for line, _ in lines)


def test_a_signal_that_ended_the_command_is_told(tmp_path: Path) -> None:
    assert run(tmp_path, "import os; os.kill(os.getpid(), 9)").status == -9


def test_a_limit_ends_the_command_and_what_it_started(tmp_path: Path) -> None:
    ended = run(tmp_path, WRITE_AND_STAY, timeout_s=3.0)
    assert ended.status is None and ended.timed_out
    assert wait_for(lambda: not any(alive(int(pid)) for pid in (tmp_path / "pids").read_text().split()))


def test_what_a_command_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    code = WRITE_AND_STAY.replace("time.sleep(300)", "sys.exit(0)")
    assert run(tmp_path, code).status == 0
    left = int((tmp_path / "pids").read_text().split()[1])
    assert wait_for(lambda: not alive(left))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("end", ["sys.exit(0)", "time.sleep(300)"])
def test_what_makes_a_session_of_its_own_and_keeps_the_output_open_ends_too(tmp_path: Path, end: str) -> None:
    code = WRITE_AND_ESCAPE.replace("time.sleep(300)", end)
    ended = run(tmp_path, code, on_line=lambda line, redraws: None, timeout_s=3.0)
    assert ended.timed_out == (end != "sys.exit(0)")
    assert not any(alive(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_what_does_not_end_when_it_is_asked_is_killed(tmp_path: Path) -> None:
    stubborn = "['sh', '-c', 'trap : TERM; while true; do sleep 0.1; done']"
    code = WRITE_AND_ESCAPE.replace("['sleep', '300']", stubborn).replace("time.sleep(300)", "sys.exit(0)")
    assert run(tmp_path, code).status == 0
    assert not alive(int((tmp_path / "pids").read_text().split()[1]))


@pytest.mark.timeout(60)
def test_a_line_without_an_end_is_passed_on_in_parts(tmp_path: Path) -> None:
    parts: list[int] = []
    code = "import sys; sys.stdout.write('x' * 5_000_000)"
    run(tmp_path, code, on_line=lambda line, redraws: parts.append(len(line)))
    assert sum(parts) == 5_000_000 and max(parts) <= LONGEST_LINE + READ_AT_ONCE


@pytest.mark.parametrize("victim", ["owner", "owner of an escape", "supervisor", "command"])
def test_kill_9_leaves_nothing_running(tmp_path: Path, victim: str) -> None:
    code = WRITE_AND_ESCAPE if victim == "owner of an escape" else WRITE_AND_STAY
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, sys; from pathlib import Path;"
            "from verdict3d.processes.commands import run_supervised;"
            f"run_supervised([sys.executable, '-c', {code!r}], cwd=Path('.'),"
            " environment=dict(os.environ))",
        ],
        cwd=tmp_path,
    )
    assert wait_for((tmp_path / "pids").exists)
    command, grandchild = map(int, (tmp_path / "pids").read_text().split())
    supervisor = os.getpgid(command)
    os.kill({"supervisor": supervisor, "command": command}.get(victim, owner.pid), signal.SIGKILL)
    assert wait_for(lambda: not any(map(alive, (supervisor, command, grandchild))))
    owner.wait(20)


def test_a_number_that_another_process_has_by_now_is_not_killed() -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as another:
        ended = subprocess.Popen(["true"])
        ended.wait()
        ended.pid = another.pid
        commands._kill_abandoned(ended)
        assert another.poll() is None
        another.kill()


def test_an_error_ends_everything_that_runs(tmp_path: Path) -> None:
    import threading

    thread = threading.Thread(target=run, args=(tmp_path, WRITE_AND_STAY))
    with pytest.raises(RuntimeError), stopping_all_on_error():
        thread.start()
        assert wait_for((tmp_path / "pids").exists)
        raise RuntimeError
    thread.join(20)
    assert not thread.is_alive()
    assert wait_for(lambda: not any(alive(int(pid)) for pid in (tmp_path / "pids").read_text().split()))
