"""What was damaged in DVC's cache, in an output or in its lock file is noticed and made again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.chain.dvc_digests import compute_dvc_digest, find_damaged_outputs
from flows.chain.dvc_stages import find_changed_stages, restore_through_dvc
from flows.chain.environment import make_project_environment
from support.toy_chain import ARM, STAGES, run_toy_stage
from tasks.dvc_lock import LOCK, read_lock
from verdict3d.errors import Verdict3DError

pytestmark = pytest.mark.slow


@pytest.fixture
def project(toy_chain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy_chain, tmp_path / "project"))


def content(project: Path) -> dict[str, bytes]:
    """Return every output, with the lock file."""
    files = [path for path in sorted((project / "data").rglob("*")) if path.is_file()]
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in [*files, project / LOCK]}


def cached(project: Path, digest: str | None) -> Path:
    assert digest
    return project / ".dvc/cache/files/md5" / digest[:2] / digest[2:]


def flip(path: Path) -> None:
    """Change one bit and leave mode and time as they are, as a disk does."""
    before, whole = path.stat(), bytearray(path.read_bytes())
    whole[max(0, len(whole) - 10)] ^= 1  # of a listing, in the last name
    write_as_before(path, bytes(whole), before.st_mode, before.st_mtime_ns)


def empty(path: Path) -> None:
    before = path.stat()
    write_as_before(path, b"", before.st_mode, before.st_mtime_ns)


def write_as_before(path: Path, whole: bytes, mode: int, time_ns: int) -> None:
    path.chmod(0o644)
    path.write_bytes(whole)
    path.chmod(mode)
    os.utime(path, ns=(time_ns, time_ns))


def test_digests_are_those_that_dvc_writes(project: Path) -> None:
    for stage, entry in read_lock(project).items():
        assert [compute_dvc_digest(project / row["path"]) for row in entry["outs"]] == [
            row["md5"] for row in entry["outs"]
        ]
        assert find_damaged_outputs(project, [stage]) == {}
    assert compute_dvc_digest(project / "absent") is None


@pytest.mark.parametrize(
    ("damage", "what", "at_once", "with_lock"),
    [
        (flip, "file", True, True),
        (empty, "file", False, True),
        (flip, "listing", True, False),
        (empty, "listing", True, True),
    ],
)
def test_a_damaged_object_of_the_cache_is_removed_and_made_again(
    project: Path, damage: Callable[[Path], None], what: str, at_once: bool, with_lock: bool
) -> None:
    before = content(project)
    folder = project / "data/train" / ARM
    wanted = compute_dvc_digest(folder if what == "listing" else folder / "adapter_model.safetensors")
    damage(cached(project, wanted))
    for name in ("assets", "train", "evaluate"):
        shutil.rmtree(project / "data" / name)
    if not with_lock:
        (project / LOCK).unlink()
    if at_once:
        found = restore_through_dvc(
            root=project, environment=make_project_environment(project), log_file=project / "log"
        )
        assert f"train@{ARM}" not in found
    outcomes = [run_toy_stage(project, stage) for stage in STAGES]
    assert outcomes[1] == "ran" and content(project) == before
    assert find_changed_stages(project, make_project_environment(project)) == {}
    shutil.rmtree(folder)
    assert run_toy_stage(project, STAGES[1]) == "restored" and content(project) == before


def test_a_cache_that_is_gone_is_made_again(project: Path) -> None:
    before = content(project)
    shutil.rmtree(project / ".dvc/cache")
    shutil.rmtree(project / "data/train")
    assert [run_toy_stage(project, stage) for stage in STAGES][1] == "ran" and content(project) == before


MERGE = b"<<<<<<< HEAD\nschema: '2.0'\n=======\nstages: {}\n>>>>>>> other\n"


@pytest.mark.parametrize(
    "damage", [b"", b"\0\xff\xfe", MERGE, b"stages: [1]\n", b"stages: {a: 1}\n", b"schema: '2.0'\n"]
)
def test_a_damaged_lock_file_is_one_message(project: Path, damage: bytes) -> None:
    (project / LOCK).write_bytes(damage)
    with pytest.raises(Verdict3DError, match=r"dvc\.lock.*take it from git or a copy, or remove it"):
        find_changed_stages(project, make_project_environment(project))


def test_a_lock_file_that_was_removed_comes_back_from_the_cache(project: Path) -> None:
    before = content(project)
    (project / LOCK).unlink()
    assert {run_toy_stage(project, stage) for stage in STAGES} == {"restored"} and content(project) == before
