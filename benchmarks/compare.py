"""What `verdict3d compare` costs, by pairs: `python -m benchmarks.compare 30 50 500 5000`.

Furniture, whole and with missing parts, as photos and two folders of GLB files; each number of pairs is
compared by the embedded evaluation judge in a process of its own, with nothing drawn or asked before, and
once more with everything on record. The baseline is `verdict3d judge`, one process a pair, as it was done
before there was a command for folders: measured on a few pairs and multiplied. Seconds of a processor are
those of all threads; `OMP_NUM_THREADS` limits them. With `--distinct N` the objects repeat after N under
other names: what grows is then the reading, the bookkeeping and the page, not the drawing and judging. Ends
with the load that the machine had beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from verdict3d.furniture.catalogue import CATEGORIES, make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.mesh.damage import damage
from verdict3d.mesh.files import write_mesh
from verdict3d.mesh.mesh import normalize
from verdict3d.pretrain.rows import draw_camera
from verdict3d.randomness import numpy_generator
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Rig

ROOT = Path(__file__).resolve().parents[1]
PHOTO_PX = 256
WHOLE, WORSE, PHOTOS = "whole", "worse", "photos"
BASELINE_PAIRS = 3
LINKED = ("params.yaml", "dvc.yaml", "tasks", "verdict3d", "flows", "data/checkpoints")


@dataclass(frozen=True)
class Cost:
    """What a process took.

    Attributes:
        seconds: From start to end.
        processor: Seconds of a processor, of it and its children.
        peak_mib: Largest memory of one of its processes.
    """

    seconds: float
    processor: float
    peak_mib: float


def write_folders(folder: Path, pairs: int) -> None:
    """Write photos and both folders of meshes of so many objects, in as many processes as there are cores."""
    for name in (WHOLE, WORSE, PHOTOS):
        (folder / name).mkdir(parents=True, exist_ok=True)
    progress = tqdm(total=pairs, desc="write meshes", unit="object", mininterval=1.0)
    with progress, ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for _ in pool.map(partial(_write_object, folder), range(pairs), chunksize=8):
            progress.update()


@lru_cache(maxsize=1)
def _make_renderer() -> Renderer:
    return Renderer(Rig())


def _write_object(folder: Path, number: int) -> None:
    rng = numpy_generator(0, "compare_benchmark", number)
    mesh = normalize(mesh_from_parts(make_furniture(CATEGORIES[number % len(CATEGORIES)], rng)))
    name = f"object{number:05d}"
    picture = _make_renderer().condition(mesh, draw_camera(rng), PHOTO_PX)
    Image.fromarray(picture).save(folder / PHOTOS / f"{name}.png")
    write_mesh(mesh, folder / WHOLE / f"{name}.glb")
    write_mesh(damage(mesh, "missing_parts", 3, rng), folder / WORSE / f"{name}.glb")


def measure(command: list[str], project: Path) -> tuple[Cost, str]:
    """Run a command of ours in a project; return what it took and what it printed."""
    waiter = (
        "import json, resource, subprocess, sys, time\n"
        "start = time.perf_counter()\n"
        "done = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, text=True, check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "cost = [time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]\n"
        "json.dump([cost, done.stdout], open(sys.argv[1], 'w'))\n"
    )
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        program = [sys.executable, "-m", "verdict3d", *command]
        subprocess.run(
            [sys.executable, "-c", waiter, result.name, *program],
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
        )
        cost, printed = json.loads(Path(result.name).read_text())
    return Cost(*cost), printed


def make_project(folder: Path) -> Path:
    """Make a project with nothing drawn, asked or audited."""
    for name in LINKED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    return folder


def compare(data: Path, pairs: int, project: Path, distinct: int) -> tuple[Cost, float]:
    """Compare the first objects, which repeat after ``distinct``.

    Returns:
        The cost, and the half-credit of the whole meshes.
    """
    chosen = project / f"first-{pairs}"
    for name in (WHOLE, WORSE, PHOTOS):
        if not (chosen / name).is_dir():
            (chosen / name).mkdir(parents=True)
            files = sorted((data / name).iterdir())[:distinct]
            for number in range(pairs):
                path = files[number % len(files)]
                (chosen / name / f"object{number:05d}{path.suffix}").symlink_to(path)
    folders = [str(chosen / name) for name in (WHOLE, WORSE)]
    command = ["compare", *folders, "--photos", str(chosen / PHOTOS), "-o", str(chosen / "page"), "--json"]
    cost, printed = measure(command, project)
    return cost, json.loads(printed)["duels"][0]["summary"]["half_credit"]["value"]


def run_apart(data: Path, project: Path) -> Cost:
    """Judge a few pairs with `verdict3d judge`; return the mean cost of one."""
    costs = []
    for number in tqdm(range(BASELINE_PAIRS), desc="baseline", unit="pair"):
        name = f"object{number:05d}"
        meshes = [str(data / side / f"{name}.glb") for side in (WHOLE, WORSE)]
        reference = ["--reference", str(data / PHOTOS / f"{name}.png")]
        costs.append(measure(["judge", *meshes, *reference, "--json"], project)[0])
    return Cost(
        sum(cost.seconds for cost in costs) / len(costs),
        sum(cost.processor for cost in costs) / len(costs),
        max(cost.peak_mib for cost in costs),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=int, nargs="+", help="Numbers of pairs.")
    parser.add_argument("--keep", type=Path, help="Folder for the meshes, which a later call uses again.")
    parser.add_argument("--distinct", type=int, help="Objects after which they repeat.")
    given = parser.parse_args()
    objects = min(given.distinct or max(given.pairs), max(given.pairs))
    with tempfile.TemporaryDirectory() as temporary:
        data = given.keep or Path(temporary, "data")
        if len(list((data / WHOLE).glob("*.glb"))) < objects:
            shutil.rmtree(data, ignore_errors=True)
            write_folders(data, objects)
        baseline = run_apart(data, make_project(Path(temporary, "baseline")))
        columns = ("pairs", "seconds", "of a processor", "ms a pair", "peak MiB", "again, s", "baseline, s")
        print(f"| {' | '.join(columns)} |")
        print("|---|---|---|---|---|---|---|")
        for pairs in given.pairs:
            project = make_project(Path(temporary, f"project-{pairs}"))
            first, half = compare(data, pairs, project, objects)
            again, same = compare(data, pairs, project, objects)
            assert half == same
            each = 1000 * first.processor / pairs
            cells = [f"{pairs}", f"{first.seconds:.1f}", f"{first.processor:.1f}", f"{each:.0f}"]
            cells += [f"{first.peak_mib:.0f}", f"{again.seconds:.1f}", f"{pairs * baseline.processor:.0f}"]
            print(f"| {' | '.join(cells)} |", flush=True)
            shutil.rmtree(project)
        print(
            f"baseline: {baseline.seconds:.1f} s a pair, {baseline.processor:.1f} s of a processor, "
            f"{baseline.peak_mib:.0f} MiB"
        )
        print("load of the last 1, 5 and 15 minutes:", *(f"{load:.1f}" for load in os.getloadavg()))


if __name__ == "__main__":
    main()
