"""The chain at the released size, random weights: what each stage takes, and what a whole run would take.

`python -m benchmarks.full_chain --into FOLDER` writes a generator and judges of the released architectures
with random weights, writes a project that uses them (`params.yaml` with `presets/full.yaml` over it, few
objects), and runs the real stages one after another as DVC would, beside a judge server as in a run; only the
audits load their judges themselves, so that their memory can be seen. `--tiny` makes small copies of the
networks, for a CPU. `--limit SECONDS` begins no stage after that time.

For each stage it prints seconds, the share of the time in which kernels ran (in all, and between the first
and the last call of the networks), the seconds of the networks' own calls, what the same stretch took with
everything around them as a multiple of that, what was not asking (`beside`), memory, and bytes written. Host
memory is that of the largest process without pages of files, which the system can take back. At the end it
projects the chain of the full numbers of objects, and what fits cards of 24 to 140 GiB.

Random weights give empty or huge meshes, so the last bias of the structure decoder is shifted until some 3%
of the voxels are occupied. What a judge or an arm says here means nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
import torch
import yaml

from benchmarks import full_chain_projection, full_size_judges, full_size_trellis
from flows.chain.judge_server import serving_judges
from flows.chain.workspace import overlay
from verdict3d.config import check_params, load_params
from verdict3d.config_generators import SamplerParams
from verdict3d.pretrain.embedded import build_judge
from verdict3d.processes.environment import place_caches, protect_state
from verdict3d.project import STATE_FOLDER
from verdict3d.trellis.networks import Networks
from verdict3d.trellis.pipeline import TrellisPipeline

ROOT = Path(__file__).parents[1]
MIB = 2**20
SAMPLE_S = 0.1
OCCUPIED = 0.03
NETWORKS = {
    "sparse_structure_flow_model": "structure_flow",
    "sparse_structure_decoder": "structure_decoder",
    "slat_flow_model": "latent_flow",
    "slat_decoder_mesh": "mesh_decoder",
}
JUDGES = {"training": "qwen2_5_vl", "evaluation": "internvl"}
ARM = "conditioner_repair"
STAGES = (
    "assets", "degrade", "controls", "audit training", "audit evaluation", "admission", "generate", "pairs",
    "certify training", "certify evaluation", "label", "preflight", f"train {ARM}", f"evaluate {ARM}",
    "challenge", "gate", "report",
)  # fmt: skip


@dataclass
class Use:
    """What a command used, sampled while it ran.

    Attributes:
        stage: Name of the stage.
        seconds: Wall time.
        status: Exit status.
        gpu_busy: Mean share of the time that kernels ran on the busiest GPU, in [0, 1]; None without a GPU.
        gpu_gib: Largest memory in use on one GPU, GiB; None without a GPU.
        host_gib: Largest memory of one process without pages of files, GiB.
        out_mib: Size of what the stage wrote, MiB.
        calls: What the networks did, from :mod:`benchmarks.timed_stage`.
        busy: Seconds of the epoch, and the busy share of each GPU in percent, of each sample.
    """

    stage: str
    seconds: float = 0.0
    status: int = 0
    gpu_busy: float | None = None
    gpu_gib: float | None = None
    host_gib: float = 0.0
    out_mib: float = 0.0
    calls: list[dict[str, Any]] = field(default_factory=list, repr=False)
    busy: list[tuple[float, list[int]]] = field(default_factory=list, repr=False)

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the calls of some kinds."""
        return [call for call in self.calls if call["kind"] in kinds]

    @property
    def networks_s(self) -> float:
        """Seconds in generators and judges; a judge's first call, which loads it, counts as later ones."""
        first, *later = self.of("judge") or [{"items": 0, "begin": 0.0, "end": 0.0}]
        items = sum(call["items"] for call in later)
        asking = sum(call["end"] - call["begin"] for call in later)
        begun = asking / items * first["items"] if items else first["end"] - first["begin"]
        return asking + begun + sum(call["end"] - call["begin"] for call in self.of("generate"))

    @property
    def around(self) -> float | None:
        """Wall time from the first generated batch to the last, as a multiple of the networks' own."""
        _, *later = self.of("generate") or [None]
        if not later:
            return None
        first = self.of("generate")[0]["end"]
        return (later[-1]["end"] - first) / sum(call["end"] - call["begin"] for call in later)

    @property
    def busy_between(self) -> float | None:
        """Share of the time that kernels ran from the first generated batch to the last."""
        calls = self.of("generate")
        if len(calls) < 2:
            return None
        return measure_busy([cards for at, cards in self.busy if calls[0]["end"] <= at <= calls[-1]["end"]])

    def row(self) -> dict[str, Any]:
        """Return the figures and the calls, without the samples."""
        values = {name: value for name, value in asdict(self).items() if name != "busy"}
        return values | {
            "networks_s": self.networks_s,
            "around": self.around,
            "busy_between": self.busy_between,
        }


def measure_busy(samples: Sequence[Sequence[int]]) -> float | None:
    """Return the mean busy share of the busiest GPU, in [0, 1]; None without samples."""
    return max((sum(card) / len(card) / 100 for card in zip(*samples, strict=True)), default=None)


class Cards:
    """The visible NVIDIA GPUs, or none."""

    def __init__(self) -> None:
        self.handles: list[Any] = []
        with suppress(ImportError, OSError):
            import pynvml

            with suppress(pynvml.NVMLError):
                pynvml.nvmlInit()
                self.nvml = pynvml
                self.handles = [
                    pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())
                ]

    def sample(self) -> tuple[list[int], float]:
        """Return the busy share of each GPU in percent, and the largest memory in use, GiB."""
        busy = [int(self.nvml.nvmlDeviceGetUtilizationRates(handle).gpu) for handle in self.handles]
        used = [float(self.nvml.nvmlDeviceGetMemoryInfo(handle).used) / 2**30 for handle in self.handles]
        return busy, max(used, default=0.0)


@contextmanager
def sampled(use: Use, cards: Cards) -> Iterator[None]:
    """Fill ``use`` while the processes below this one run: a stage with its helpers, and the judge server."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_S):
            with suppress(psutil.Error):
                for process in psutil.Process().children(recursive=True):
                    held = process.memory_info()
                    use.host_gib = max(use.host_gib, (held.rss - held.shared) / 2**30)
            if cards.handles:
                busy, used = cards.sample()
                use.busy.append((time.time(), busy))
                use.gpu_gib = max(use.gpu_gib or 0.0, used)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        use.gpu_busy = measure_busy([cards for _, cards in use.busy])


def run_apart(function: Callable[..., None], *arguments: Any) -> None:
    """Call a function in a process of its own, which frees the GPU's memory; end with it if it fails."""
    process = get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode != 0:
        sys.exit(1)


def write_models(folder: Path, tiny: bool, device: str) -> None:
    """Write generator and judges with random weights in the released layouts; what is there stays."""
    write_generator(folder, tiny, device)
    for role, family in JUDGES.items():
        if not (folder / role / "config.json").exists():
            _write_judge(folder / role, family, tiny, device)


def write_generator(folder: Path, tiny: bool, device: str) -> None:
    """Write ``FOLDER/generator`` with random weights in the released layout, unless it is there."""
    if (folder / "generator/pipeline.json").exists():
        return
    size = full_size_trellis.TINY if tiny else full_size_trellis.FULL
    dtype = torch.float32 if device == "cpu" else torch.float16
    networks = {
        name: full_size_trellis.make_random_network(part, size, device, dtype)
        for name, part in NETWORKS.items()
    }
    _occupy(networks["sparse_structure_decoder"], size, device)
    channels = full_size_trellis.read_config("latent_flow", size)["args"]["in_channels"]
    sampler = SamplerParams(steps=25, guidance=5.0, guidance_interval=(0.5, 1.0), rescale_t=3.0)
    TrellisPipeline(
        full_size_trellis.make_random_conditioner(size, device),
        Networks.from_released(networks),
        sampler,
        sampler,
        (torch.zeros(channels), torch.ones(channels)),
        device=device,
    ).save_pretrained(folder / "generator")


def _occupy(decoder: Any, size: full_size_trellis.Size, device: str) -> None:
    """Shift the decoder's last bias so that a share ``OCCUPIED`` of the voxels is occupied."""
    state, _ = full_size_trellis.draw_structure_state(size, 1, device)
    with torch.no_grad():
        logits = decoder(state).float().flatten()
        level = logits.kthvalue(max(1, int((1 - OCCUPIED) * logits.numel()))).values
        bias = decoder.out_layer[-1].bias
        bias.copy_((bias.float() - level).to(bias.dtype))


def _write_judge(folder: Path, family: str, tiny: bool, device: str) -> None:
    build_judge(family, 0).save(folder)
    if tiny:
        return
    with torch.device(device):
        model = full_size_judges.make_random_model(family, full_size_judges.FULL, torch.bfloat16)
    (folder / "model.safetensors").unlink()  # of the small one
    model.save_pretrained(folder, max_shard_size="5GB")  # as they are released
    full_size_judges.make_image_processor(family).save_pretrained(folder)


def write_project(folder: Path, models: Path, objects: Sequence[int], tiny: bool) -> dict[str, Any]:
    """Write ``params.yaml`` and the folders that the stages expect; return the values of the full run."""
    full = read_full_values(tiny)
    values = overlay(full, make_changes(models, objects, tiny))
    for name in ("meshes", "generators", "watched"):
        (folder / "data" / name).mkdir(parents=True, exist_ok=True)
    (folder / "data/registry/champion").mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return full


def read_full_values(tiny: bool) -> dict[str, Any]:
    """Return ``params.yaml``, with ``presets/full.yaml`` over it unless the networks are tiny."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    over = (
        {"generate": {"batch_size": 2}} if tiny else yaml.safe_load((ROOT / "presets/full.yaml").read_text())
    )
    return overlay(values, over)


def make_changes(models: Path, objects: Sequence[int], tiny: bool) -> dict[str, Any]:
    """Return what differs from the full run: these models, few objects and questions, one short training."""
    judges = {role: {"model": str(models / role), "lineage": _make_up_lineage(role)} for role in JUDGES}
    return {
        "assets": dict(zip(("train", "validation", "heldout"), objects, strict=True)),
        "generator": {"model": str(models / "generator"), "conditioner": None, "compiled": not tiny},
        "generate": {"pair_assets": min(objects[0], 8)},
        "judges": judges,
        "audit": {
            "rows_per_defect": 1,
            "compared": 4,
            "copies": 2,
            "coloured": 2,
            "allow_uncertified": True,
        },
        "preflight": {"override": True},
        "train": {"arms": [ARM], ARM: {"steps": 20, "checkpoint_every": 10}},
        "promotion": {"arms": [ARM]},
    }


def _make_up_lineage(role: str) -> dict[str, str]:
    named = dict.fromkeys(("vision_tower", "language_model", "vendor"), role)
    return named | {"licence": "none", "source": "random"}


def run_stage(stage: str, project: Path, cards: Cards, environment: dict[str, str]) -> Use:
    """Run one stage in the project and return what it used; its output goes to ``<stage>.log``."""
    use = Use(stage)
    name, *item = stage.split()
    seen = project / f"{stage.replace(' ', '@')}.calls.json"
    command = [sys.executable, "-m", "benchmarks.timed_stage", str(seen), name, *item]
    with (project / f"{stage.replace(' ', '@')}.log").open("wb") as log:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=project, stdout=log, stderr=log, env=environment)
        with sampled(use, cards):
            use.status = process.wait()
        use.seconds = time.perf_counter() - start
    use.calls = json.loads(seen.read_text()) if seen.exists() else []
    out = project / "data" / name / (item[0] if item else "")
    use.out_mib = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / MIB
    return use


def main(words: Sequence[str] | None = None) -> None:
    """Write what is missing, run the stages, print a table and write ``full_chain.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--into", type=Path, required=True, help="folder of models, project and figures")
    parser.add_argument("--objects", type=int, nargs=3, default=(4, 2, 4), help="train, validation, held out")
    parser.add_argument(
        "--stages", nargs="+", default=STAGES, help="stages in order, such as 'audit training'"
    )
    parser.add_argument("--tiny", action="store_true", help="small copies of the networks")
    parser.add_argument("--limit", type=float, default=float("inf"), help="begin no stage after SECONDS")
    options = parser.parse_args(words)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    project = options.into / "project"
    project.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    arguments = ((options.into / "models").absolute(), options.tiny, device)
    run_apart(write_models, *arguments)
    print(f"models: {time.perf_counter() - start:.0f} s", flush=True)
    values = write_project(project, (options.into / "models").absolute(), options.objects, options.tiny)
    cards, found = Cards(), []
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | place_caches(project.absolute()) | {"PYTHONPATH": paths}
    print(HEADINGS)
    protect_state(project)
    with serving_judges(project.absolute() / STATE_FOLDER, environment) as variables:
        for stage in options.stages:
            if time.perf_counter() - start > options.limit:
                print(f"{stage} was not begun: {options.limit:.0f} s had passed")
                break
            served = {} if stage.startswith("audit") else variables
            use = run_stage(stage, project, cards, environment | served)
            found.append(use)
            print(format_use(use), flush=True)
            rows = [each.row() for each in found]
            (options.into / "full_chain.json").write_text(json.dumps(rows, indent=2))
            if use.status != 0:
                print((project / f"{stage.replace(' ', '@')}.log").read_text()[-3000:])
                break
    params, full = load_params(project / "params.yaml"), check_params(values, "params.yaml")
    counts = (
        full_chain_projection.Counts(params, options.objects),
        full_chain_projection.Counts(full, (full.assets.train, full.assets.validation, full.assets.heldout)),
    )
    print(full_chain_projection.describe(params, counts, [use.row() for use in found]))
    if any(use.status != 0 for use in found):
        sys.exit(1)


HEADINGS = (
    f"{'stage':28} {'s':>7} {'rc':>3} {'busy':>5} {'between':>7} {'networks':>8} {'around':>6} {'beside':>7} "
    f"{'GPU GiB':>8} {'host GiB':>8} {'out MiB':>8}"
)


def format_use(use: Use) -> str:
    """Return the row of a stage; see the top of this file."""

    def show(value: float | None, width: int, digits: int = 2) -> str:
        return f"{'–' if value is None else f'{value:.{digits}f}':>{width}}"

    return (
        f"{use.stage:28} {use.seconds:7.1f} {use.status:3} {show(use.gpu_busy, 5)} "
        f"{show(use.busy_between, 7)} {use.networks_s:8.1f} {show(use.around, 6)} "
        f"{use.seconds - use.networks_s:7.1f} {show(use.gpu_gib, 8, 1)} {use.host_gib:8.1f} "
        f"{use.out_mib:8.1f}"
    )


if __name__ == "__main__":
    main()
