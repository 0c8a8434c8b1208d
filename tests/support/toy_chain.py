"""A project of three trivial stages with the real parameters: what DVC, Prefect and tracking are tried on."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import yaml

from flows.chain.dvc_stages import run_stage_through_dvc
from flows.chain.environment import make_project_environment
from support.adapters import make_origin
from support.places import ROOT
from support.rows import filled
from verdict3d.records.adapters import AdapterCard
from verdict3d.records.numbers import Decisive, Interval, Summary
from verdict3d.records.record import as_values
from verdict3d.records.results import RegimeResults, Results

ARM = "conditioner_repair"
STAGES = ("assets", f"train@{ARM}", f"evaluate@{ARM}")

STAGE = """
import json, sys, time
from pathlib import Path

name, out, *needed = sys.argv[1:]
for path in needed:
    assert Path(path, "whole").read_text() == "whole"
folder = Path(out)
folder.mkdir(parents=True)
print(f"{name} works", flush=True)
(folder / "whole").write_text("half")
hold = Path(f"hold-{name}")
while hold.exists():
    time.sleep(0.05)
once = Path(f"fail-once-{name}")
if once.exists():
    once.unlink()
    sys.exit("it does not work this time")
if Path(f"fail-{name}").exists():
    sys.exit("it does not work")
(folder / "whole").write_text("whole")
(folder / "metrics.json").write_text(json.dumps({"count": 3}))
if name == "evaluate":
    (folder / "results.json").write_text(RESULTS)
if name == "train":
    (folder / "losses.csv").write_text("step,loss,validation_loss\\n0,1.0,\\n1,0.5,0.6\\n")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
"""

BOUNDED = {"value": 0.7, "low": 0.6, "high": 0.8}
SUMMARY = filled(
    Summary,
    pairs=64,
    half_credit=Interval(**BOUNDED),
    decisive=Decisive(**BOUNDED, wins=30, losses=14),
    coverage=0.8,
    flip_rate=0.2,
)
RESULTS = filled(Results, arm=ARM, target=0.65, regimes={"severe": filled(RegimeResults, summary=SUMMARY)})

PIPELINE = """
stages:
  assets:
    cmd: python stage.py assets data/assets
    deps: [stage.py]
    params: [seed]
    outs: [data/assets]
  train:
    foreach: ${train.arms}
    do:
      cmd: python stage.py train data/train/${item} data/assets
      deps: [stage.py, data/assets]
      outs: ["data/train/${item}"]
  evaluate:
    foreach: ${train.arms}
    do:
      cmd: python stage.py evaluate data/evaluate/${item} data/train/${item}
      deps: [stage.py, "data/train/${item}"]
      outs: ["data/evaluate/${item}"]
"""

GATE = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], f"{sys.argv[1]}/tests"]
from support.decisions import decided
decided(Path(), Path("word").read_text())
"""


def write_toy_chain(project: Path) -> Path:
    """Write the project and return its folder."""
    (project / ".dvc").mkdir(parents=True)
    shutil.copy(ROOT / ".dvc/config", project / ".dvc/config")
    shutil.copy(ROOT / ".dvcignore", project / ".dvcignore")
    shutil.copy(ROOT / "prefect.yaml", project / "prefect.yaml")
    text = (ROOT / "params.yaml").read_text()
    (project / "params.yaml").write_text(re.sub(r"(?m)^  arms: \[.*?\]", f"  arms: [{ARM}]", text))
    (project / "dvc.yaml").write_text(PIPELINE)
    (project / "stage.py").write_text(f"RESULTS = {json.dumps(as_values(RESULTS))!r}\n{STAGE}")
    for folder in ("data/meshes", "data/checkpoints", "presets", "tasks", "verdict3d"):
        (project / folder).mkdir(parents=True)
    return project


def run_toy_stage(project: Path, stage: str) -> str:
    """Run one stage through DVC and return its outcome."""
    return run_stage_through_dvc(
        stage,
        root=project,
        environment=make_project_environment(project),
        say=lambda line: None,
        log_file=project / "log",
    ).outcome


def run_toy_chain(project: Path) -> None:
    """Write the project and run its stages."""
    write_toy_chain(project)
    assert [run_toy_stage(project, stage) for stage in STAGES] == ["ran"] * len(STAGES)


def write_deciding_chain(project: Path) -> Path:
    """Write the toy chain with adapters that have a card, and a gate that decides by the file ``word``."""
    write_toy_chain(project)
    for package in ("tasks", "verdict3d"):
        (project / package).rmdir()  # the installed ones are meant
    stage = (project / "stage.py").read_text()
    origin = make_origin(ARM, base_digest="none")
    card = json.dumps(as_values(AdapterCard(**dict(origin), weights_digest="none", measures={})))
    (project / "stage.py").write_text(f"{stage}    (folder / 'card.json').write_text('{card}')\n")
    (project / "gate.py").write_text(GATE)
    (project / "word").write_text("REJECT")
    chain = yaml.safe_load((project / "dvc.yaml").read_text())
    chain["stages"]["gate"] = {
        "cmd": f"python gate.py {ROOT}",
        "deps": ["gate.py", "word", "data/train", "data/evaluate"],
        "outs": ["data/gate"],
    }
    (project / "dvc.yaml").write_text(yaml.safe_dump(chain))
    return project.resolve()
