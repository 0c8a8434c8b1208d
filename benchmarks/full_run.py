"""`verdict3d run --preset full` as a whole, random weights: undisturbed, then killed twice.

`python -m benchmarks.full_run --into FOLDER` writes a generator and judges of the released architectures as
`benchmarks.full_chain` does, and a project of links to this checkout, whose preset `rehearsal` names them and
a few objects. There it calls `verdict3d run --preset full+rehearsal`, with Prefect, DVC and MLflow, and keeps
`dvc.lock` and the report. Then everything from `generate` on is forgotten: outputs, what DVC recorded of
them, unfinished batches, verdicts; compiled kernels stay. The run starts again and is killed (SIGKILL of all
its processes) when `generate` has finished a batch, again at the first checkpoint of `train`, and is then
left alone.

Prints the seconds of each stage, the share of the time in which kernels ran, the same between the first and
the last finished batch, and whether every output has the digest of the undisturbed run; `full_run.json` has
the same. `--tiny` makes small copies of the networks, for a CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
import yaml

from benchmarks.full_chain import (
    ARM,
    ROOT,
    STAGES,
    Cards,
    Use,
    make_changes,
    measure_busy,
    run_apart,
    sampled,
    write_models,
)
from flows.chain.environment import make_project_environment
from flows.chain.workspace import link_project, open_workspace, overlay
from verdict3d.project import REPORT, STATE_FOLDER, Workspace

REHEARSAL = "rehearsal"
TRAINING = {"steps": 200, "checkpoint_every": 20}
"""Long enough to be killed after a checkpoint."""
POLL_S = 0.05
KILLS = {
    "generate": "generate/*/[0-9]*/records.json",
    f"train@{ARM}": f"train/{ARM}/**/checkpoint.safetensors",
}
"""Where a run is killed, and the unfinished work that has to be there first."""
BATCHES = "**/[0-9]*/records.json"
_ENDED = re.compile(r"^(\S+) +(ran|restored|up to date) \(([0-9.]+) s\)$")


@dataclass
class Stage:
    """What a run said of one stage.

    Attributes:
        stage: Its name.
        outcome: ``ran``, ``restored`` or ``up to date``.
        seconds: Wall time, DVC included.
        gpu_busy: Share of that time in which kernels ran, in [0, 1]; None without a GPU.
        busy_between: The same from its first finished batch to its last; None with fewer than two.
        batches: How many batches it finished in this run.
    """

    stage: str
    outcome: str
    seconds: float
    gpu_busy: float | None = None
    busy_between: float | None = None
    batches: int = 0


@dataclass
class Run:
    """One call of ``verdict3d run``.

    Attributes:
        name: What it was called for.
        seconds: Until it ended.
        status: Exit status; negative where it was killed.
        left: Processes of it that outlived it.
        gpu_gib: Largest memory in use on one GPU, GiB; None without a GPU.
        host_gib: Largest memory of one process without pages of files, GiB.
        stages: Those that ended well.
    """

    name: str
    seconds: float
    status: int
    left: int
    gpu_gib: float | None
    host_gib: float
    stages: list[Stage] = field(default_factory=list)


def write_project(folder: Path, models: Path, objects: Sequence[int], tiny: bool) -> Workspace:
    """Write a project of links to this checkout with the preset; return where its run takes place."""
    changes = overlay(make_changes(models, objects, tiny), {"train": {ARM: TRAINING}})
    if tiny:
        changes = overlay(changes, {"generate": {"batch_size": 2}})
    link_project(folder, ROOT)
    for name in ("params.yaml", ".dvc/config", "presets/full.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    (folder / f"presets/{REHEARSAL}.yaml").write_text(yaml.safe_dump(changes, sort_keys=False))
    return open_workspace(folder, REHEARSAL if tiny else f"full+{REHEARSAL}")


def run(name: str, place: Workspace, cards: Cards, kill_at: str | None = None) -> Run:
    """Call ``verdict3d run`` and watch it; what it prints goes to ``<name>.log`` beside the project.

    Args:
        name: What it is called for.
        place: Where it runs.
        cards: The GPUs to watch.
        kill_at: It is killed when unfinished work of this pattern is there.
    """
    environment = {
        variable: value
        for variable, value in make_project_environment(place.project).items()
        if variable not in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL")
    }
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "verdict3d", "run", "--preset", str(place.preset)]
    use, ends = Use(name), list[tuple[float, str]]()
    resume = place.root / STATE_FOLDER / "resume"
    finished, batches = set(resume.glob(BATCHES)), dict[Path, float]()
    start, left = time.perf_counter(), 0
    process = subprocess.Popen(
        command,
        cwd=place.project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with sampled(use, cards), (place.project.parent / f"{name}.log").open("w") as log:
        reader = threading.Thread(target=_read, args=(process, log, ends))
        reader.start()
        while process.poll() is None:
            time.sleep(POLL_S)
            for path in set(resume.glob(BATCHES)) - finished:
                batches.setdefault(path, time.time())
            if kill_at and any(resume.glob(kill_at)):
                left = kill_tree(process)
        reader.join()
    seconds = time.perf_counter() - start
    done = Run(name, seconds, process.returncode, left, use.gpu_gib, use.host_gib)
    done.stages = [stage for at, line in ends if (stage := read_end(at, line, use, batches))]
    return done


def kill_tree(process: subprocess.Popen[str]) -> int:
    """Kill a run with all its processes; return how many of them are still there seconds later."""
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for each in tree:
        with suppress(psutil.Error):
            each.kill()
    process.wait()
    return len(psutil.wait_procs(tree, timeout=10)[1])


def _read(process: subprocess.Popen[str], log: Any, ends: list[tuple[float, str]]) -> None:
    """Copy what a run prints to its log and to ours, and note when it says how a stage ended."""
    assert process.stdout
    with process.stdout as lines:
        for line in lines:
            log.write(line)
            if _ENDED.match(line.rstrip()):
                ends.append((time.time(), line.rstrip()))
                print(line, end="", flush=True)


def read_end(at: float, line: str, use: Use, batches: dict[Path, float]) -> Stage | None:
    """Return what a line says of a stage that ended then, with what the GPU did meanwhile."""
    if not (match := _ENDED.match(line)):
        return None
    stage, outcome, seconds = match[1], match[2], float(match[3])
    place = f"/resume/{stage.replace('@', '/')}/"
    times = sorted(seen for path, seen in batches.items() if place in path.as_posix())

    def measure(begin: float, end: float) -> float | None:
        return measure_busy([cards for seen, cards in use.busy if begin <= seen <= end])

    between = measure(times[0], times[-1]) if len(times) > 1 else None
    return Stage(stage, outcome, seconds, measure(at - seconds, at), between, len(times))


def read_digests(place: Workspace) -> dict[str, str]:
    """Return DVC's digest of every output."""
    stages = yaml.safe_load((place.root / "dvc.lock").read_text())["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}


def forget(place: Workspace) -> None:
    """Forget all from ``generate`` on, as if nothing of it had ever run; compiled kernels stay."""
    path = place.root / "dvc.lock"
    lock = yaml.safe_load(path.read_text())
    for stage in STAGES[STAGES.index("generate") :]:
        for out in lock["stages"].pop(stage.replace(" ", "@"))["outs"]:
            shutil.rmtree(place.root / out["path"])
    path.write_text(yaml.safe_dump(lock, sort_keys=False))
    shutil.rmtree(place.project / ".dvc/cache/runs", ignore_errors=True)
    for state in {place.root / STATE_FOLDER, place.state}:
        shutil.rmtree(state / "resume", ignore_errors=True)
        for store in state.glob("verdicts.db*"):
            store.unlink()


def format_run(done: Run) -> str:
    """Return the table of a run."""

    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.2f}"

    memory = f"GPU {done.gpu_gib:.1f} GiB, " if done.gpu_gib is not None else ""
    head = (
        f"\n{done.name}: {done.seconds:.0f} s, status {done.status}, {done.left} processes left, {memory}"
        f"host {done.host_gib:.1f} GiB\n| stage | outcome | seconds | GPU busy | between | batches |\n"
        "|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {each.stage} | {each.outcome} | {each.seconds:.1f} | {share(each.gpu_busy)} "
        f"| {share(each.busy_between)} | {each.batches or ''} |"
        for each in done.stages
    )


def main(words: Sequence[str] | None = None) -> None:
    """Run undisturbed and killed, and compare; end with status 1 where something is amiss."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--into", type=Path, required=True, help="folder of models, project, logs and figures"
    )
    parser.add_argument("--objects", type=int, nargs=3, default=(4, 2, 4), help="train, validation, held out")
    parser.add_argument("--tiny", action="store_true", help="small copies of the networks")
    options = parser.parse_args(words)
    folder: Path = options.into.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    run_apart(write_models, folder / "models", options.tiny, "cuda" if torch.cuda.is_available() else "cpu")
    print(f"models: {time.perf_counter() - start:.0f} s", flush=True)
    place, cards = (
        write_project(folder / "project", folder / "models", options.objects, options.tiny),
        Cards(),
    )
    found: dict[str, Any] = {"runs": []}

    def take(name: str, kill_at: str | None = None) -> bool:
        done = run(name, place, cards, kill_at)
        found["runs"].append(asdict(done))
        (folder / "full_run.json").write_text(json.dumps(found, indent=2))
        print(format_run(done), flush=True)
        return done.left == 0 and done.status == (-9 if kill_at else 0)

    good = take("undisturbed")
    if good:
        shutil.copyfile(place.root / "dvc.lock", folder / "undisturbed.lock")
        shutil.copytree(place.root / REPORT, folder / "report", dirs_exist_ok=True)
        whole = read_digests(place)
        forget(place)
        good = all(take(f"killed in {stage}", pattern) for stage, pattern in KILLS.items())
        good &= take("left alone")
        other = sorted(path for path, digest in read_digests(place).items() if whole.get(path) != digest)
        found |= {"outputs": len(whole), "other": other}
        (folder / "full_run.json").write_text(json.dumps(found, indent=2))
        said = f"OTHER bytes: {', '.join(other)}" if other else "the same bytes"
        print(f"\n{len(whole)} outputs, killed twice against undisturbed: {said}")
        good &= not other and len(read_digests(place)) == len(whole)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
