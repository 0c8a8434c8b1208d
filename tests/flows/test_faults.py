"""Faults: a full disk, folders that may not be written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from support.toy_chain import ROOT, run_toy_stage, write_toy_chain
from verdict3d.errors import storage_problem

RUN = [sys.executable, "-m", "verdict3d", "run"]


@contextmanager
def mounted(root: Path, *options: str, folder: str = "data") -> Iterator[list[str]]:
    """Yield what stands before a command to give it, alone, a small or read-only folder below ``root``.

    The mount lives in a namespace of the command's own and is gone with it.
    """
    (root / folder).mkdir(parents=True, exist_ok=True)
    mount = f"mount -t tmpfs -o {','.join(options)} none {folder}"
    own = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    shell = [*own, "sh", "-c", f'{mount} && exec "$@"', "sh"]
    if subprocess.run([*shell, "true"], cwd=root, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets no test mount anything")
    yield shell


@pytest.mark.parametrize(
    ("options", "complaint"),
    [(("size=24k",), "the disk is full"), (("size=1m", "ro"), "no permission to write")],
    ids=["full", "read-only"],
)
def test_a_disk_that_takes_nothing_is_one_clear_message(
    tmp_path: Path, options: tuple[str, ...], complaint: str
) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["assets"].update(train=2, validation=1, heldout=1, condition_size_px=64)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    look = "find data -type f -size -1 -o -name '.*' -type f; ls data/assets"
    with mounted(tmp_path, *options) as inside:
        stage = f'"{sys.executable}" -m tasks.assets; code=$?; {look}; exit $code'
        done = subprocess.run(
            [*inside, "sh", "-c", stage], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1, done.stderr
    message = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(message) == 1 and complaint in message[0] and "Traceback" not in done.stderr
    assert set(done.stdout.split()) <= {"meshes", "conditions"}  # no empty file, none under a temporary name


def test_a_state_folder_that_may_not_be_written_is_one_clear_message(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    (project / ".verdict3d").mkdir()
    with mounted(project, "size=64k") as inside:
        shell = [*inside, "sh", "-c", 'mount -t tmpfs -o size=64k,ro none .verdict3d && exec "$@"', "sh"]
        done = subprocess.run([*shell, *RUN], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: no permission to write") and "run.lock" in done.stderr


@pytest.mark.services
@pytest.mark.parametrize(
    ("size", "said_of"), [("300k", "dvc status --json failed"), ("700k", "Prefect's server dies")]
)
def test_a_state_folder_without_room_is_said_in_seconds(tmp_path: Path, size: str, said_of: str) -> None:
    project = write_toy_chain(tmp_path / "project")
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "", "PREFECT_API_URL": ""}
    with mounted(project, f"size={size}", folder=".verdict3d") as inside:
        done = subprocess.run(
            [*inside, *RUN], cwd=project, env=environment, capture_output=True, text=True, check=False
        )
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in said, said
    assert said_of in said and "the disk is full" in said, said


def test_a_folder_of_dvc_that_may_not_be_written_is_one_clear_message(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    command = [sys.executable, "-m", "verdict3d", "status"]
    with mounted(project, "size=64k", "ro", folder=".dvc/tmp") as inside:
        done = subprocess.run([*inside, *command], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "no permission to write (" in done.stderr and ".dvc/tmp" in done.stderr
    assert "https://dvc.org" not in done.stderr


@pytest.mark.parametrize(
    ("place", "named"), [(".verdict3d", ".verdict3d"), (".verdict3d/logs", "logs"), (".dvc/tmp", ".dvc/tmp")]
)
def test_a_file_where_a_folder_should_be_is_one_clear_message(
    tmp_path: Path, place: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_toy_chain(tmp_path / "project")
    (project / place).parent.mkdir(exist_ok=True)
    (project / place).touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.setenv("PREFECT_API_URL", "")
    done = subprocess.run(RUN, cwd=project, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in said and "https://dvc.org" not in said, said
    assert "move it away" in said and named in said, said


ASSETS = """
from pathlib import Path
from flows.chain.dvc_stages import run_stage_through_dvc
from flows.chain.environment import make_project_environment
here = Path.cwd()
run_stage_through_dvc(
    "assets", root=here, environment=make_project_environment(here), say=print, log_file=here / "log"
)
"""


def test_a_cache_that_takes_nothing_fails_the_stage_and_says_so(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    command = [sys.executable, "-c", ASSETS]
    with mounted(project, "size=4k", folder=".dvc/cache") as inside:
        done = subprocess.run([*inside, *command], cwd=project, capture_output=True, text=True, check=False)
    assert "StageFailedError: assets: DVC's cache takes no results; make room for it" in done.stderr
    assert run_toy_stage(project, "assets") in ("ran", "up to date")


def test_writers_below_python_are_understood() -> None:
    class WriterError(Exception):
        """As safetensors and SQLite raise them."""

    assert "disk is full" in str(
        storage_problem(WriterError("I/O error: No space left on device (os error 28)"))
    )
    assert "disk is full" in str(storage_problem(WriterError("database or disk is full")))
    assert "no permission" in str(storage_problem(WriterError("attempt to write a readonly database")))
    assert storage_problem(WriterError("something else")) is None
    assert storage_problem(FileNotFoundError(2, "No such file", "x")) is None
