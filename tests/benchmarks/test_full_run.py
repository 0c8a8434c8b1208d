"""The whole run at the released size: its project is a preset over this checkout, and its kills are seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks import full_run
from benchmarks.full_chain import ARM, Use
from verdict3d.config import load_params
from verdict3d.project import CHECKPOINTS

AFTER = ["generate", "pairs", "certify@training", "certify@evaluation", "label", "preflight", f"train@{ARM}"]
AFTER += [f"evaluate@{ARM}", "challenge", "gate", "report"]


@pytest.mark.parametrize("tiny", [True, False])
def test_the_rehearsal_is_a_preset_over_this_checkout(tmp_path: Path, tiny: bool) -> None:
    place = full_run.write_project(tmp_path / "project", tmp_path / "models", (3, 2, 1), tiny)
    params = load_params(place.root / "params.yaml")
    assert place.preset == ("rehearsal" if tiny else "full+rehearsal")
    assert (params.assets.train, params.assets.validation, params.assets.heldout) == (3, 2, 1)
    assert params.judges.training.model == str(tmp_path / "models/training")
    assert params.judges.training.compiled is not tiny and params.train.arms == (ARM,)
    assert (place.root / CHECKPOINTS).is_dir() and (place.root / "dvc.yaml").is_file()


def test_what_is_forgotten_begins_with_generate(tmp_path: Path) -> None:
    place = full_run.write_project(tmp_path, tmp_path / "models", (3, 2, 1), tiny=True)
    stages = {
        name: {"outs": [{"path": f"data/{name.replace('@', '/')}", "md5": "0"}]}
        for name in ["assets", *AFTER]
    }
    for stage in stages.values():
        (place.root / stage["outs"][0]["path"]).mkdir(parents=True)
    (place.root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    (place.root / ".verdict3d/resume/train").mkdir(parents=True)
    (place.root / ".verdict3d/verdicts.db").touch()
    assert len(full_run.read_digests(place)) == 1 + len(AFTER)
    full_run.forget(place)
    assert full_run.read_digests(place) == {"data/assets": "0"}
    assert (place.root / "data/assets").is_dir() and not (place.root / "data/generate").exists()
    assert list((place.root / ".verdict3d").iterdir()) == []


def test_a_killed_run_leaves_no_process() -> None:
    code = "import subprocess, sys; subprocess.run(['sh', '-c', 'echo begun; sleep 60; echo ended'])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "begun\n"
        assert full_run.kill_tree(process) == 0
        assert process.returncode == -9
        assert process.stdout.read() == "", "nobody holds the other end any more"


def test_the_gpu_is_measured_while_a_stage_ran_and_between_its_batches() -> None:
    use = Use("a run", busy=[(float(second), [10 * second]) for second in range(10)])
    batches = {Path(f"/x/resume/generate/0/{number}/records.json"): 3.0 + 2 * number for number in range(3)}
    batches[Path("/x/resume/controls/0/0/records.json")] = 1.0
    found = full_run.read_end(9.0, "generate                     ran (7.0 s)", use, batches)
    assert found == full_run.Stage("generate", "ran", 7.0, pytest.approx(0.55), pytest.approx(0.5), 3)
    assert full_run.read_end(9.0, "generate     generate:  50%", use, batches) is None


def test_batches_of_a_killed_run_are_not_those_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = full_run.write_project(tmp_path / "project", tmp_path / "models", (3, 2, 1), tiny=True)
    batches = place.root / ".verdict3d/resume/generate/key"
    (batches / "000000").mkdir(parents=True)
    (batches / "000000/records.json").touch()
    script = tmp_path / "python"
    end = "generate                     ran (0.4 s)"
    script.write_text(
        f"#!/bin/sh\nmkdir {batches}/000004\ntouch {batches}/000004/records.json\nsleep 0.4\necho '{end}'\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    done = full_run.run("again", place, full_run.Cards())
    assert done.status == 0 and [(stage.stage, stage.batches) for stage in done.stages] == [("generate", 1)]
