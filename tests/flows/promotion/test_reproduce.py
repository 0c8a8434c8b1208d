"""A recorded run is made again from its own code and parameters; `dvc exp` works in the same checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.chain.dvc_stages import changed_stages
from flows.chain.environment import project_environment
from flows.chain.workspace import Workspace
from flows.promotion.reproduce import StageMatch, compare_entries, reproduce_run
from support.toy_chain import ARM
from tasks.tracking.mlflow_runs import main as track
from tasks.tracking.outbox import Outbox
from verdict3d.errors import Verdict3DError

pytestmark = pytest.mark.slow

IGNORED = "/data\n/.verdict3d\n/mlflow.db\n/mlruns\n/log\n/.dvc/config.local\n/.dvc/cache\n/.dvc/tmp\n"


def git(project: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=project, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture
def recorded(toy_chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Workspace, str]:
    """A project whose chain has run and is in MLflow, and which has moved on since; with the run's id."""
    project = Path(shutil.copytree(toy_chain, tmp_path / "project"))
    (project / ".gitignore").write_text(IGNORED)
    git(project, "init", "-q", ".")
    git(project, "add", ".", ":!dvc.lock")  # as before the chain has run
    git(project, "commit", "-q", "-m", "first")
    monkeypatch.chdir(project)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert track(".") == 0
    run_id = Outbox(project).run_id(Path())
    assert run_id
    (project / "stage.py").write_text((project / "stage.py").read_text().replace('b"weights"', 'b"others"'))
    (project / "params.yaml").write_text((project / "params.yaml").read_text().replace("seed: ", "seed: 1"))
    git(project, "commit", "-q", "-a", "-m", "second")
    return Workspace(project, project, None), run_id


def test_a_run_is_made_again_from_its_own_code_and_parameters(
    recorded: tuple[Workspace, str], tmp_path: Path
) -> None:
    workspace, run_id = recorded
    said: list[str] = []
    into = tmp_path / "again"
    matches = reproduce_run(workspace, run_id, into, (f"train@{ARM}",), said.append)
    assert [(match.stage, match.outcome) for match in matches] == [
        ("assets", "restored"),
        (f"train@{ARM}", "ran"),
        (f"evaluate@{ARM}", "restored"),
    ]
    assert all(match.differing == () for match in matches)
    assert (into / f"data/train/{ARM}/adapter.safetensors").read_bytes() == b"weights"
    assert "seed: 1" not in (into / "params.yaml").read_text().partition("\n")[0]
    assert changed_stages(workspace.root, project_environment(workspace.project))  # this checkout moved on
    with pytest.raises(Verdict3DError, match="is not empty"):
        reproduce_run(workspace, run_id, into, (), said.append)
    with pytest.raises(Verdict3DError, match="no run 'absent'"):
        reproduce_run(workspace, "absent", None, (), said.append)

    whole = reproduce_run(workspace, run_id, None, ("all",), said.append)
    assert {match.outcome for match in whole} == {"ran"} and not any(match.differing for match in whole)


def test_what_differs_is_named() -> None:
    entry = {
        "cmd": "python x.py",
        "deps": [{"path": "x.py", "md5": "1"}],
        "params": {"params.yaml": {"seed": 1}},
        "outs": [{"path": "data/x", "md5": "2"}],
    }
    assert compare_entries(entry, entry) == ()
    assert compare_entries(entry, None) == ("stage",)
    changed = {**entry, "outs": [{"path": "data/x", "md5": "3"}], "params": {"params.yaml": {"seed": 2}}}
    assert compare_entries(entry, changed) == ("data/x", "parameters")
    assert compare_entries(entry, {**entry, "cmd": "python y.py", "deps": []}) == ("command", "x.py")
    assert StageMatch("x", "ran", ()).differing == ()


def test_experiments_work_beside_the_chain(recorded: tuple[Workspace, str]) -> None:
    project = recorded[0].project
    environment = project_environment(project)

    def dvc(*arguments: str) -> str:
        command = [sys.executable, "-m", "dvc", *arguments]
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    dvc("config", "--local", "core.no_scm", "false")
    git(project, "add", "dvc.lock")
    git(project, "commit", "-q", "-m", "results")
    params = (project / "params.yaml").read_text()
    dvc("exp", "run", "--temp", "--name", "other", "-S", "seed=5")
    assert "other" in dvc("exp", "show", "--csv") and (project / "params.yaml").read_text() == params
    assert git(project, "status", "--porcelain") == ""
    dvc("exp", "apply", "other")
    assert "seed: 5" in (project / "params.yaml").read_text()
    assert changed_stages(project, environment) == {}  # the chain takes the experiment's results as its own
