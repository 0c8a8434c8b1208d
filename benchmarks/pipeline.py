"""What DVC and Prefect cost: `python -m benchmarks.pipeline`, on an otherwise idle machine.

Overhead: a copy of the project runs the chain once with ten objects (minutes); then `verdict3d run` and bare
`dvc repro` take turns with nothing to do, and with every stage restored from DVC's cache. Growth: what every
asset of a manifest costs beside the work itself, from 100 to 10,000 assets, with the exponent of the
growth. `--growth` leaves the overhead out, `--overhead` the growth.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from flows.chain.dvc_stages import read_stage_graph
from flows.chain.environment import make_project_environment
from flows.chain.workspace import open_workspace
from tasks.generate import plan_generations
from tasks.making.batches import run_batches
from tasks.paths import read_assets, read_conditions
from verdict3d.config import load_params
from verdict3d.furniture.catalogue import CATEGORIES
from verdict3d.records.files import write_jsonl
from verdict3d.records.record import RecordPart

ROOT = Path(__file__).parents[1]
SIZES = (100, 1_000, 10_000)
NOTHING_S, RESTORED_S, ABOVE_DVC_S = 5.0, 20.0, 1.0
LINEAR = 1.1
VERDICT3D = [sys.executable, "-m", "verdict3d", "run", "--preset", "small"]
DVC = [sys.executable, "-m", "dvc", "repro"]
DEFAULT = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["train"]
REPAIR = {"steps": 4, "draws": 2, "checkpoint_every": 2}
SMALL = {
    "assets": {"train": 4, "validation": 2, "heldout": 4},
    # so few objects certify no judge and show no signal: neither matters to what is measured
    "audit": {"rows_per_defect": 1, "compared": 2, "copies": 2, "coloured": 2, "allow_uncertified": True},
    "preflight": {"override": True},
    "train": {
        "conditioner_repair": REPAIR,
        "repair_and_consensus": {
            "parts": [
                DEFAULT["conditioner_repair"] | REPAIR,
                {"method": "search", "samples": 2, "pick": "random"},
            ]
        },
    },
    "evaluate": {"bootstrap": 50},
    "report": {"gallery": 2},
}

STAGE = """
import sys
from pathlib import Path
folder = Path("data/assets")
folder.mkdir(parents=True)
for number in range(int(sys.argv[1])):
    (folder / f"{number}.glb").write_bytes(number.to_bytes(4, "big") * 256)
    (folder / f"{number}.png").write_bytes(number.to_bytes(4, "big") * 64)
"""


def measure_time(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    started = clock()
    action()
    return clock() - started


def call(command: list[str], cwd: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")


def forget(root: Path) -> None:
    """Remove outputs and what DVC recorded of them; its cache stays."""
    recorded = yaml.safe_load((root / "dvc.lock").read_text())["stages"]
    for out in (out for stage in recorded.values() for out in stage["outs"]):
        shutil.rmtree(root / out["path"])
    (root / "dvc.lock").unlink()


def measure_overhead(folder: Path, repetitions: int) -> bool:
    """Print the times of both ways, with nothing to do and all restored; tell whether limits hold."""
    project = folder / "project"
    for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, project / name)
    (project / "presets/small.yaml").write_text(yaml.safe_dump(SMALL))
    left_out = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL")
    environment = {
        name: value for name, value in make_project_environment(project).items() if name not in left_out
    }
    environment["PYTHONPATH"] = str(project)
    first_s = measure_time(lambda: call(VERDICT3D, project, environment))
    root = open_workspace(project, "small").root
    stages = len(read_stage_graph(root, environment))
    print(f"{stages} stages; first run {first_s:.0f} s")
    found: dict[str, list[float]] = {}
    for _ in range(repetitions):
        for case in ("nothing to do", "restored"):
            for way, command, place in (("dvc repro", DVC, root), ("verdict3d run", VERDICT3D, project)):
                if case == "restored":
                    forget(root)
                seconds = measure_time(lambda c=command, p=place: call(c, p, environment))
                found.setdefault(f"{case}, {way}", []).append(seconds)
    median = {name: statistics.median(times) for name, times in found.items()}
    for name, times in found.items():
        print(f"{name:30} {median[name]:6.2f} s  ({min(times):.2f} to {max(times):.2f}, n={repetitions})")
    above = (median["restored, verdict3d run"] - median["restored, dvc repro"]) / stages
    limits = (
        ("nothing to do", median["nothing to do, verdict3d run"], NOTHING_S),
        ("restored", median["restored, verdict3d run"], RESTORED_S),
        ("restored, above dvc repro, a stage", above, ABOVE_DVC_S),
    )
    for name, seconds, limit in limits:
        print(f"{name:36} {seconds:6.2f} s, limit {limit:.0f} s: {'ok' if seconds <= limit else 'MISSED'}")
    return all(seconds <= limit for _, seconds, limit in limits)


def measure_growth(folder: Path) -> bool:
    """Print what grows with the manifest, in seconds, and the exponent; tell whether it is linear."""
    found: dict[str, list[float]] = {}
    for size in SIZES:
        for name, seconds in find_growth(folder / str(size), size).items():
            found.setdefault(name, []).append(seconds)
    print(f"{'assets':34}" + "".join(f"{size:>10,}" for size in SIZES) + "   exponent")
    linear = True
    for name, times in found.items():
        # from the two larger sizes: fixed costs rule the small one
        exponent = math.log(times[-1] / times[-2]) / math.log(SIZES[-1] / SIZES[-2])
        linear &= exponent <= LINEAR
        print(f"{name:34}" + "".join(f"{seconds:10.3f}" for seconds in times) + f"   {exponent:8.2f}")
    return linear


def find_growth(root: Path, size: int) -> dict[str, float]:
    """Return seconds for a manifest of ``size`` assets: plan, batch map afresh and resumed, DVC."""
    params = load_params(ROOT / "params.yaml")
    write_manifest(root, size, params.generate.pair_regimes)
    times: dict[str, float] = {}

    def plan() -> list[object]:
        assets = read_assets(root)
        return list(plan_generations(params, assets, read_conditions(root, assets)))

    items = plan()
    # it computes only: processor time, which other work on the machine does not lengthen
    times["read manifests, plan generations"] = min(measure_time(plan, time.process_time) for _ in range(3))
    work = root / "work"
    work.mkdir()

    def run() -> None:
        run_batches(items, lambda: make_record, Number, folder=work, batch_size=8, description="batches")

    times["map over batches, doing nothing"] = measure_time(run)
    times["the same, all done before"] = measure_time(run)
    environment = make_project_environment(root)
    (root / ".dvc").mkdir()
    shutil.copyfile(ROOT / ".dvc/config", root / ".dvc/config")
    (root / "stage.py").write_text(STAGE)
    chain = {"cmd": f"python stage.py {size}", "deps": ["stage.py"], "outs": ["data/assets"]}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"assets": chain}}))
    times["dvc repro, making and storing"] = measure_time(lambda: call(DVC, root, environment))
    times["dvc repro, nothing to do"] = measure_time(lambda: call(DVC, root, environment))
    (root / "dvc.lock").unlink()
    shutil.rmtree(root / "data/assets")
    times["dvc repro, restoring"] = measure_time(lambda: call(DVC, root, environment))
    return times


class Number(RecordPart):
    """The number of an item."""

    item: int


def make_record(items: Sequence[object], folder: Path) -> list[Number]:
    """Stand for a worker: one record an item, no file."""
    return [Number(item=number) for number, _ in enumerate(items)]


def write_manifest(root: Path, size: int, regimes: tuple[str, ...]) -> None:
    assets, conditions = [], []
    for number in range(size):
        category = list(CATEGORIES)[number % len(CATEGORIES)]
        name, split = f"{category}-{number:05d}", ("train", "train", "heldout")[number % 3]
        picture = f"data/assets/conditions/{name}.png"
        mesh = f"data/assets/meshes/{name}.glb"
        assets.append({"id": name, "category": category, "split": split, "mesh": mesh, "condition": picture})
        for regime in {*regimes, "severe", "medium", "mild"}:
            image = f"data/degrade/images/{regime}/{name}.png"
            conditions.append({"asset": name, "split": split, "regime": regime, "image": image})
    write_jsonl(root / "data/assets/assets.jsonl", assets)
    write_jsonl(root / "data/degrade/conditions.jsonl", conditions)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--growth", action="store_true", help="only growth")
    parser.add_argument("--overhead", action="store_true", help="only overhead")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    good = True
    with tempfile.TemporaryDirectory(prefix="verdict3d-") as folder:
        if not arguments.overhead:
            good &= measure_growth(Path(folder))
        if not arguments.growth:
            good &= measure_overhead(Path(folder), arguments.repetitions)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
