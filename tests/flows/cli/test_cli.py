"""The command line: light to start, clear when something is wrong, and its commands on real files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flows.chain.environment import make_project_environment
from flows.chain.stopped import locate_page
from flows.chain.tracking_step import describe_unsent
from support.ballots import vote
from support.command_line import call_command_line as call
from support.places import ROOT
from support.scripted_server import http, scripted
from support.toy_chain import ARM, write_toy_chain
from tasks.tracking.outbox import REASON, Outbox
from tasks.tracking.run_record import RunPart, RunRecord
from verdict3d.furniture.catalogue import make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.files import write_mesh
from verdict3d.processes.environment import TELEMETRY_OFF
from verdict3d.project import VOTE_JOURNAL, Workspace
from verdict3d.randomness import numpy_generator
from verdict3d.votes.journal import VoteJournal

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
    "ui",
    "audit",
    "preflight",
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
    "export",
    "compare",
    "vote",
    "votes",
    "diff",
)


def test_importing_the_command_line_imports_nothing_heavy() -> None:
    """Nor does a run that finds nothing to do; acting on a decision needs MLflow, but seldom torch."""
    code = f"""
import sys, verdict3d.cli.main, flows.chain.run
print([name for name in {HEAVY!r} if name in sys.modules])
import tasks.registry.promotion
print("torch" in sys.modules)
"""
    said = subprocess.check_output([sys.executable, "-W", "ignore", "-c", code], text=True)
    assert said.split() == ["[]", "False"]


def test_every_command_has_help_with_an_example() -> None:
    listing = call("--help").stdout
    for command in COMMANDS:
        assert command in listing
        done = call(command, "--help")
        assert done.returncode == 0 and f"verdict3d {command}" in done.stdout


@pytest.fixture
def chair(tmp_path: Path) -> Path:
    path = tmp_path / "chair.glb"
    write_mesh(mesh_from_parts(make_furniture("chair", numpy_generator(0, "chair", 0))), path)
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
        ("render", chair, "-o", "/proc/x/y.png"),
        ("render", chair, "-o", chair / "y.png"),
        ("judge", "--reference", tmp_path / "absent.png", chair, chair),
        ("run", "--preset", "absent"),
        ("promote", "--force"),
        ("promote", "--reason", "no force"),
    ):
        done = call(*arguments)
        assert done.returncode == 1, arguments
        assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("rollback", "--to", ""), "--to"),
        (("rollback", "--to="), "--to"),
        (("render", "chair.glb", "-o", " "), "-o"),
        (("promote", "--explain", "--arm", ""), "--arm"),
        (("reproduce", ""), "argument 2"),
    ],
)
def test_an_empty_text_is_no_default(arguments: tuple[str, ...], named: str) -> None:
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {named} is an empty text; give a value, or leave it out\n"


def test_status_and_report_of_a_project_that_has_not_run(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    done = call("status", cwd=project)
    assert done.returncode == 0 and "no results yet" in done.stdout
    assert done.stdout.startswith(f"3 stages to run: assets, train@{ARM}, evaluate@{ARM}\n")
    document = json.loads(call("status", "--json", cwd=project).stdout)
    assert list(document["changed"]) == ["assets", f"evaluate@{ARM}", f"train@{ARM}"]
    assert document["win_rates"] == [] and document["report"] is None
    done = call("report", cwd=project)
    assert done.returncode == 1 and "`verdict3d run` makes it" in done.stderr


def test_status_says_what_waits_in_words_and_as_json(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    nothing = {"waiting": 0, "refused": {}}
    document = json.loads(call("status", "--json", cwd=project).stdout)
    assert (document["new_votes"], document["unsent"], document["stopped"]) == (0, nothing, None)

    VoteJournal(project / VOTE_JOURNAL).append([vote(number=0), vote(number=1)])
    outbox, part = Outbox(project), RunPart("run")
    homes = [outbox.put(RunRecord(key * 64, 1.0, part, [], "", None)) for key in "ab"]
    place = outbox.set_aside(homes[0], "a name with +")
    stopped = locate_page(Workspace(project, project, None))
    stopped.parent.mkdir(parents=True)
    stopped.write_text("<p>")
    document = json.loads(call("status", "--json", cwd=project).stdout)
    assert document["new_votes"] == 2 and document["stopped"] == str(stopped)
    assert document["unsent"] == {"waiting": 1, "refused": {str(place): "a name with +"}}
    said = call("status", cwd=project).stdout
    assert "2 new answers of people" in said
    assert f"the last run stopped; what there is, on a page: {stopped}" in said
    (place / REASON).write_bytes(b"")  # as a damaged disk leaves it
    assert describe_unsent(project)[1].startswith(
        "run aaaaaaaa is not recorded: the reason is lost; it is kept"
    )


def test_doctor_names_what_is_missing(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    (project / "requirements.lock").write_text("torch==0.0.1\nnumpy==9\n")
    done = call("doctor", "--json", cwd=project)
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == 1
    assert not findings["packages"]["ok"] and "torch" in findings["packages"]["detail"]
    assert not findings["checkpoints"]["ok"] and findings["python"]["ok"]
    (project / "params.yaml").write_text("seed: many\n")
    done = call("doctor", cwd=project)
    assert done.returncode == 1 and done.stdout.count("does not fit") == 1


def test_doctor_finds_what_the_lock_asks_for_here_and_on_no_other_system(tmp_path: Path) -> None:
    project = write_toy_chain(tmp_path / "project")
    (project / "requirements.lock").write_text((ROOT / "requirements.lock").read_text())
    done = call("doctor", "--json", cwd=project)
    (found,) = (one for one in json.loads(done.stdout) if one["name"] == "packages")
    assert found["ok"], found["detail"]


def test_doctor_says_what_the_users_own_shell_would_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_toy_chain(tmp_path / "project")
    for name in [*TELEMETRY_OFF, "CI", "PYTEST_CURRENT_TEST", "GITHUB_ACTIONS"]:
        monkeypatch.delenv(name, raising=False)

    def finding() -> dict[str, Any]:
        done = call("doctor", "--json", cwd=project)
        return next(found for found in json.loads(done.stdout) if found["name"] == "telemetry")

    found = finding()
    assert not found["ok"] and not found["needed"] and "mlflow" in found["detail"]
    assert "export DO_NOT_TRACK=true" in found["detail"]
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    assert finding()["ok"]


def test_no_package_reports_from_the_environment_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "PYTEST_CURRENT_TEST", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DO_NOT_TRACK", "false")
    command = [sys.executable, "-m", "flows.products.telemetry"]
    asked = subprocess.check_output(command, env=make_project_environment(tmp_path), cwd=tmp_path, text=True)
    assert json.loads(asked) == []


def test_the_version_and_the_hint_for_a_mistyped_option() -> None:
    command = [sys.executable, "-m", "verdict3d", "--version"]
    assert subprocess.check_output(command, text=True) == f"verdict3d {version('verdict3d')}\n"
    done = call("status", "--jsn")
    assert done.returncode == 2 and "--json" in done.stderr
    listing = call("--help").stdout
    assert "--install-completion" in listing and "Versions" in listing


def test_shells_are_told_how_to_complete_and_what() -> None:
    script = str(Path(sys.executable).with_name("verdict3d"))
    asked = {**os.environ, "_VERDICT3D_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    for words, known in (("verdict3d reprod", "reproduce"), ("verdict3d promo", "promote")):
        said = subprocess.check_output([script], env={**asked, "COMP_WORDS": words}, text=True)
        assert said.split() == [known]
    shell = f"{script} --show-completion; :"  # it writes for the shell that it is called from
    assert "_VERDICT3D_COMPLETE=complete_bash" in subprocess.check_output(["bash", "-c", shell], text=True)


def test_the_page_of_a_run_for_machines(tmp_path: Path) -> None:
    place = Workspace(*[write_toy_chain(tmp_path / "project")] * 2, None)
    place.report.parent.mkdir(parents=True)
    place.report.write_text("a page")
    done = call("report", "--json", cwd=place.project)
    assert json.loads(done.stdout) == {"report": str(place.report), "stopped": False}


def test_pages_need_a_recorded_run(tmp_path: Path) -> None:
    done = call("ui", cwd=write_toy_chain(tmp_path / "project"))
    assert done.returncode == 1 and "`verdict3d run` records one" in done.stderr


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b'{"experiment": null}'])
def test_pages_of_a_server_that_is_not_mlflow_s(
    tmp_path: Path, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(lambda _: [http(200, body)]) as (address, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("//", "//ann:s3cret@"))
        done = call("ui", cwd=write_toy_chain(tmp_path / "project"))
    assert done.returncode == 1 and "is it MLflow's server?" in done.stderr and "s3cret" not in done.stderr


def test_sync_sends_what_waits_and_says_when_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_toy_chain(tmp_path / "project")
    done = call("sync", cwd=project)
    assert (done.returncode, done.stdout) == (0, "nothing waits to be sent\n")
    part = RunPart("run", metrics={"m": 1.0})
    waiting = Outbox(project).put(RunRecord("a-key", 1.0, part, [], "", None))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = call("sync", cwd=project)
    assert done.returncode == 1 and waiting.is_dir()
    assert "1 run(s) wait" in done.stdout and "nothing is lost" in done.stderr
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    done = call("sync", cwd=project)
    assert done.returncode == 0 and "recorded in MLflow" in done.stdout and not waiting.exists()
