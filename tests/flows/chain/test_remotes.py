"""Results travel: `dvc push` and `dvc pull` with a folder and with a real S3-compatible server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.chain.dvc_stages import find_changed_stages
from flows.chain.environment import make_project_environment
from support.loopback import free_port, server
from support.toy_chain import ARM, STAGES, run_toy_stage, write_toy_chain


def dvc(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=project,
        env=make_project_environment(project),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def results(project: Path) -> dict[str, bytes]:
    files = (project / "data").rglob("*")
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in files if path.is_file()}


def clone(project: Path, target: Path) -> Path:
    """Copy what git would hold, ``dvc.lock`` among it, and no result."""
    left_out = shutil.ignore_patterns("cache", "tmp", ".verdict3d", "assets", "train", "evaluate", "log")
    shutil.copytree(project, target, ignore=left_out)
    return target


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a server and make a bucket; return its address."""
    port, folder = free_port(), tmp_path_factory.mktemp("s3")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "of-a-test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_CONFIG_FILE", str(folder / "none"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        with server(command, address, folder / "log", env=dict(os.environ)):
            import boto3

            boto3.client("s3", endpoint_url=address).create_bucket(Bucket="results")
            yield address


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.services)])
def with_remote(request: pytest.FixtureRequest, toy_chain: Path, tmp_path: Path) -> Path:
    """Return a project whose chain has run, with a default remote."""
    project = Path(shutil.copytree(toy_chain, tmp_path / "project"))
    if request.param == "folder":
        assert dvc(project, "remote", "add", "-d", "store", str(tmp_path / "store")).returncode == 0
    else:
        assert dvc(project, "remote", "add", "-d", "store", "s3://results/v3d").returncode == 0
        address = request.getfixturevalue("s3")
        assert dvc(project, "remote", "modify", "store", "endpointurl", address).returncode == 0
    return project


@pytest.mark.slow
def test_results_arrive_elsewhere_the_same(with_remote: Path, tmp_path: Path) -> None:
    project = with_remote
    pushed = dvc(project, "push", "--run-cache")
    assert pushed.returncode == 0, pushed.stderr

    other = clone(project, tmp_path / "other")
    assert not results(other)
    pulled = dvc(other, "pull", "--run-cache")
    assert pulled.returncode == 0, pulled.stderr
    assert results(other) == results(project)
    assert find_changed_stages(other, make_project_environment(other)) == {}

    # with other parameters and back: what another machine once made is restored without running
    fresh = clone(project, tmp_path / "fresh")
    (fresh / "dvc.lock").unlink()
    assert dvc(fresh, "fetch", "--run-cache").returncode == 0
    for stage in STAGES:
        pulled_outcome = dvc(fresh, "repro", "--pull", "--single-item", stage)
        assert pulled_outcome.returncode == 0, pulled_outcome.stderr
        assert "is cached - skipping run" in pulled_outcome.stdout
    assert results(fresh) == results(project)


def test_a_remote_that_is_down_stops_no_run(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    blocked = tmp_path / "no-folder"
    blocked.write_text("a file where the remote should be")
    assert dvc(project, "remote", "add", "-d", "store", str(blocked)).returncode == 0
    assert run_toy_stage(project, "assets") == "ran"
    assert dvc(project, "push").returncode != 0
    assert find_changed_stages(project, make_project_environment(project)).keys() == {
        f"train@{ARM}",
        f"evaluate@{ARM}",
    }
