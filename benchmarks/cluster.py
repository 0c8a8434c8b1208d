"""What a Ray cluster costs and survives, on pretended nodes of this machine.

    python -m benchmarks.cluster overhead   # a stage of batches that wait: processes, then 1, 2 and 4 nodes
    python -m benchmarks.cluster kills      # `verdict3d run --preset quick` with a node killed every 20 s
    python -m benchmarks.cluster driver     # what giving out 1,000 to 100,000 batches costs the stage

Nodes are Ray's own processes on loopback, with a token. `overhead` has four workers throughout, so that only
who gives out the batches differs. `kills` makes the run once undisturbed in processes, and compares the
digests of all outputs (`dvc.lock`).
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
from typing import Any

from flows.chain.environment import make_project_environment
from tasks.making.batches import run_batches
from tasks.making.crew import Crew, Event, Place, Sharing
from tasks.making.executors import EXECUTOR
from tasks.making.machine import WORKERS
from verdict3d.records.record import RecordPart

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from support.ray_cluster import add_node, ray_cluster, remove_nodes  # noqa: E402

SLOTS = 4
KILL_S = 20.0


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


def time_stage(folder: Path, batches: int, seconds: float) -> tuple[float, float]:
    """Return the seconds of a stage of waiting batches, and its own processor time for each, in ms."""
    folder.mkdir()
    start, own = time.perf_counter(), time.process_time()
    run_batches(
        range(batches), partial(Waiter, seconds), Piece, folder=folder, batch_size=1, description=folder.name
    )
    return time.perf_counter() - start, (time.process_time() - own) / batches * 1000


def measure_overhead(folder: Path, batches: int, seconds: float) -> None:
    """Print what the same stage takes in processes, and on clusters of one, two and four nodes."""
    os.environ[WORKERS] = str(SLOTS)
    ideal_s = batches * seconds / SLOTS
    print(f"{batches} batches of {seconds} s, {SLOTS} workers: {ideal_s:.0f} s of waiting", flush=True)
    os.environ[EXECUTOR] = "processes"
    alone_s, own_ms = time_stage(folder / "processes", batches, seconds)
    print(f"| processes | {alone_s:.1f} s | | {own_ms:.1f} ms |", flush=True)
    os.environ[EXECUTOR] = "ray"
    with ray_cluster() as cluster:
        for count in (1, 2, 4):
            for _ in range(count):
                add_node(cluster, num_cpus=SLOTS // count)
            taken_s, own_ms = time_stage(folder / f"{count} nodes", batches, seconds)
            more = f"{taken_s / alone_s - 1:+.1%}"
            print(f"| {count} nodes | {taken_s:.1f} s | {more} | {own_ms:.1f} ms |", flush=True)
            remove_nodes(cluster)


def copy_project(into: Path) -> Path:
    """Copy what git knows of this project."""
    for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, into / name)
    return into


def start_run(project: Path, executor: str) -> subprocess.Popen[bytes]:
    """Start the quick preset in a copy of the project."""
    left_out = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL")
    own = {name: text for name, text in make_project_environment(project).items() if name not in left_out}
    own |= {EXECUTOR: executor, WORKERS: "2"}
    own["PYTHONPATH"] = os.pathsep.join([str(project), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "verdict3d", "run", "--preset", "quick"]
    with (project / "run.log").open("wb") as log:
        return subprocess.Popen(command, cwd=project, env=own, stdout=log, stderr=log)


def read_lock(project: Path) -> bytes:
    """Return the digests of everything that the run read and wrote."""
    return (project / ".verdict3d/presets/quick/dvc.lock").read_bytes()


def measure_kills(folder: Path) -> bool:
    """Kill a node every 20 s of a quick run, start another one, and compare with an undisturbed run."""
    whole, killed = copy_project(folder / "whole"), copy_project(folder / "killed")
    start = time.perf_counter()
    if start_run(whole, "processes").wait() != 0:
        sys.exit((whole / "run.log").read_text()[-3000:])
    print(f"undisturbed, in processes: {time.perf_counter() - start:.0f} s", flush=True)
    kills = 0
    with ray_cluster(killed) as cluster:
        add_node(cluster, num_cpus=1)
        add_node(cluster, num_cpus=1)
        start = time.perf_counter()
        run = start_run(killed, "ray")
        while run.poll() is None:
            try:
                run.wait(KILL_S)
            except subprocess.TimeoutExpired:
                cluster.remove_node(min(cluster.worker_nodes, key=id), allow_graceful=False)
                kills += 1
                add_node(cluster, num_cpus=1)
        if run.returncode != 0:
            sys.exit((killed / "run.log").read_text()[-3000:])
    same, taken_s = read_lock(whole) == read_lock(killed), time.perf_counter() - start
    print(f"on Ray, {kills} nodes killed: {taken_s:.0f} s; {'same' if same else 'OTHER'} bytes", flush=True)
    return same


class Simulated(Crew):
    """A thousand places that finish at once what they are given."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.events: deque[Event] = deque()

    def recruit(self, batches: int) -> None:
        while len(self.places) < min(self.count, batches):
            self.places.append(Place(f"place {len(self.places)}"))
            self.events.append(Event(self.places[-1], "ready", machine={}))

    def give(self, place: Place, number: int, task: Any) -> None:
        self.events += [Event(place, "begun", number), Event(place, "finished", number)]

    def listen(self, seconds: float) -> list[Event]:
        return [self.events.popleft() for _ in range(min(8, len(self.events)))]

    def end(self, place: Place) -> None:
        self.places.remove(place)

    def dismiss(self) -> list[BaseException]:
        return []

    def leave(self) -> None:
        pass


def measure_driver(places: int) -> None:
    """Print what giving out batches costs, beside the batches themselves."""
    print(f"{places} places\n| batches | processor time | a batch | memory of its own |\n|---|---|---|---|")
    for count in (1_000, 10_000, 100_000):
        tasks = [((number,), Path(f"{number:06d}")) for number in range(count)]
        start = time.process_time()
        assert sum(Sharing(Simulated(places), tasks, lambda machine, name: None).run()) == count
        taken_s = time.process_time() - start
        tracemalloc.start()
        deque(Sharing(Simulated(places), tasks, lambda machine, name: None).run(), maxlen=0)
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
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    if given.what == "driver":
        measure_driver(given.places)
        return
    with tempfile.TemporaryDirectory(prefix="verdict3d-") as folder:
        if given.what == "overhead":
            measure_overhead(Path(folder), given.batches, given.seconds)
        else:
            sys.exit(0 if measure_kills(Path(folder)) else 1)


if __name__ == "__main__":
    main()
