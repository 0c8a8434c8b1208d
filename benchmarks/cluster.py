"""What a Ray cluster costs and survives, on pretended nodes of this machine.

    python -m benchmarks.cluster overhead   # a stage of batches that wait: processes, then 1, 2 and 4 nodes
    python -m benchmarks.cluster kills      # `verdict3d run --preset quick` with a node killed every 20 s
    python -m benchmarks.cluster driver     # what giving out 1,000 to 100,000 batches costs the stage

Nodes are Ray's own processes on loopback, with a token. `overhead` has four workers throughout, so that only
who gives out the batches differs. `kills` makes the run once undisturbed in processes, and compares the
digests of all outputs (`dvc.lock`); `--of generate` runs that stage alone, `--few` has eight objects
and few controls.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import yaml

from flows.chain.environment import make_project_environment
from flows.chain.workspace import open_workspace
from tasks.making.batches import run_batches
from tasks.making.crew import Sharing
from tasks.making.executors import EXECUTOR
from tasks.making.machine import WORKERS
from verdict3d.provenance import digest_directory
from verdict3d.records.record import RecordPart
from verdict3d.run_keys import run_key

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from support.instant_crew import InstantCrew  # noqa: E402
from support.ray_cluster import add_node, ray_cluster, remove_nodes  # noqa: E402

SLOTS = 4
FEW = {
    "assets": {"train": 4, "validation": 2, "heldout": 2},
    "audit": {"rows_per_defect": 1, "compared": 4, "copies": 2, "coloured": 2, "allow_uncertified": True},
    "train": {"conditioner_repair": {"steps": 4, "checkpoint_every": 2}},
}
"""A preset over `quick`, for a busy machine."""


class Piece(RecordPart):
    """What a batch becomes: a file."""

    item: int


class Waiter:
    """Waits as long as networks would take, and writes a file of 1 MiB.

    Args:
        seconds: What a batch takes.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, items: Sequence[int], folder: Path) -> list[Piece]:
        time.sleep(self.seconds)
        (folder / "file.bin").write_bytes(bytes([items[0] % 256]) * 2**20)
        return [Piece(item=item) for item in items]


def time_stage(folder: Path, batches: int, seconds: float) -> tuple[float, float, float]:
    """Return seconds until the first of some waiting batches, from there to the last, and of the stage's own.

    The last are processor time.
    """
    folder.mkdir()
    start, own = time.time(), time.process_time()
    run_batches(
        range(batches), partial(Waiter, seconds), Piece, folder=folder, batch_size=1, description=folder.name
    )
    ends = [path.stat().st_mtime for path in folder.glob("*/records.json")]
    return min(ends) - start, max(ends) - min(ends), time.process_time() - own


def measure_overhead(folder: Path, batches: int, seconds: float) -> None:
    """Print what the same stage takes in processes, and on clusters of one, two and four nodes."""
    os.environ[WORKERS] = str(SLOTS)
    print(f"{batches} batches of {seconds} s, {SLOTS} workers: {batches * seconds / SLOTS:.0f} s of waiting")
    print("| where | first batch | to the last | against processes | own processor time |")
    os.environ[EXECUTOR] = "processes"
    alone = time_stage(folder / "processes", batches, seconds)
    print(f"| processes | {alone[0]:.1f} s | {alone[1]:.1f} s | | {alone[2]:.1f} s |", flush=True)
    os.environ[EXECUTOR] = "ray"
    with ray_cluster() as cluster:
        for count in (1, 2, 4):
            for _ in range(count):
                add_node(cluster, num_cpus=SLOTS // count)
            first_s, rest_s, own_s = time_stage(folder / f"{count} nodes", batches, seconds)
            more = f"{rest_s / alone[1] - 1:+.1%}"
            print(
                f"| {count} nodes | {first_s:.1f} s | {rest_s:.1f} s | {more} | {own_s:.1f} s |", flush=True
            )
            remove_nodes(cluster)


def copy_project(into: Path) -> Path:
    """Copy what git knows of this project, and add the preset of few objects."""
    for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, into / name)
    (into / "presets/few.yaml").write_text(yaml.safe_dump(FEW))
    return into


def start_run(project: Path, executor: str, what: str, preset: str) -> subprocess.Popen[bytes]:
    """Start the preset, or a stage of it alone, in a copy of the project."""
    left_out = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL")
    own = {name: text for name, text in make_project_environment(project).items() if name not in left_out}
    own |= {EXECUTOR: executor, WORKERS: "2"}
    own["PYTHONPATH"] = os.pathsep.join([str(project), os.environ.get("PYTHONPATH", "")])
    run = [sys.executable, "-m", "verdict3d", "run", "--preset", preset]
    command = run if what == "run" else [sys.executable, "-m", f"tasks.{what}"]
    cwd = project if what == "run" else open_workspace(project, preset).root
    with (project / "run.log").open("ab") as log:
        return subprocess.Popen(command, cwd=cwd, env=own, stdout=log, stderr=log)


def digest_results(project: Path, what: str, preset: str) -> str:
    """Return one digest of all that was written."""
    root = open_workspace(project, preset).root
    return run_key(root) or "nothing" if what == "run" else digest_directory(root / "data" / what)


def measure_kills(folder: Path, what: str, preset: str, every_s: float) -> bool:
    """Kill nodes while batches are made, start others, and compare with an undisturbed run."""
    whole, killed = copy_project(folder / "whole"), copy_project(folder / "killed")
    for project in (whole, killed):
        for stage in ("assets", "degrade") if what != "run" else ():
            finish(start_run(project, "here", stage, preset), project)
    start = time.perf_counter()
    finish(start_run(whole, "processes", what, preset), whole)
    print(f"undisturbed, in two processes: {time.perf_counter() - start:.0f} s", flush=True)
    kills = 0
    with ray_cluster(killed) as cluster:
        add_node(cluster, num_cpus=1)
        add_node(cluster, num_cpus=1)
        start = time.perf_counter()
        run = start_run(killed, "ray", what, preset)
        while run.poll() is None:
            try:
                run.wait(every_s)
            except subprocess.TimeoutExpired:
                cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
                kills += 1
                add_node(cluster, num_cpus=1)
        finish(run, killed)
    same = digest_results(whole, what, preset) == digest_results(killed, what, preset)
    taken_s = time.perf_counter() - start
    print(f"on Ray, {kills} nodes killed: {taken_s:.0f} s; {'same' if same else 'OTHER'} bytes", flush=True)
    return same


def finish(run: subprocess.Popen[bytes], project: Path) -> None:
    """Wait for a run; end with what it said where it failed."""
    if run.wait() != 0:
        sys.exit((project / "run.log").read_text(errors="replace")[-3000:])


def measure_driver(places: int) -> None:
    """Print what giving out batches costs, beside the batches themselves."""
    print(f"{places} places\n| batches | processor time | a batch | memory of its own |\n|---|---|---|---|")
    for count in (1_000, 10_000, 100_000):
        tasks = [((number,), Path(f"{number:06d}")) for number in range(count)]
        start = time.process_time()
        assert sum(Sharing(InstantCrew(places), tasks, lambda machine, name: None).run()) == count
        taken_s = time.process_time() - start
        tracemalloc.start()
        deque(Sharing(InstantCrew(places), tasks, lambda machine, name: None).run(), maxlen=0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        cost = f"{taken_s:.2f} s | {taken_s / count * 1e6:.0f} µs | {peak / 2**20:.1f} MiB"
        print(f"| {count:,} | {cost} |", flush=True)


def main() -> None:
    """Measure one thing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("overhead", "kills", "driver"))
    parser.add_argument("--batches", type=int, default=480)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a batch")
    parser.add_argument("--places", type=int, default=1000)
    parser.add_argument("--of", choices=("run", "generate"), default="run", help="what nodes are killed of")
    parser.add_argument("--few", action="store_true", help="fewer objects and controls")
    parser.add_argument("--every", type=float, default=20.0, help="seconds between two kills")
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    if given.what == "driver":
        measure_driver(given.places)
        return
    with tempfile.TemporaryDirectory(prefix="verdict3d-") as folder:
        if given.what == "overhead":
            measure_overhead(Path(folder), given.batches, given.seconds)
        else:
            preset = "quick+few" if given.few else "quick"
            sys.exit(0 if measure_kills(Path(folder), given.of, preset, given.every) else 1)


if __name__ == "__main__":
    main()
