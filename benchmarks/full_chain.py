"""The chain at the released size, random weights: seconds, GPU busy, memory and bytes of each stage.

`python -m benchmarks.full_chain --into FOLDER` writes a generator and judges of the released architectures
with random weights, writes a project that uses them (`params.yaml` with `presets/full.yaml` over it, few
objects), and runs the real stages one after another as DVC would. `--tiny` makes small copies of the
networks, for a CPU.

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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
import torch
import yaml

from benchmarks import full_size_judges, full_size_trellis
from verdict3d.config_generators import SamplerParams
from verdict3d.pretrain.embedded import build_judge
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
        host_gib: Largest memory of one process, GiB.
        out_mib: Size of what the stage wrote, MiB.
        networks_s: Seconds that the networks alone need for the same batches, where that was measured.
    """

    stage: str
    seconds: float = 0.0
    status: int = 0
    gpu_busy: float | None = None
    gpu_gib: float | None = None
    host_gib: float = 0.0
    out_mib: float = 0.0
    networks_s: float | None = None
    busy: list[list[int]] = field(default_factory=list, repr=False)

    def row(self) -> dict[str, Any]:
        """Return the figures without the samples."""
        return {name: value for name, value in asdict(self).items() if name != "busy"}


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
def sampled(use: Use, pid: int, cards: Cards) -> Iterator[None]:
    """Fill ``use`` while the process ``pid`` and its children run."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_S):
            with suppress(psutil.Error):
                parent = psutil.Process(pid)
                sizes = [process.memory_info().rss for process in [parent, *parent.children(recursive=True)]]
                use.host_gib = max(use.host_gib, *(size / 2**30 for size in sizes))
            if cards.handles:
                busy, used = cards.sample()
                use.busy.append(busy)
                use.gpu_gib = max(use.gpu_gib or 0.0, used)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if use.busy:
            cards_busy = [sum(card) / len(card) / 100 for card in zip(*use.busy, strict=True)]
            use.gpu_busy = max(cards_busy)


def write_models(folder: Path, tiny: bool, device: str) -> None:
    """Write generator and judges with random weights in the released layouts; what is there stays."""
    if not (folder / "generator/pipeline.json").exists():
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
    for role, family in JUDGES.items():
        if not (folder / role / "config.json").exists():
            _write_judge(folder / role, family, tiny, device)


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
    model.save_pretrained(folder)
    full_size_judges.make_image_processor(family).save_pretrained(folder)


def write_project(folder: Path, models: Path, objects: Sequence[int], tiny: bool) -> None:
    """Write ``params.yaml`` and the folders that the stages expect."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    over = yaml.safe_load((ROOT / "presets/full.yaml").read_text())
    if tiny:
        over = {"generate": {"batch_size": 2}}
    _lay_over(values, over)
    values["assets"].update(zip(("train", "validation", "heldout"), objects, strict=True))
    values["generator"].update(model=str(models / "generator"), conditioner=None, compiled=not tiny)
    values["generate"]["pair_assets"] = min(objects[0], 8)
    for role in JUDGES:
        facts = {
            "vision_tower": role,
            "language_model": role,
            "vendor": role,
            "licence": "none",
            "source": "random",
        }
        values["judges"][role].update(model=str(models / role), lineage=facts)
    values["audit"].update(rows_per_defect=1, compared=4, copies=2, coloured=2, allow_uncertified=True)
    values["preflight"]["override"] = True
    values["train"]["arms"] = values["promotion"]["arms"] = [ARM]
    values["train"][ARM].update(steps=20, checkpoint_every=10)
    for name in ("meshes", "generators", "watched"):
        (folder / "data" / name).mkdir(parents=True, exist_ok=True)
    (folder / "data/registry/champion").mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def _lay_over(values: dict[str, Any], over: Mapping[str, Any]) -> None:
    for name, value in over.items():
        if isinstance(value, Mapping) and isinstance(values.get(name), dict) and "method" not in value:
            _lay_over(values[name], value)
        else:
            values[name] = value


def run_stage(stage: str, project: Path, cards: Cards) -> Use:
    """Run one stage in the project and return what it used; its output goes to ``<stage>.log``."""
    use = Use(stage)
    name, *item = stage.split()
    command = [sys.executable, "-m", f"tasks.{name}", *item]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with (project / f"{stage.replace(' ', '@')}.log").open("wb") as log:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=project, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": paths}
        )
        with sampled(use, process.pid, cards):
            use.status = process.wait()
        use.seconds = time.perf_counter() - start
    out = project / "data" / name / (item[0] if item else "")
    use.out_mib = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / MIB
    return use


def time_networks(project: Path, rows_file: str) -> float:
    """Return the seconds that the networks need for the batches behind ``rows_file``, warmed up."""
    from PIL import Image

    from tasks.making.networks import load_networks
    from verdict3d.config import load_params
    from verdict3d.records.generations import Generation
    from verdict3d.records.record import read_rows

    params = load_params(project / "params.yaml")
    pipeline = load_networks(params, project)
    rows = read_rows(project / rows_file, Generation)
    seconds, seen = 0.0, set()
    kinds: dict[tuple[int, int], list[Generation]] = {}
    for row in rows:
        kinds.setdefault((row.steps.structure, row.steps.latents), []).append(row)
    for (structure, latents), members in kinds.items():
        for first in range(0, len(members), params.generate.batch_size):
            batch = members[first : first + params.generate.batch_size]
            photos = [Image.open(project / row.condition).convert("RGBA") for row in batch]
            settings = (
                params.generator.structure.model_copy(update={"steps": structure}),
                params.generator.latents.model_copy(update={"steps": latents}),
            )
            for _ in range(1 if (len(batch), structure) in seen else 2):
                _settle()
                start = time.perf_counter()
                pipeline.generate(photos, [row.seed for row in batch], *settings)
                _settle()
                last = time.perf_counter() - start
            seen.add((len(batch), structure))
            seconds += last
    return seconds


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main(words: Sequence[str] | None = None) -> None:
    """Write what is missing, run the stages, print a table and write ``full_chain.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--into", type=Path, required=True, help="folder of models, project and figures")
    parser.add_argument("--objects", type=int, nargs=3, default=(8, 4, 6), help="train, validation, held out")
    parser.add_argument(
        "--stages", nargs="+", default=STAGES, help="stages in order, such as 'audit training'"
    )
    parser.add_argument("--tiny", action="store_true", help="small copies of the networks")
    parser.add_argument("--networks", action="store_true", help="also time the networks of generate alone")
    options = parser.parse_args(words)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    project = options.into / "project"
    project.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    arguments = ((options.into / "models").absolute(), options.tiny, device)
    writer = get_context("spawn").Process(target=write_models, args=arguments)  # frees the GPU's memory
    writer.start()
    writer.join()
    if writer.exitcode != 0:
        sys.exit(1)
    print(f"models: {time.perf_counter() - start:.0f} s", flush=True)
    write_project(project, (options.into / "models").absolute(), options.objects, options.tiny)
    cards, found = Cards(), []
    print(f"{'stage':28} {'s':>7} {'rc':>3} {'busy':>5} {'GPU GiB':>8} {'host GiB':>8} {'out MiB':>8}")
    for stage in options.stages:
        use = run_stage(stage, project, cards)
        found.append(use)
        busy = "–" if use.gpu_busy is None else f"{use.gpu_busy:.2f}"
        print(
            f"{stage:28} {use.seconds:7.1f} {use.status:3} {busy:>5} {use.gpu_gib or 0:8.1f} "
            f"{use.host_gib:8.1f} {use.out_mib:8.1f}",
            flush=True,
        )
        (options.into / "full_chain.json").write_text(json.dumps([each.row() for each in found], indent=2))
        if use.status != 0:
            print((project / f"{stage.replace(' ', '@')}.log").read_text()[-3000:])
            sys.exit(1)
    if options.networks:
        alone = time_networks(project, "data/generate/generations.jsonl")
        print(f"generate: the networks alone need {alone:.1f} s")
        for use in found:
            use.networks_s = alone if use.stage == "generate" else None
        (options.into / "full_chain.json").write_text(json.dumps([each.row() for each in found], indent=2))


if __name__ == "__main__":
    main()
