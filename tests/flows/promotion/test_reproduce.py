"""A recorded run is made again from its own code and parameters; `dvc exp` works in the same checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from flows.chain.dvc_digests import compute_dvc_digest
from flows.chain.dvc_stages import find_changed_stages
from flows.chain.environment import make_project_environment
from flows.chain.tracking_step import keep_run
from flows.promotion.reproduce import StageMatch, compare_entries, reproduce_run, verify_inputs
from support.command_line import call_command_line
from support.toy_chain import ARM, run_toy_stage
from tasks.tracking.mlflow_runs import main as send
from tasks.tracking.outbox import Outbox
from verdict3d.errors import Verdict3DError
from verdict3d.project import Workspace
from verdict3d.run_keys import run_key

pytestmark = pytest.mark.slow

IGNORED = "/data\n/.verdict3d\n/mlflow.db\n/mlruns\n/log\n/.dvc/config.local\n/.dvc/cache\n/.dvc/tmp\n"


def git(project: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=project, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def recorded_once(toy_chain: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project whose chain has run and is in MLflow, and which has moved on since; with the run's id."""
    project = Path(shutil.copytree(toy_chain, tmp_path_factory.mktemp("recorded") / "project"))
    chain = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(chain.replace("deps: [stage.py]", "deps: [stage.py, params.yaml]"))
    assert run_toy_stage(project, "assets") == "ran"
    (project / ".gitignore").write_text(IGNORED)
    git(project, "init", "-q", ".")
    git(project, "add", ".", ":!dvc.lock")  # as before the chain has run
    git(project, "commit", "-q", "-m", "first")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        keep_run(Workspace(project, project, None))
        assert send(str(project)) == 0
        run_id = Outbox(project).run_id(Path())
    assert run_id
    (project / "stage.py").write_text((project / "stage.py").read_text().replace('b"weights"', 'b"others"'))
    (project / "params.yaml").write_text((project / "params.yaml").read_text().replace("seed: ", "seed: 1"))
    git(project, "commit", "-q", "-a", "-m", "second")
    return project, run_id


@pytest.fixture
def recorded(
    recorded_once: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Workspace, str]:
    """A copy of that project, for one test, which works in it."""
    project = Path(shutil.copytree(recorded_once[0], tmp_path / "project"))
    monkeypatch.chdir(project)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Workspace(project, project, None), recorded_once[1]


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
    assert (into / f"data/train/{ARM}/adapter_model.safetensors").read_bytes() == b"weights"
    assert "seed: 1" not in (into / "params.yaml").read_text().partition("\n")[0]
    assert find_changed_stages(
        workspace.root, make_project_environment(workspace.project)
    )  # this checkout moved on
    with pytest.raises(Verdict3DError, match="is not empty"):
        reproduce_run(workspace, run_id, into, (), said.append)
    with pytest.raises(Verdict3DError, match="no recorded run is called 'absent'"):
        reproduce_run(workspace, "absent", None, (), said.append)

    whole = call_command_line("reproduce", run_id, "--again", "all", "--json", cwd=workspace.project)
    assert whole.returncode == 0 and "reproduced: all digests are the same" in whole.stderr
    document = json.loads(whole.stdout)
    assert document["same"] and len(document["stages"]) == 3
    assert all((stage["outcome"], stage["differing"]) == ("ran", []) for stage in document["stages"])


def artifact(project: Path, run_id: str, name: str) -> Path:
    (found,) = project.glob(f"mlruns/*/{run_id}/artifacts/{name}")
    return found


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        (f"{ARM}, 'x; touch PWNED #'", r"changed in MLflow since: params\.yaml"),
        ("", "does not say which params.yaml it read"),
    ],
)
def test_parameters_that_somebody_changed_in_mlflow_are_refused_before_they_are_used(
    recorded: tuple[Workspace, str], tmp_path: Path, arm: str, said: str
) -> None:
    workspace, run_id = recorded
    params = artifact(workspace.project, run_id, "params.yaml")
    params.write_text(params.read_text().replace(f"arms: [{ARM}]", f"arms: [{arm or ARM}]"))
    if not arm:  # the lock file too, with the tag that identifies the run
        lock = artifact(workspace.project, run_id, "dvc.lock")
        lock.write_text(lock.read_text().replace("path: params.yaml", "path: other.yaml"))
        MlflowClient("sqlite:///mlflow.db").set_tag(run_id, "dvc.lock", run_key(lock.parent) or "")
    into = tmp_path / "again"
    with pytest.raises(Verdict3DError, match=said):
        reproduce_run(workspace, run_id, into, ("all",), print)
    assert not (into / "data/train").exists() and not list(tmp_path.rglob("PWNED"))


def test_a_name_that_is_a_command_is_refused_whoever_vouches_for_it(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("train: {arms: [a, 'x; touch PWNED #']}\n")
    (tmp_path / "dvc.yaml").write_text("stages: {train: {foreach: '${train.arms}', do: {cmd: x}}}\n")
    lock = {
        "identity": {"deps": [{"path": "params.yaml", "md5": compute_dvc_digest(tmp_path / "params.yaml")}]}
    }
    with pytest.raises(Verdict3DError, match=r"names that are none: \['x; touch PWNED #'\]"):
        verify_inputs(tmp_path, lock)


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
    environment = make_project_environment(project)

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
    assert (
        find_changed_stages(project, environment) == {}
    )  # the chain takes the experiment's results as its own
