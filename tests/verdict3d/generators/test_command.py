"""A program as a generator: what it leaves, and every way in which it can leave nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.loopback import processes_of, wait_until
from support.outside import box_settings, outside
from support.tiny_trellis import tiny_photo
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.generators.generator import Request
from verdict3d.generators.registry import load_generator
from verdict3d.mesh.mesh import Mesh, mesh_digest


def asked(*stems: str, seed: int = 3) -> list[Request]:
    return [Request(tiny_photo(0), seed, stem) for stem in stems]


def test_every_photo_has_a_mesh_or_a_reason_in_its_place(tmp_path: Path) -> None:
    generator = load_generator(outside(**box_settings(tmp_path, timeout_s=20.0, at_once=3)), tmp_path)
    made = generator.generate(asked("chair", "fails", "breaks", "silent", "table"))
    assert isinstance(made[0], Mesh) and isinstance(made[4], Mesh)
    assert mesh_digest(made[0]) == mesh_digest(made[4])
    assert max(made[0].vertices.max(axis=0) - made[0].vertices.min(axis=0)) == pytest.approx(1.0)
    failures = [one for one in made if isinstance(one, ItemFailure)]
    assert [one.reason for one in failures] == ["command_failed", "broken_file", "missing_mesh"]
    assert "status 1: no box for this photo" in str(failures[0])
    other = generator.generate(asked("chair", seed=4))[0]
    assert isinstance(other, Mesh) and mesh_digest(other) != mesh_digest(made[0])


def test_a_seed_that_is_too_large_for_many_programs_is_made_smaller(tmp_path: Path) -> None:
    generator = load_generator(outside(**box_settings(tmp_path)), tmp_path)
    large, small = (generator.generate(asked("chair", seed=seed))[0] for seed in (2**62 + 2**31 + 5, 5))
    assert isinstance(large, Mesh) and isinstance(small, Mesh) and mesh_digest(large) == mesh_digest(small)


def test_what_fails_is_tried_again(tmp_path: Path) -> None:
    generator = load_generator(outside(**box_settings(tmp_path, tries=2)), tmp_path)
    once, fails = generator.generate([*asked("once"), *asked("fails")])
    assert isinstance(once, Mesh)
    assert isinstance(fails, ItemFailure) and "the last of 2 tries" in str(fails)


def test_a_program_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    generator = load_generator(outside(**box_settings(tmp_path, timeout_s=1.0)), tmp_path)
    (hung,) = generator.generate(asked("hangs"))
    assert isinstance(hung, ItemFailure) and hung.reason == "timed_out"
    wait_until(lambda: not processes_of(tmp_path), "the program to end", 10)


@pytest.mark.timeout(60)
def test_a_program_that_leaves_a_daemon_costs_nothing(tmp_path: Path) -> None:
    settings = box_settings(tmp_path)
    daemon = "import subprocess\nsubprocess.Popen(['sleep', '300'], start_new_session=True)\n"
    script = tmp_path / "data/generators/box.py"
    script.write_text(daemon + script.read_text())
    (made,) = load_generator(outside(**settings), tmp_path).generate(asked("chair"))
    assert isinstance(made, Mesh) and not processes_of(tmp_path)


def test_a_killed_stage_takes_its_programs_along(tmp_path: Path) -> None:
    box_settings(tmp_path)
    code = """
import sys
from pathlib import Path
from support.outside import box_settings, outside
from support.tiny_trellis import tiny_photo
from verdict3d.generators.generator import Request
from verdict3d.generators.registry import load_generator

root = Path(sys.argv[1])
load_generator(outside(**box_settings(root)), root).generate([Request(tiny_photo(0), 1, "hangs")])
"""
    stage = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    wait_until((tmp_path / "hanging").exists, "the program to hang")
    stage.send_signal(signal.SIGKILL)
    stage.wait()
    wait_until(lambda: not processes_of(tmp_path), "the program to end with the stage", 10)


def test_a_program_that_is_not_there_is_no_failure_of_a_photo(tmp_path: Path) -> None:
    settings = outside(**box_settings(tmp_path, run=["no-such-program", "{photo}", "{output}"]))
    with pytest.raises(Verdict3DError, match="'no-such-program', which is no program on PATH"):
        load_generator(settings, tmp_path)


def test_the_record_holds_the_digests_of_what_decides(tmp_path: Path) -> None:
    values = box_settings(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/a.bin").write_bytes(b"1")
    values["files"] = ["weights"]
    before = load_generator(outside(**values), tmp_path).record
    assert set(before.digests) == {"weights", "data/generators/box.py"}
    assert load_generator(outside(**{**values, "timeout_s": 7.0}), tmp_path).record == before
    (tmp_path / "weights/a.bin").write_bytes(b"2")
    after = load_generator(outside(**values), tmp_path).record
    assert after.digest != before.digest and after.settings == before.settings
    values["files"] = ["absent"]
    with pytest.raises(Verdict3DError, match="names 'absent', which is not there"):
        load_generator(outside(**values), tmp_path)
