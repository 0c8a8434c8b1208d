"""What a second GPU of one machine gives: `python -m benchmarks.two_gpus --into FOLDER`, under 8 minutes.

The embedded generator makes the meshes of `generate`, and those of `evaluate` with the shipped repair as arm,
first on one GPU and then on all that are visible: a process each, as without any setting. Prints seconds with
imports and models, meshes a second once all run, and whether the bytes are the same. `--models FOLDER` takes
the generator of the released size instead, with random weights, which it writes there first, and
`presets/full.yaml`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from benchmarks.full_chain import run_apart, write_generator
from flows.chain.workspace import overlay
from tasks.evaluate import load_contender
from tasks.generate import plan_generations
from tasks.making.generation import generating
from tasks.making.machine import WORKERS, list_visible_gpus
from tasks.making.meetings import plan_arm, select_base_generations
from tasks.paths import EVALUATE, GENERATE, read_assets, read_conditions, read_generations
from verdict3d.asking.preferences import find_adapter_dependencies
from verdict3d.config import load_params
from verdict3d.making.arms import select_arm_params
from verdict3d.making.base import load_base
from verdict3d.project import TRAIN
from verdict3d.provenance import digest_directory

ROOT = Path(__file__).parents[1]
ARM = "conditioner_repair"


def write_project(folder: Path, objects: int, models: Path | None) -> None:
    """Write ``params.yaml`` and the folders that the stages expect."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    if models:
        values = overlay(values, yaml.safe_load((ROOT / "presets/full.yaml").read_text()))
        values["generator"].update(model=str(models / "generator"), conditioner=None)
    values["assets"].update(train=8, validation=2, heldout=objects)
    values["generate"]["pair_assets"] = 4
    values["train"]["arms"] = values["promotion"]["arms"] = [ARM]
    values["train"][ARM].update(steps=4, draws=1, checkpoint_every=4)
    (folder / "data").mkdir(parents=True)
    for name in ("meshes", "generators", "watched", "registry/champion", "loras"):
        (folder / "data" / name).mkdir(parents=True)
    (folder / "data/checkpoints").symlink_to(ROOT / "data/checkpoints")
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def run_part(stage: str) -> None:
    """Make the meshes of one stage in the current folder; print how fast batches came, as JSON."""
    root = Path.cwd()
    params = load_params(root / "params.yaml")
    assets = read_assets(root)
    own: dict[str, Any] = {"params": params, "root": root}
    if stage == "generate":
        items = plan_generations(params, assets, read_conditions(root, assets))
        made = generating(items, partial(load_base, params, root), stage=stage, out=GENERATE, **own)
    else:
        base = select_base_generations(params, read_generations(root))
        items = plan_arm(ARM, base, {one.id: one for one in assets}, select_arm_params(params, ARM))
        made = generating(
            items,
            partial(load_contender, params, root, ARM),
            stage=f"evaluate/{ARM}",
            out=EVALUATE / ARM,
            adapter=find_adapter_dependencies(params, root, root / TRAIN / ARM),
            **own,
        )
    with made:
        ends = sorted(path.stat().st_mtime for path in root.glob(".verdict3d/resume/**/records.json"))
    late = ends[len(ends) // 10 :]  # by then all processes have a model
    rate = (len(late) - 1) / (late[-1] - late[0]) * params.generate.batch_size if len(late) > 1 else None
    print(json.dumps({"meshes": len(items), "meshes_a_second": rate}))


def call(project: Path, arguments: list[str], environment: dict[str, str]) -> tuple[float, str]:
    """Run a module in the project; return the seconds and what it printed last."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)} failed")
    return time.perf_counter() - start, done.stdout.strip().rpartition("\n")[2]


def main() -> None:
    """Prepare, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--into", type=Path, help="folder of the project, emptied first")
    parser.add_argument("--objects", type=int, default=300, help="held-out objects; each is made twice")
    parser.add_argument("--models", type=Path, help="folder of the generator of the released size")
    parser.add_argument("--part", choices=("generate", "evaluate"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        run_part(options.part)
        return
    project: Path = options.into.absolute()
    models: Path | None = options.models and options.models.absolute()
    shutil.rmtree(project, ignore_errors=True)
    if models:
        run_apart(write_generator, models, False, "cuda")
    write_project(project, options.objects, models)
    gpus, cores = list_visible_gpus(), len(os.sched_getaffinity(0))
    alone = {"CUDA_VISIBLE_DEVICES": gpus[0]} if gpus else {}
    helpers = {WORKERS: str(min(cores, 32))}
    for stage in (["tasks.assets"], ["tasks.degrade"], ["tasks.train", ARM]):
        seconds, _ = call(project, stage, alone | (helpers if stage[0] == "tasks.degrade" else {}))
        print(f"{' '.join(stage)}: {seconds:.0f} s", flush=True)
    os.environ.pop(WORKERS, None)
    print(f"\n{len(gpus)} GPUs, {cores} cores\n| stage | GPUs | s | meshes/s once all run | faster | bytes |")
    print("|---|---|---|---|---|---|", flush=True)
    for stage in ("generate", "evaluate"):
        out = project / (GENERATE if stage == "generate" else EVALUATE / ARM)
        rates, digests = [], []
        for count in (1, max(2, len(gpus))):
            environment = alone if count == 1 else {} if gpus else {WORKERS: "2"}
            arguments = ["benchmarks.two_gpus", "--part", stage]
            seconds, said = call(project, arguments, environment)
            rates.append(json.loads(said)["meshes_a_second"] or 0.0)
            digests.append(digest_directory(out))
            faster = f"{rates[-1] / rates[0]:.2f}" if rates[0] else "–"
            same = "same" if digests[-1] == digests[0] else "OTHER"
            print(f"| {stage} | {count} | {seconds:.0f} | {rates[-1]:.2f} | {faster} | {same} |", flush=True)


if __name__ == "__main__":
    main()
