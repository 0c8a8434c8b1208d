"""Runs in a real embedded MLflow: what arrives, once, and still there after the folder has moved."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import threading
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.chain.environment import make_project_environment
from flows.chain.results import HEADINGS, format_text, format_win_rate, read_win_rates
from flows.chain.tracking_step import describe_unsent, find_recorded, keep_run, send_kept
from support.loopback import wait_until
from support.toy_chain import ARM, run_toy_stage
from tasks.tracking.outbox import Outbox
from tasks.tracking.run_record import collect_run
from tasks.tracking.run_summary import RunSummary
from tasks.tracking.run_values import flatten, flatten_numbers, read_series
from tasks.tracking.store import EMBEDDED_STORE
from verdict3d.errors import Verdict3DError
from verdict3d.project import Workspace
from verdict3d.records.record import write_record
from verdict3d.records.stages import StageEnd, StageEnds
from verdict3d.run_keys import run_key

MACHINE = {"cpu_utilization_percentage": [(1_780_000_000_000, 90.0), (1_780_000_005_000, 40.0)]}
STAGES = StageEnds(
    stages=[
        StageEnd(stage="assets", outcome="ran", seconds=2.0, max_rss_mib=50.0),
        StageEnd(stage="degrade", outcome="up to date", seconds=0.01, max_rss_mib=69.0),
    ],
    machine=MACHINE,
)


@pytest.fixture(scope="module")
def recorded(toy_chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose chain has run and has been sent to MLflow."""
    project = Path(shutil.copytree(toy_chain, tmp_path_factory.mktemp("tracked") / "project"))
    subprocess.run(["git", "init", "-q", "."], cwd=project, check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    (project / ".gitignore").write_text("/data\n/.verdict3d\n/mlflow.db\n/mlruns\n/log\n")
    subprocess.run(["git", "add", "."], cwd=project, check=True)
    subprocess.run(["git", *identity, "commit", "-q", "-m", "x"], cwd=project, check=True)
    write_record(project / "stages.json", STAGES)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as said:
        assert track(project, patch, stages="stages.json") == 0
    (project / "stages.json").unlink()
    assert "recorded in MLflow" in said.getvalue()
    return project


@pytest.fixture
def finished(recorded: Path, tmp_path: Path) -> Path:
    """Return a copy of it: each test may go on with it as it likes."""
    return Path(shutil.copytree(recorded, tmp_path / "project"))


def track(project: Path, monkeypatch: pytest.MonkeyPatch, uri: str = "", stages: str = "") -> int:
    from tasks.tracking.mlflow_runs import main

    monkeypatch.chdir(project)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    keep_run(Workspace(project, project, None), Path(stages) if stages else None)
    return main(str(project))


def runs(project: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    from mlflow import MlflowClient

    monkeypatch.chdir(project)
    client = MlflowClient(EMBEDDED_STORE)
    experiment = client.get_experiment_by_name("verdict3d")
    found = client.search_runs([experiment.experiment_id])
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in found if "mlflow.parentRunId" in run.data.tags]
    return client, parents, children


def test_a_run_arrives_whole_and_once(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client, (parent,), (child,) = runs(finished, monkeypatch)

    lock = yaml.safe_load((finished / "dvc.lock").read_text())
    tags = parent.data.tags
    assert tags["dvc.lock"] == run_key(finished)
    assert lock["stages"]["assets"]["outs"][0]["md5"] in tags["dvc.out.assets"]
    assert len(tags["git.commit"]) == 40 and tags["stage.assets"] == "ran"
    assert parent.data.params["generator.structure.steps"] == "12"
    assert parent.data.metrics["assets/count"] == 3
    shown = {name: value for name, value in parent.data.metrics.items() if re.match("system|stages", name)}
    sampled = "system/cpu_utilization_percentage"
    assert shown == {"stages/seconds/assets": 2.0, "stages/peak_memory_mib/assets": 50.0, sampled: 40.0}
    history = client.get_metric_history(parent.info.run_id, sampled)
    assert [(one.timestamp, one.value) for one in history] == MACHINE["cpu_utilization_percentage"]
    assert parent.info.status == child.info.status == "FINISHED"

    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id and child.info.run_name == ARM
    assert child.data.params["steps"] == "400"
    result = {"target": 0.65, "win_rate": 0.7, "win_rate.low": 0.6, "win_rate.high": 0.8, "decisive": 0.7}
    first = {f"1_result/{name}": value for name, value in result.items()}
    severe = {"severe/decisive": 0.7, "severe/decisive.low": 0.6, "severe/decisive.high": 0.8}
    assert (first | severe).items() <= child.data.metrics.items()
    for run in (parent, child):
        shown = sorted(name for name in run.data.metrics if not name.startswith("system/"))
        assert shown[: len(first)] == sorted(first), (
            "MLflow shows groups by name, and numbers without one last"
        )
        assert all("/" in name for name in shown)
        assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["assets"]
        assert run.inputs.dataset_inputs[0].dataset.digest == lock["stages"]["assets"]["outs"][0]["md5"]
    assert re.fullmatch(rf"0\.70 {ARM} \d{{4}}-\d\d-\d\d", parent.info.run_name)
    assert f"| {ARM} | severe | 0.70 (0.60 to 0.80) |" in tags["mlflow.note.content"]
    (model,) = client.search_logged_models([child.info.experiment_id])
    assert (model.name, model.source_run_id, model.status) == (ARM, child.info.run_id, "READY")
    assert (first | {"training/loss": 0.5}).items() <= {one.key: one.value for one in model.metrics}.items()
    assert model.params["steps"] == "400" and child.outputs.model_outputs[0].model_id == model.model_id
    history = client.get_metric_history(child.info.run_id, "training/loss")
    assert [(point.step, point.value) for point in history] == [(0, 1.0), (1, 0.5)]
    assert {file.path for file in client.list_artifacts(child.info.run_id)} == {
        "adapter",
        "evaluation",
        "training",
    }

    assert track(finished, monkeypatch) == 0
    assert Outbox(finished).run_id(Path()) == parent.info.run_id
    (finished / ".verdict3d/recorded.json").unlink()  # even when nobody remembers that it was sent
    assert track(finished, monkeypatch) == 0
    assert len(runs(finished, monkeypatch)[1]) == 1


def test_artifacts_survive_moving_the_folder(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = finished.rename(tmp_path / "moved")
    client, _, (child,) = runs(moved, monkeypatch)
    assert child.info.artifact_uri.startswith("mlruns/")
    (kept,) = (moved / "mlruns").rglob("adapter_model.safetensors")
    kept.write_bytes(b"weights of this folder")
    (tmp_path / "loaded").mkdir()
    path = client.download_artifacts(
        child.info.run_id, "adapter/adapter_model.safetensors", str(tmp_path / "loaded")
    )
    assert Path(path).read_bytes() == b"weights of this folder"


def test_a_run_waits_while_the_server_is_down_and_half_sent_ones_are_made_anew(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {run.info.run_id for part in runs(finished, monkeypatch)[1:] for run in part}
    text = (finished / "params.yaml").read_text()
    (finished / "params.yaml").write_text(text.replace("seed: ", "seed: 2"))
    run_toy_stage(finished, "assets")
    outbox = Outbox(finished)
    assert track(finished, monkeypatch, uri="http://127.0.0.1:9") == 1
    assert "wait in" in capsys.readouterr().err and len(outbox.list_waiting()) == 1

    import tasks.tracking.mlflow_runs as tracking

    whole = tracking._make_run
    monkeypatch.setattr(tracking, "_make_run", _killed_at_the_second(whole))
    with pytest.raises(KeyboardInterrupt):
        track(finished, monkeypatch)
    monkeypatch.setattr(tracking, "_make_run", whole)
    assert len(outbox.list_waiting()) == 1
    assert track(finished, monkeypatch) == 0
    assert outbox.list_waiting() == []
    client, parents, children = runs(finished, monkeypatch)
    new = {run.info.run_id for run in [*parents, *children]} - before
    assert len(new) == 2 and all(run.info.status == "FINISHED" for run in [*parents, *children])
    models = client.search_logged_models([children[0].info.experiment_id])
    assert sorted(one.source_run_id for one in models) == sorted(run.info.run_id for run in children)


def _killed_at_the_second(make_run):  # type: ignore[no-untyped-def]
    made = []

    def make(*arguments):  # type: ignore[no-untyped-def]
        made.append(make_run(*arguments))
        if len(made) > 1:
            raise KeyboardInterrupt
        return made[0]

    return make


def new_results(project: Path, seed: int) -> None:
    """Change the results below a project, as a run with another seed would."""
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(re.sub(r"(?m)^seed: .*", f"seed: {seed}", text))
    run_toy_stage(project, "assets")


def unfinished(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    _, parents, children = runs(project, monkeypatch)
    return [run for run in [*parents, *children] if run.info.status != "FINISHED"]


def test_of_two_who_send_the_same_results_one_waits_and_makes_nothing(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is another checkout, which has the turn already."""
    from tasks.tracking.lease import list_live_tickets, turn

    new_results(finished, 3)
    key = run_key(finished) or ""
    client, before, _ = runs(finished, monkeypatch)
    subject = f"recording of {key}"
    with turn(client, subject, wait=False):
        sender = threading.Thread(target=lambda: track(finished, monkeypatch))
        sender.start()
        wait_until(lambda: len(list_live_tickets(client, subject)) == 2, "the sender to wait")
        assert len(runs(finished, monkeypatch)[1]) == len(before)
        made = client.create_run(before[0].info.experiment_id, tags={"dvc.lock": key}).info.run_id
        client.set_terminated(made)
    sender.join(60)
    assert Outbox(finished).run_id(Path()) == made and Outbox(finished).list_waiting() == []
    assert len(runs(finished, monkeypatch)[1]) == len(before) + 1


def test_runs_that_a_kill_or_a_late_answer_leaves_behind_are_ended(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    client, (parent,), _ = runs(finished, monkeypatch)
    late = client.create_run(parent.info.experiment_id, tags={"dvc.lock": run_key(finished) or ""})
    foreign = client.create_run(parent.info.experiment_id, tags={"dvc.lock": "f" * 64})
    own = client.create_run(parent.info.experiment_id)  # somebody's, and not ours to end
    make = MlflowClient.create_run

    def make_and_die(*arguments: Any, **named: Any) -> None:
        make(*arguments, **named)
        raise KeyboardInterrupt

    new_results(finished, 3)
    monkeypatch.setattr(MlflowClient, "create_run", make_and_die)
    with pytest.raises(KeyboardInterrupt):
        track(finished, monkeypatch)
    monkeypatch.setattr(MlflowClient, "create_run", make)
    left = {
        run.data.tags["dvc.lock"] for run in unfinished(finished, monkeypatch) if "dvc.lock" in run.data.tags
    }
    assert left == {run_key(finished)}  # the first two were ended before
    assert track(finished, monkeypatch) == 0
    assert [run.info.run_id for run in unfinished(finished, monkeypatch)] == [own.info.run_id]
    assert {client.get_run(run.info.run_id).info.status for run in (late, foreign)} == {"KILLED"}
    assert len(runs(finished, monkeypatch)[1]) == 3


def test_what_mlflow_refuses_is_set_aside_and_the_rest_goes_on(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outbox = Outbox(finished)
    homes = []
    for seed in (3, 4, 5, 6, 7):
        new_results(finished, seed)
        homes.append(outbox.put(collect_run(finished)))
    odd, junk, torn, old, _ = homes
    record = json.loads((odd / "record.json").read_text())
    record["parent"]["params"]["a+b"] = "1"
    (odd / "record.json").write_text(json.dumps(record))
    (junk / "record.json").write_text("junk")
    other = json.loads((old / "record.json").read_text())
    other["arms"][0]["timed"] = [["/a", "files"]]  # where another version had other fields
    (old / "record.json").write_text(json.dumps(other))
    next(path for path in (torn / "files").rglob("*") if path.is_file()).unlink()

    assert track(finished, monkeypatch) == 1
    assert outbox.list_waiting() == [] and outbox.run_id(Path()) is not None
    refused = {place.name: reason for place, reason in outbox.list_refused().items()}
    assert set(refused) == {odd.name, junk.name, torn.name, old.name}
    assert "no record of this version" in refused[old.name] and "timed" in refused[old.name]
    assert (
        "a+b" in refused[odd.name] and "is not JSON" in refused[junk.name] and "is gone" in refused[torn.name]
    )
    assert unfinished(finished, monkeypatch) == []
    said = capsys.readouterr().out
    assert all(f"run {name[:8]} cannot be recorded and is set aside in" in said for name in refused)
    assert all(any(name[:8] in line for line in describe_unsent(finished)) for name in refused)

    outbox.try_refused_again()
    assert len(outbox.list_waiting()) == 4 and outbox.list_refused() == {}
    del record["parent"]["params"]["a+b"]
    (outbox.folder / odd.name / "record.json").write_text(json.dumps(record))
    assert track(finished, monkeypatch) == 1
    assert {place.name for place in outbox.list_refused()} == {junk.name, torn.name, old.name}


def test_a_memory_that_cannot_be_read_is_begun_anew(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (finished / ".verdict3d/recorded.json").write_text("[junk")
    assert track(finished, monkeypatch) == 0
    assert Outbox(finished).run_id(Path()) is not None and len(runs(finished, monkeypatch)[1]) == 1


@pytest.mark.parametrize(
    "uri", ["", "postgresql://user:secretpw@127.0.0.1:9/x", "http://user:secretpw@127.0.0.1:9"]
)
def test_a_store_that_is_broken_or_refuses_is_one_message_without_its_password(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], uri: str
) -> None:
    new_results(finished, 3)
    (finished / "mlflow.db").write_text("junk " * 1000)
    assert track(finished, monkeypatch, uri) == 1
    said = capfd.readouterr().err
    assert said.startswith("not recorded yet: MLflow at ") and "cannot be used: " in said
    assert "1 run(s) wait in" in said and len(said.splitlines()) == 2
    assert "secretpw" not in said and len(Outbox(finished).list_waiting()) == 1
    Outbox(finished).remove(Outbox(finished).list_waiting()[0], "arrived")
    memory = finished / ".verdict3d/recorded.json"
    assert "secretpw" not in memory.read_text() and stat.S_IMODE(memory.stat().st_mode) == 0o600


def test_a_store_that_takes_too_long_is_left_to_sync(finished: Path) -> None:
    new_results(finished, 3)
    keep_run(Workspace(finished, finished, None))
    said: list[str] = []
    assert not send_kept(finished, make_project_environment(finished), said.append, limit_s=0.1)
    assert "took more than 0 s" in said[0] and "`verdict3d sync` takes its time" in said[0]
    assert len(Outbox(finished).list_waiting()) == 1


def test_the_description_says_which_judges_are_certified() -> None:
    said = RunSummary({}, None, {"training": True, "evaluation": False}, "2026-11-30", "").describe()
    assert "Judges: training certified, evaluation NOT certified." in said


def test_records_take_numbers_and_names_apart() -> None:
    found = dict(flatten_numbers({"a": {"value": 1, "low": None, "high": 2.0}, "b@c": [1], "d": True}, "s"))
    assert found == {"s.a": 1.0, "s.a.high": 2.0}
    nested = {"a": {"b": 1, "c": [1, "x"]}, "d": "text", "e": None}
    assert dict(flatten(nested)) == {"a.b": "1", "a.c": '[1, "x"]', "d": "text", "e": "null"}


def test_damaged_losses_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    path.write_text("step,loss,other\n1,0.5,\n2,x,1\n")
    with pytest.raises(Verdict3DError, match="line 3"):
        read_series(path)
    path.write_text("step,loss,other\n1,0.5,\n2,nan,1\n")
    assert read_series(path) == {"loss": [(1, 0.5)], "other": [(2, 1.0)]}


def test_nothing_to_record_is_said(tmp_path: Path) -> None:
    with pytest.raises(Verdict3DError, match="nothing has been run"):
        collect_run(tmp_path)


def test_the_last_results_as_text(finished: Path) -> None:
    (rate,) = read_win_rates(finished)
    lines = format_text(HEADINGS, [format_win_rate(rate)]).splitlines()
    assert "0.700 [0.600, 0.800]" in lines[1] and lines[1].index("0.700") == lines[0].index("decisive")


def test_a_folder_joins_the_artifacts_of_its_run(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tasks.tracking.attachment import main

    client, (parent,), _ = runs(finished, monkeypatch)
    workspace = Workspace(finished, finished, None)
    assert find_recorded(workspace) == parent.info.run_id
    (tmp_path / "pages/meshes").mkdir(parents=True)
    (tmp_path / "pages/meshes/a.glb").write_bytes(b"mesh")
    main(str(finished), str(finished), str(tmp_path / "pages"), "pairs")
    assert [file.path for file in client.list_artifacts(parent.info.run_id, "pairs/meshes")] == [
        "pairs/meshes/a.glb"
    ]
    (finished / "dvc.lock").write_text("other results")
    with pytest.raises(SystemExit, match="1"):
        main(str(finished), str(finished), str(tmp_path / "pages"), "pairs")
    assert "not recorded" in capsys.readouterr().err
    with pytest.raises(Verdict3DError, match="not recorded"):
        find_recorded(workspace)


def test_a_recorded_run_is_found_by_what_people_call_it(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.registry.recorded import find_run, main
    from tasks.registry.versions import Registry

    _, (parent,), (child,) = runs(finished, monkeypatch)
    registry, whole = Registry(), parent.info.run_id
    commit = parent.data.tags["git.commit"]
    registry.client.set_tag(whole, "git.commit", "1234567890" * 4)
    assert find_run(registry, "123456789").info.run_id == whole  # no version of that number
    registry.client.set_tag(whole, "git.commit", commit)
    for name in (whole, whole[:6], child.info.run_id, commit, commit[:9]):
        assert find_run(registry, name).info.run_id == whole
    unknown = {"abc": "no recorded run", "0" * 31 + "g": "no recorded run", "7": "no version 7"}
    for name, said in unknown.items():
        with pytest.raises(Verdict3DError, match=said):
            find_run(registry, name)

    main("", str(tmp_path / "found"), whole, commit[:9])
    told = json.loads((tmp_path / "found/found.json").read_text())
    assert [run["run"] for run in told["runs"]] == [whole, whole]
    assert told["runs"][0]["key"] == run_key(finished) == run_key(tmp_path / "found/1")
    (row,) = told["history"]
    assert (row["arm"], row["regime"], row["flip_rate"]) == (ARM, "severe", 0.2)
    assert row["tie_rate"] == pytest.approx(0.2) and row["half_credit"] == 0.7
