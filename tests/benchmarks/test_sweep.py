"""The sweep over all arms uses its workers, stops in time, goes on later, and no arm stops another."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from benchmarks.sweep import BASE, Crew, make_waves
from benchmarks.sweep_table import CHOSEN, PAPER, write_table
from flows.chain.workspace import overlay
from support.places import ROOT
from support.report_project import ARM, write_project
from verdict3d.config import load_params
from verdict3d.records.files import read_json
from verdict3d.stats.winrate import summarise

STAGE = """
import os, sys, time
from pathlib import Path
stage, arm = Path(sys.argv[0]).stem, sys.argv[1]
with open("calls", "a") as calls:
    calls.write(f"{stage} {arm}\\n")
if arm == "broken":
    sys.exit("no such thing")
if arm == "slow" and not Path("hurry").exists():
    child = os.fork()
    time.sleep(3600)
out = Path("data", stage, arm)
out.mkdir(parents=True)
(out / "metrics.json").write_text(os.environ["VERDICT3D_WORKERS"])
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/__init__.py").touch()  # otherwise the project's own would be run
    for stage in ("train", "evaluate"):
        (tmp_path / "tasks" / f"{stage}.py").write_text(STAGE)
    return tmp_path


def chains_of(*arms: str):
    return make_waves(SimpleNamespace(train=SimpleNamespace(arms=arms)), "arms")[0]


def test_a_broken_arm_stops_no_other(root, capsys):
    crew = Crew(root, workers=2, minutes=60)
    assert not crew.run(chains_of("broken", "one", "two"))
    assert crew.failed == ["train broken"]
    assert "no such thing" in capsys.readouterr().out
    assert "no such thing" in (root / "logs/train-broken.log").read_text()
    calls = (root / "calls").read_text().splitlines()
    assert sorted(calls) == ["evaluate one", "evaluate two", "train broken", "train one", "train two"]


def test_time_stops_whole_process_groups_and_the_next_share_goes_on(root):
    crew = Crew(root, workers=2, minutes=60)

    def end_when_only_the_slow_one_is_left() -> None:
        while not crew.is_done(("evaluate", "one")) or "train slow" not in (root / "calls").read_text():
            time.sleep(0.05)
        crew.end = 0.0

    threading.Thread(target=end_when_only_the_slow_one_is_left, daemon=True).start()
    assert not crew.run(chains_of("slow", "one"))
    assert crew.failed == []
    until = time.monotonic() + 60
    while running_below(root):  # what is killed takes a moment
        assert time.monotonic() < until, running_below(root)
        time.sleep(0.05)
    assert crew.is_done(("evaluate", "one")) and not crew.is_done(("train", "slow"))
    (root / "hurry").touch()
    assert Crew(root, workers=2, minutes=60).run(chains_of("slow", "one"))
    calls = (root / "calls").read_text().splitlines()
    assert calls.count("train one") == calls.count("evaluate one") == calls.count("evaluate slow") == 1


def running_below(root: Path) -> list[str]:
    """Return the processes that work in a folder, zombies left out."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == root:
                found.append(process.name)
        except OSError:
            continue
    return found


def test_an_arm_alone_is_given_the_cores_of_all(root):
    crew = Crew(root, workers=2, minutes=1, per_gpu=6)
    crew.cores, crew.gpus = 16, ["0", "3"]
    crew.unfinished = 2
    both = [crew.environment(place) for place in range(3)]
    assert [own["CUDA_VISIBLE_DEVICES"] for own in both] == ["0", "3", "0"]
    assert {(own["VERDICT3D_WORKERS"], own["OMP_NUM_THREADS"]) for own in both} == {("6", "8")}
    crew.unfinished = 1
    alone = crew.environment(0)
    assert (alone["VERDICT3D_WORKERS"], alone["OMP_NUM_THREADS"]) == ("12", "8")
    assert alone.get("CUDA_VISIBLE_DEVICES") == os.environ.get("CUDA_VISIBLE_DEVICES")
    crew.gpus = []
    alone = crew.environment(0)
    assert (alone["VERDICT3D_WORKERS"], alone["OMP_NUM_THREADS"]) == ("2", "8")


def test_shares_and_waves():
    params = SimpleNamespace(train=SimpleNamespace(arms=("a", "b", "c")))
    assert make_waves(params, "arms", (2, 2)) == [[[("train", "b"), ("evaluate", "b")]]]
    assert make_waves(params, "all")[: len(BASE)] == make_waves(params, "base")
    assert len(make_waves(params, "all")) == len(BASE) + 1


def test_the_preset_has_every_arm_that_the_table_speaks_of(tmp_path):
    plain, changes = (
        yaml.safe_load((ROOT / name).read_text()) for name in ("params.yaml", "presets/sweep.yaml")
    )
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(overlay(plain, changes)))
    sweep = load_params(tmp_path / "params.yaml").train
    assert set(sweep.arms) <= set(sweep.sections)
    assert {*PAPER, *CHOSEN, "oracle", "base_again"} <= set(sweep.arms)


def test_the_base_is_what_the_arms_need(tmp_path):
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    made = {"data/" + "/".join(step) for row in BASE for step in row}
    for stage in ("train", "evaluate"):
        needed = {path for path in stages[stage]["do"]["deps"] if path.startswith("data/")}
        given = ("data/checkpoints", "data/identity", "data/train/")  # identities are what DVC alone reads
        needed = {path for path in needed if not path.startswith(given)}
        assert all(any(f"{out}/".startswith(f"{path}/") for out in made) for path in needed)


def test_the_table_has_what_evaluate_left_and_names_arms_that_are_missing(tmp_path):
    rows = write_project(tmp_path)
    params = load_params(tmp_path / "params.yaml")
    train = params.train.model_copy(update={"arms": (*params.train.arms, "oracle")})
    params = params.model_copy(update={"train": train})
    regimes = params.evaluate.regimes
    text = write_table(tmp_path, params)
    found = read_json(tmp_path / "data/table.json")
    assert found["missing"] == ["oracle"]
    wins = summarise([row for row in rows if row.regime == "severe"], np.random.default_rng(1)).half_credit
    assert found["cells"][ARM]["severe"]["half_credit"]["value"] == wins.value
    assert set(found["bradley_terry_at_severe"]["strengths"]) == {ARM}
    line = next(line for line in text.splitlines() if line.startswith(f"| {ARM} |"))
    assert f"{wins.value:.2f} [{wins.low:.2f}, {wins.high:.2f}]" in line
    assert text.splitlines()[0].count("|") == line.count("|") == len(regimes) + 6
    assert (tmp_path / "data/table.svg").read_text().startswith("<svg")
