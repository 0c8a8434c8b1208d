"""Embedded judges on this machine: `python -m benchmarks.judge`, `--growth 20000` for many verdicts.

Speed: montages drawn, and two-order verdicts of both shipped judges on pictures not seen before. Growth:
verdicts on remembered montages through the verdict store, time and resident memory on the way, the time also
in units of what the judge alone takes for the same 64 pairs again and again, so that a machine whose speed
changes does not look like growth. Wall and CPU time are both printed; on a machine with other work set
OMP_NUM_THREADS=1 and compare the second.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from itertools import combinations, cycle, islice
from pathlib import Path

import numpy as np
import torch

from verdict3d.config import load_params
from verdict3d.furniture.catalogue import CATEGORIES, make_furniture
from verdict3d.furniture.part_mesh import mesh_from_parts
from verdict3d.judge.loading import load_judge
from verdict3d.judge.local.vlm import TransformersJudge
from verdict3d.judge.panel import PairRequest, Panel, make_picture
from verdict3d.judge.store import VerdictStore
from verdict3d.randomness import numpy_generator
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera

MONTAGES = 64
SHARE, SAME = 200, 64
"""Verdicts asked before the judge alone is timed again, and the pairs it is timed with."""


class Stopwatch:
    """Wall and CPU seconds since the last look."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def lap(self) -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        passed = (wall - self._wall, cpu - self._cpu)
        self._wall, self._cpu = wall, cpu
        return passed


def read_resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def draw(count: int, purpose: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Return montages of different pieces of furniture, and a reference picture."""
    renderer, montages = Renderer(), []
    for number in range(count):
        category = CATEGORIES[number % len(CATEGORIES)]
        mesh = mesh_from_parts(make_furniture(category, numpy_generator(0, purpose, number)))
        montages.append(renderer.montage(mesh))
    reference = renderer.condition(mesh, Camera(30.0, 20.0), 256)
    return montages, make_picture(np.ascontiguousarray(reference[..., :3]))


def measure_speed(pairs: int) -> None:
    watch = Stopwatch()
    montages, reference = draw(2 * pairs, "speed")
    wall, cpu = watch.lap()
    each, cpu_each = 1e3 * wall / len(montages), 1e3 * cpu / len(montages)
    print(f"draw {len(montages)} montages with their meshes: {each:.1f} ms each ({cpu_each:.1f} CPU)")
    judges = load_params("params.yaml").judges
    for params in (judges.training, judges.evaluation):
        judge = load_judge(params, Path())
        sides = list(zip(montages[::2], montages[1::2], strict=True))
        requests = [PairRequest.of(Panel(reference, *side), "x", "y", "rig") for side in sides]
        judge.compare(requests[: params.batch_size])
        judge = TransformersJudge.from_pretrained(params, Path())
        watch.lap()
        judge.compare(requests)
        wall, cpu = watch.lap()
        print(
            f"{params.model}: {pairs / wall:.1f} verdicts/s, {1e3 * wall / pairs:.1f} ms each "
            f"({1e3 * cpu / pairs:.1f} CPU), {torch.get_num_threads()} threads"
        )


def measure_growth(total: int) -> None:
    """Ask for ``total`` verdicts and print cost and memory on the way."""
    params = load_params("params.yaml").judges.evaluation
    judge = load_judge(params, Path())
    with tempfile.TemporaryDirectory() as folder:
        store = VerdictStore(Path(folder) / "verdicts.db")
        montages, reference = draw(MONTAGES, "growth")
        requests = (
            PairRequest.of(Panel(reference, *pair), f"{number}x", f"{number}y", "rig")
            for number, pair in enumerate(cycle(combinations(montages, 2)))
        )
        same = list(islice(requests, SAME))
        for warm_up in (same, islice(requests, SHARE)):
            store.ask(judge, warm_up)
        watch, done = Stopwatch(), 0
        for mark in write_marks(total):
            asked, alone = np.zeros(2), np.zeros(2)
            for _ in range(done, mark, SHARE):
                store.ask(judge, islice(requests, SHARE))
                asked += watch.lap()
                judge.compare(same)
                alone += watch.lap()
            wall, cpu = 1e3 * asked / (mark - done)
            rounds = (mark - done) // SHARE
            print(
                f"{mark:6d} verdicts: the last {mark - done} took {wall:.2f} ms each ({cpu:.2f} CPU), "
                f"{wall / (1e3 * alone[0] / rounds / SAME):.3f} of the judge alone, "
                f"{read_resident_mib():.0f} MiB resident, "
                f"{store.path.stat().st_size / 2**20:.1f} MiB on disk",
                flush=True,
            )
            done = mark
        watch.lap()
        again = VerdictStore(store.path)
        print(f"read back {len(again.rows())} verdicts in {watch.lap()[0]:.2f} s")


def write_marks(total: int) -> list[int]:
    """Return where to look: after the first share and ten times, in whole shares."""
    tenths = (total * part // (10 * SHARE) for part in range(1, 11))
    return sorted({SHARE, *(SHARE * tenth for tenth in tenths if tenth)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=96)
    parser.add_argument("--growth", type=int, default=0)
    given = parser.parse_args()
    if given.pairs:
        measure_speed(given.pairs)
    if given.growth:
        measure_growth(given.growth)


if __name__ == "__main__":
    main()
