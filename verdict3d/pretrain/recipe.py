"""Make the embedded checkpoints from a seed on one GPU: ``python -m verdict3d.pretrain.recipe --help``.

The recipe runs in phases that depend on each other. Each writes its weights and losses to a work folder and
starts from what is there, so it can be done in shares. With several GPUs the trainings of a phase run side by
side. Without a GPU everything works too, slowly.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from verdict3d.config import load_params
from verdict3d.mesh.damage import DEFECTS
from verdict3d.pretrain import generator as training
from verdict3d.pretrain.architectures import CONDITIONER, NETWORKS, PICTURE_PX
from verdict3d.pretrain.embedded import load_judge
from verdict3d.pretrain.judge_measures import measure_judge
from verdict3d.pretrain.judge_pool import JudgePool
from verdict3d.pretrain.judged_rows import GENERATED, generated_rows, generator_measures, judged_rows
from verdict3d.pretrain.judges import train_judge
from verdict3d.pretrain.pool import DevicePool, Pool, PoolRecipe, fill_pools
from verdict3d.pretrain.progress import Budget, Log
from verdict3d.pretrain.rows import furniture_rows, grid_rows
from verdict3d.records.files import read_json, write_json
from verdict3d.trellis.checkpoint import MODEL_CLASSES
from verdict3d.trellis.conditioner import Conditioner, dinov2_config
from verdict3d.trellis.pipeline import TrellisPipeline

CHECKPOINTS = Path("data/checkpoints")
SEED = 71
FURNITURE_ROWS, FEATURE_ROWS, GRID_ROWS = 60_000, 1_000, 3_000
JUDGED_ROWS = {"damaged": 20_000, "generated": 5_000}
GENERATED_WEIGHT = 4
"""How often a row of generations is drawn, for one of damaged meshes; they are fewer, and harder."""
SECONDS = {
    "pools": 110.0,
    "structure_vae": 40.0,
    "structure_flow": 320.0,
    "mesh_decoder": 340.0,
    "latent_encoder": 30.0,
    "latent_flow": 240.0,
    "judges": 300.0,
}
"""Length of each training on one H100, and of the rendering before; ``--scale`` multiplies all of them."""
BATCH = {
    "structure_vae": 256,
    "structure_flow": 1024,
    "judges": 512,
    "mesh_decoder": 16,
    "latent_encoder": 8,
    "latent_flow": 32,
}


def build(name: str) -> Any:
    """Return an untrained network of the embedded generator by its pipeline name, or ``conditioner``."""
    if name == "conditioner":
        return Conditioner(dinov2_config(**CONDITIONER))
    kind, arguments = NETWORKS[name]
    network = MODEL_CLASSES[kind](**arguments)
    network.set_torso_dtype(torch.float32)
    return network


def load_network(work: Path, name: str, device: torch.device) -> Any:
    """Return a trained network from the work folder, frozen, in float32."""
    network = build(name)
    state = load_file(work / f"{name}.safetensors")
    network.load_state_dict({key: value.float() for key, value in state.items()})
    return network.to(device).eval().requires_grad_(False)


def save_network(work: Path, name: str, network: nn.Module) -> None:
    """Write a network's weights in half precision: what ships is what later phases train on."""
    state = {key: value.detach().half().cpu().contiguous() for key, value in network.state_dict().items()}
    save_file(state, work / f"{name}.safetensors")


def resumed(work: Path, name: str, device: torch.device) -> Any:
    """Return a network to train: from the work folder where an earlier share left it, else untrained."""
    if (work / f"{name}.safetensors").exists():
        return load_network(work, name, device).requires_grad_(True).train()
    return build(name).to(device)


def write_log(work: Path, log: Log, device: torch.device, seconds: float) -> None:
    """Append the losses of a share of a training, with where it ran and for how long."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    path = work / f"{log.name}.json"
    earlier = read_json(path) if path.exists() else []
    write_json(path, [*earlier, {"device": name, "seconds": seconds, "losses": log.rows}])


def train_structure(work: Path, pools: Path, device: torch.device, scale: float) -> None:
    """Structure VAE, then conditioner and structure flow together."""
    pool = filled(pools, ("conditions", "structure"), device)
    encoder, decoder = (resumed(work, f"sparse_structure_{end}", device) for end in ("encoder", "decoder"))
    log, seconds = Log("structure_vae", 200), scale * SECONDS["structure_vae"]
    training.train_structure_vae(encoder, decoder, pool, seconds, BATCH["structure_vae"], log)
    save_network(work, "sparse_structure_encoder", encoder)
    save_network(work, "sparse_structure_decoder", decoder)
    write_log(work, log, device, seconds)
    conditioner, flow = (
        resumed(work, name, device) for name in ("conditioner", "sparse_structure_flow_model")
    )
    log, seconds = Log("structure_flow", 250), scale * SECONDS["structure_flow"]
    training.train_structure_flow(conditioner, flow, encoder, pool, seconds, BATCH["structure_flow"], log)
    save_network(work, "sparse_structure_flow_model", flow)
    save_network(work, "conditioner", conditioner)
    write_log(work, log, device, seconds)


def train_decoder(work: Path, pools: Path, device: torch.device, scale: float) -> None:
    """Mesh decoder, from exact grids."""
    pool = filled(pools, ("structure", "codes", "distance", "color"), device, "grids")
    decoder = resumed(work, "slat_decoder_mesh", device)
    log, seconds = Log("mesh_decoder", 50), scale * SECONDS["mesh_decoder"]
    training.train_mesh_decoder(decoder, pool, Budget(1.2e-3, seconds), BATCH["mesh_decoder"], log)
    save_network(work, "slat_decoder_mesh", decoder)
    write_log(work, log, device, seconds)


def train_latents(work: Path, pools: Path, device: torch.device, scale: float) -> None:
    """Latent flow, then the encoder that reads latents from picture features."""
    pool = filled(pools, ("conditions", "features", "structure", "codes"), device)
    codes = training.Codes.over(pool)
    write_json(work / "latent_statistics.json", {"mean": codes.mean.tolist(), "std": codes.std.tolist()})
    conditioner = load_network(work, "conditioner", device)
    encoder = resumed(work, "slat_encoder", device)
    log, seconds = Log("latent_encoder", 20), scale * SECONDS["latent_encoder"]
    features = training.Features(conditioner, device)
    rows = min(FEATURE_ROWS, pool.rows)
    training.train_latent_encoder(
        encoder, features, codes, rows, Budget(1e-3, seconds), BATCH["latent_encoder"], log
    )
    save_network(work, "slat_encoder", encoder)
    write_log(work, log, device, seconds)
    flow = resumed(work, "slat_flow_model", device)
    log, seconds = Log("latent_flow", 50), scale * SECONDS["latent_flow"]
    training.train_latent_flow(flow, codes, conditioner, Budget(1e-3, seconds), BATCH["latent_flow"], log)
    save_network(work, "slat_flow_model", flow)
    write_log(work, log, device, seconds)


def filled(
    pools: Path, names: tuple[str, ...], device: torch.device, folder: str = "furniture"
) -> DevicePool:
    """Return a pool on a device."""
    return DevicePool(Pool(pools / folder), names, device)


def assemble(work: Path, pools: Path, device: torch.device, scale: float) -> None:
    """Write the trained networks as a generator in the released layout."""
    params, statistics = load_params().generator, read_json(work / "latent_statistics.json")
    TrellisPipeline(
        load_network(work, "conditioner", torch.device("cpu")),
        {name: load_network(work, name, torch.device("cpu")) for name in NETWORKS},
        params.structure,
        params.latents,
        (torch.tensor(statistics["mean"]), torch.tensor(statistics["std"])),
        device="cpu",
    ).save_pretrained(work / "generator")


def publish(work: Path, pools: Path, device: torch.device, scale: float) -> None:
    """Copy generator and judges into ``data/checkpoints``, each with a card."""
    judged = {
        family: {
            **read_json(work / f"{family}-measures.json"),
            "training": read_json(work / f"{family}.json"),
        }
        for family in JUDGES
    }
    trainings = ("structure_vae", "structure_flow", "mesh_decoder", "latent_encoder", "latent_flow")
    runs = {name: shortened(read_json(work / f"{name}.json")) for name in trainings}
    folders = {
        "generator": {
            "seed": SEED,
            "trainings": runs,
            "held_out": {family: values["generator"] for family, values in judged.items()},
        },
        **{
            JUDGES[family].folder: {
                "seed": JUDGES[family].seed,
                "defects": JUDGES[family].defects,
                "trainings": {"judge": shortened(read_json(work / f"{family}.json"))},
                "held_out": values["measures"],
            }
            for family, values in judged.items()
        },
    }
    for folder, card in folders.items():
        target = CHECKPOINTS / folder
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(work / folder, target)
        weights = sorted(target.rglob("*.safetensors"))
        parameters = {str(path.relative_to(target)): weight_count(path) for path in weights}
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
        recipe = "python -m verdict3d.pretrain.recipe; verdict3d/pretrain/recipe.py, verdict3d/pretrain"
        write_json(
            target / "card.json",
            {"scale": "embedded", "recipe": recipe, "parameters": parameters, "bytes": size, **card},
        )


def shortened(shares: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what a card says of a training's shares: where, how long, first and last losses."""
    return [
        {**share, "losses": {"first": share["losses"][0], "last": share["losses"][-1]}} for share in shares
    ]


def weight_count(path: Path) -> int:
    """Return how many numbers a safetensors file holds."""
    return sum(tensor.numel() for tensor in load_file(path).values())


def train_one_judge(work: Path, pools: Path, device: torch.device, scale: float, family: str) -> None:
    """Train one judge on damaged and generated meshes; write it and its measures on unseen objects."""
    data = JUDGES[family]
    torch.manual_seed(data.seed)
    sources = {kind: Pool(pools / f"{family}-{kind}") for kind in ("damaged", "generated")}
    learned, held_out = zip(*(judge_pools(pool) for pool in sources.values()), strict=True)
    start = load_judge(family, work / data.folder) if (work / data.folder).exists() else None
    log, seconds = Log(family, 50), scale * SECONDS["judges"]
    budget = Budget(1e-3 if start is None else 3e-4, seconds)
    damaged, generated = learned
    pool = joined([damaged, *[generated] * GENERATED_WEIGHT])
    judge = train_judge(family, pool, budget, BATCH["judges"], data.seed, device, log, start)
    write_log(work, log, device, seconds)
    judge.save(work / data.folder)
    measures = {kind: measure_judge(judge, pool) for kind, pool in zip(sources, held_out, strict=True)}
    print(family, json.dumps(measures), flush=True)
    write_json(
        work / f"{family}-measures.json",
        {"measures": measures, "steps": budget.step, "generator": generator_measures(sources["generated"])},
    )


def judge_pools(pool: Pool) -> tuple[JudgePool, JudgePool]:
    """Split the ready rows of a pool into what a judge learns from and the last tenth, held out."""
    ready = pool.ready()
    parts = []
    for rows in (ready[: len(ready) - len(ready) // 10], ready[len(ready) - len(ready) // 10 :]):
        names = ("references", "montages", "quality")
        references, montages, quality = (torch.from_numpy(pool.arrays[name][rows]) for name in names)
        parts.append(JudgePool(references, montages, quality, quality > 0))
    return parts[0], parts[1]


def joined(pools: Sequence[JudgePool]) -> JudgePool:
    """Return several pools as one."""
    names = ("references", "montages", "quality", "valid")
    return JudgePool(*(torch.cat([getattr(pool, name) for pool in pools]) for name in names))


@dataclass(frozen=True)
class JudgeData:
    """What one judge learns from: its own seed, damage mix and picture of the montage."""

    folder: str
    seed: int
    defects: tuple[str, ...]


JUDGES = {
    "qwen2_5_vl": JudgeData("judge-train", 1203, tuple(DEFECTS)),
    "internvl": JudgeData("judge-eval", 5081, tuple(name for name in DEFECTS if name != "rough_surface")),
}
"""The training judge and the evaluation judge; other seeds and other damage, so that they err differently."""

Phase = Callable[..., None]
PHASES: dict[str, tuple[Phase, int]] = {
    "structure": (train_structure, 0),
    "decoder": (train_decoder, 1),
    "latents": (train_latents, 1),
    "assemble": (assemble, 0),
    "publish": (publish, 0),
    **{
        f"judge-{family}": (partial(train_one_judge, family=family), number)
        for number, family in enumerate(JUDGES)
    },
}
"""Each phase and the GPU it prefers when there are several."""


def pool_recipes(work: Path, pools: Path, names: set[str], workers: int, scale: float) -> list[PoolRecipe]:
    """Return what has to be rendered for some phases; processes are shared out by the work there is."""
    wanted: list[tuple[int, str, int, Callable[..., Any], dict[str, Any]]] = []
    if names & {"structure", "latents"}:
        views = {"seed": SEED, "size_px": PICTURE_PX, "conditions": 4, "feature_rows": FEATURE_ROWS}
        wanted.append((15, "furniture", FURNITURE_ROWS, furniture_rows, views))
    if "decoder" in names:
        wanted.append((1, "grids", GRID_ROWS, grid_rows, {"seed": SEED}))
    for family, data in JUDGES.items():
        if f"judge-{family}" in names:
            damaged, generated = judge_settings(work, data)
            wanted.append((1, f"{family}-damaged", JUDGED_ROWS["damaged"], judged_rows, damaged))
            wanted.append((2, f"{family}-generated", JUDGED_ROWS["generated"], generated_rows, generated))
    total = sum(weight for weight, *_ in wanted)
    return [
        PoolRecipe(
            str(pools / folder), int(scale * rows), max(1, workers * weight // total), factory, settings
        )
        for weight, folder, rows, factory, settings in wanted
    ]


def judge_settings(work: Path, data: JudgeData) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of a judge's two row makers, damaged and generated."""
    params = load_params()
    shown: dict[str, Any] = {"seed": data.seed, "size_px": 144, "montage_view_px": 112}
    candidates = 1 + sum(1 + copies for *_, copies in GENERATED)
    return {**shown, "candidates": candidates, "defects": data.defects}, {
        **shown,
        "generator": str(work / "generator"),
        "regimes": {name: regime.model_dump() for name, regime in params.degrade.regimes.items()},
        "low_budget_steps": params.generate.low_budget_steps,
        "defects": tuple(DEFECTS),
    }


def run_side_by_side(names: list[str], work: Path, pools: Path, scale: float) -> None:
    """Run phases as processes; where one fails the others still end, then the command fails."""
    context = multiprocessing.get_context("spawn")
    devices = torch.cuda.device_count()
    processes = []
    for name in names:
        phase, preferred = PHASES[name]
        device = torch.device("cuda", preferred % devices) if devices else torch.device("cpu")
        process = context.Process(target=_run, args=(phase, work, pools, device, scale), name=name)
        process.start()
        processes.append(process)
    for process in processes:
        process.join()
    failed = [process.name for process in processes if process.exitcode]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def _run(phase: Phase, work: Path, pools: Path, device: torch.device, scale: float) -> None:
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(SEED)
    phase(work, pools, device=device, scale=scale)


def main(arguments: list[str] | None = None) -> None:
    """Run phases of the recipe."""
    parser = argparse.ArgumentParser(prog="python -m verdict3d.pretrain.recipe", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of weights and losses; resumed from")
    parser.add_argument("--pools", type=Path, help="folder of the rendered pools (default: a temporary one)")
    parser.add_argument(
        "--phases",
        nargs="+",
        default=[
            "structure+decoder",
            "latents",
            "assemble",
            "+".join(f"judge-{family}" for family in JUDGES),
            "publish",
        ],
        help=f"in order; a+b runs side by side; known: {', '.join(PHASES)}",
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="multiplies the trainings' length and the pools"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="rendering processes")
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        pools = options.pools or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for phase in options.phases:
            names = phase.split("+")
            recipes = pool_recipes(options.work, pools, set(names), options.workers, options.scale)
            fill_pools(recipes, options.scale * SECONDS["pools"])
            run_side_by_side(names, options.work, pools, options.scale)


if __name__ == "__main__":
    main()
