"""The command line: light to start, clear when something is wrong, and its commands on real files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.toy_chain import write_toy_chain
from verdict3d.furniture.catalogue import furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.files import write_mesh
from verdict3d.randomness import numpy_generator
from verdict3d.records.files import write_json

HEAVY = (
    "torch",
    "transformers",
    "peft",
    "prefect",
    "mlflow",
    "dvc",
    "pandas",
    "trimesh",
    "scipy",
    "moderngl",
)
COMMANDS = (
    "run",
    "status",
    "generate",
    "render",
    "judge",
    "report",
    "doctor",
    "serve",
    "services",
    "sync",
    "verdicts",
    "promote",
    "rollback",
    "reproduce",
)


def call(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.cli.main", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_importing_the_command_line_imports_nothing_heavy() -> None:
    code = f"import sys, flows.cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_every_command_has_help_with_an_example() -> None:
    listing = call("--help").stdout
    for command in COMMANDS:
        assert command in listing
        done = call(command, "--help")
        assert done.returncode == 0 and f"verdict3d {command}" in done.stdout


@pytest.fixture
def chair(tmp_path: Path) -> Path:
    path = tmp_path / "chair.glb"
    write_mesh(mesh_from_parts(furniture("chair", numpy_generator(0, "chair", 0))), path)
    return path


@pytest.mark.parametrize(
    ("view", "size", "mode"),
    [("condition", (32, 32), "RGBA"), ("montage", (64, 64), "RGB"), ("rig", (256, 96), "RGB")],
)
def test_render_draws_each_view(
    chair: Path, tmp_path: Path, view: str, size: tuple[int, int], mode: str
) -> None:
    output = tmp_path / "out" / "picture.png"
    done = call("render", chair, "-o", output, "--view", view, "--mode", "clay", "--size-px", "32")
    assert done.returncode == 0, done.stderr
    picture = Image.open(output)
    assert (picture.size, picture.mode) == (size, mode)
    assert len(np.unique(np.asarray(picture).reshape(-1, len(mode)), axis=0)) > 5


def test_problems_are_one_message_and_status_1(tmp_path: Path, chair: Path) -> None:
    (tmp_path / "broken.glb").write_bytes(b"no mesh")
    for arguments in (
        ("render", tmp_path / "broken.glb", "-o", tmp_path / "x.png"),
        ("render", tmp_path / "absent.glb", "-o", tmp_path / "x.png"),
        ("render", chair, "-o", tmp_path / "x.jpg"),
        ("judge", "--reference", tmp_path / "absent.png", chair, chair),
        ("run", "--preset", "absent"),
        ("promote", "--force"),
        ("promote", "--reason", "no force"),
    ):
        done = call(*arguments)
        assert done.returncode == 1, arguments
        assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_status_and_report_of_a_project_that_has_not_run(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    done = call("status", cwd=project)
    assert done.returncode == 0 and "no results yet" in done.stdout
    assert done.stdout.startswith("assets: changed deps")
    done = call("report", cwd=project)
    assert done.returncode == 1 and "`verdict3d run` makes it" in done.stderr


def test_doctor_names_what_is_missing(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    (project / "requirements.lock").write_text("torch==0.0.1\nnumpy==9\n")
    done = call("doctor", "--json", cwd=project)
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == 1
    assert not findings["packages"]["ok"] and "torch" in findings["packages"]["detail"]
    assert not findings["checkpoints"]["ok"] and findings["telemetry"]["ok"] and findings["python"]["ok"]


def test_sync_sends_what_waits_and_says_when_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_toy_chain(tmp_path / "project")
    done = call("sync", cwd=project)
    assert (done.returncode, done.stdout) == (0, "nothing waits to be sent\n")
    waiting = project / ".verdict3d/spool/a-key"
    waiting.mkdir(parents=True)
    part = {"name": "run", "params": {}, "tags": {}, "metrics": {"m": 1.0}, "series": {}, "artifacts": []}
    write_json(waiting / "record.json", {"key": "a-key", "seconds": 1.0, "parent": part, "arms": []})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = call("sync", cwd=project)
    assert done.returncode == 1 and waiting.is_dir()
    assert "1 run(s) wait" in done.stdout and "nothing is lost" in done.stderr
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    done = call("sync", cwd=project)
    assert done.returncode == 0 and "recorded in MLflow" in done.stdout and not waiting.exists()
