"""The table of all arms, in shares of a few minutes that use a whole machine, resume and merge.

    python -m benchmarks.sweep base  --minutes 9              # assets to labels; again until it says "done"
    python -m benchmarks.sweep arms  --minutes 9 --share 1/3  # every third arm; again until it says "done"
    python -m benchmarks.sweep all   --minutes 9              # one after the other
    python -m benchmarks.sweep table                          # data/table.json, .md and .svg

Works in the preset's own folder (``.verdict3d/presets/sweep``), with the stages that ``verdict3d run
--preset sweep`` runs. ``--workers`` arms run at a time, in the preset's order, each on one of the GPUs; what
each says is in ``logs``. An arm that fails stops no other. What a share leaves unfinished is continued by the
next one with as many workers. Where the driver has it, start ``nvidia-cuda-mps-control -d`` first: kernels of
several processes then run side by side on a GPU instead of taking turns. Shares made on several machines
merge by putting their ``data/train`` and ``data/evaluate`` together.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.sweep_table import write_table
from flows.chain.workspace import open_workspace
from tasks.making.machine import WORKERS, list_visible_gpus
from verdict3d.config import Params, load_params
from verdict3d.project import find_project

Step = tuple[str, ...]
"""A stage, and what it is run for."""
Chain = list[Step]
"""Steps that need one another, in order."""

BASE: tuple[tuple[Step, ...], ...] = (
    (("assets",),),
    (("degrade",), ("controls",)),
    (("audit", "training"), ("audit", "evaluation")),
    (("admission",),),
    (("generate",),),
    (("pairs",), ("certify", "training"), ("certify", "evaluation")),
    (("label",),),
    (("preflight",),),
)
"""What all arms share; each row needs the one before."""
PER_GPU = 12
"""Processes that share a GPU: the small networks leave it idle between their launches."""


def make_waves(params: Params, what: str, share: tuple[int, int] = (1, 1)) -> list[list[Chain]]:
    """Return waves of chains: those of one wave may run side by side, each wave needs the ones before."""
    number, count = share
    base = [[[step] for step in row] for row in BASE]
    arms = [[("train", arm), ("evaluate", arm)] for arm in params.train.arms[number - 1 :: count]]
    return {"base": base, "arms": [arms], "all": [*base, arms]}[what]


class Crew:
    """Runs chains side by side until the time is over.

    Args:
        root: Where the stages run.
        workers: Chains at a time.
        minutes: After these, what still runs is killed.
        per_gpu: Processes at a time that share a GPU.
        cores: Cores to use; all, unless given.
    """

    def __init__(
        self, root: Path, workers: int, minutes: float, per_gpu: int = PER_GPU, cores: int | None = None
    ) -> None:
        self.root = root
        self.workers = workers
        self.per_gpu = per_gpu
        self.end = time.monotonic() + 60 * minutes
        self.cores = cores or len(os.sched_getaffinity(0))
        self.gpus = list_visible_gpus()
        self.failed: list[str] = []
        (root / "logs").mkdir(exist_ok=True)

    def run(self, chains: Sequence[Chain]) -> bool:
        """Run what is left of the chains; return whether all of it is done."""
        left = [steps for chain in chains if (steps := [step for step in chain if not self.is_done(step)])]
        self.unfinished = len(left)
        places: queue.Queue[int] = queue.Queue()
        for place in range(self.workers):
            places.put(place)

        def run_chain(chain: Chain) -> bool:
            place = places.get()
            try:
                return all(self.run_step(step, place) for step in chain)
            finally:
                self.unfinished -= 1
                places.put(place)

        with ThreadPoolExecutor(self.workers) as threads:
            futures = [threads.submit(run_chain, chain) for chain in left]
            try:
                return sum(not future.result() for future in futures) == 0
            except BaseException:
                self.end = 0.0
                raise

    def is_done(self, step: Step) -> bool:
        """Say whether a step's outputs are complete."""
        return self.root.joinpath("data", *step, "metrics.json").exists()

    def run_step(self, step: Step, place: int) -> bool:
        """Run one step at a place (a GPU and a share of the cores); return whether it succeeded."""
        start, name = time.monotonic(), " ".join(step)
        if start > self.end:
            return False
        with (self.root / "logs" / f"{'-'.join(step)}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"tasks.{step[0]}", *step[1:]],
                cwd=self.root,
                env=self.environment(place),
                stdout=log,
                stderr=log,
                process_group=0,
            )
            while process.poll() is None and time.monotonic() < self.end:
                time.sleep(0.1)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                print(f"{name}: time is over; it goes on from its last batch next time", flush=True)
                return False
        word = "FAILED" if process.returncode else "done"
        print(f"{name}: {word} after {time.monotonic() - start:.0f} s", flush=True)
        if process.returncode:
            self.failed.append(name)
            print(Path(log.name).read_text(errors="replace")[-1500:], flush=True)
        return process.returncode == 0

    def environment(self, place: int) -> dict[str, str]:
        """Return what tells a stage its share of the machine.

        Threads are the same for every step, since unfinished work of another number of them is not continued.
        A stage's processes do not matter to it, so few chains take more; on a CPU no more than have a core.
        """
        side_by_side = max(1, min(self.unfinished, self.workers))
        threads = max(1, self.cores // self.workers)
        processes = min(self.cores, self.per_gpu * len(self.gpus)) if self.gpus else self.cores // threads
        own = {
            "OMP_NUM_THREADS": str(threads),
            WORKERS: str(max(1, processes // side_by_side)),
        }
        if self.gpus and side_by_side > 1:
            own["CUDA_VISIBLE_DEVICES"] = self.gpus[place % len(self.gpus)]
        return {**os.environ, **own}


def main() -> None:
    """Run one share, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("base", "arms", "all", "table"))
    parser.add_argument("--preset", default="sweep")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--share", default="1/1", help="which of how many, such as 2/3")
    parser.add_argument("--workers", type=int, default=1, help="arms at a time")
    parser.add_argument("--per-gpu", type=int, default=PER_GPU, help="processes that share a GPU")
    parser.add_argument("--cores", type=int, help="to use, where the machine has more than are ours")
    given = parser.parse_args()
    workspace = open_workspace(find_project(), given.preset)
    params: Any = load_params(workspace.root / "params.yaml")
    if given.what == "table":
        print(write_table(workspace.root, params))
        return
    number, count = (int(part) for part in given.share.split("/"))
    crew = Crew(workspace.root, given.workers, given.minutes, given.per_gpu, given.cores)
    whole = all(crew.run(chains) for chains in make_waves(params, given.what, (number, count)))
    if crew.failed:
        print(f"failed: {', '.join(crew.failed)}; see {workspace.root / 'logs'}", flush=True)
    print("done" if whole else "not done yet: the same command again", flush=True)
    sys.exit(0 if whole else 3)


if __name__ == "__main__":
    main()
