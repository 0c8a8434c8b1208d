"""Make the embedded checkpoints from a seed on one GPU: ``python -m flows.pretrain --help``.

The recipe runs in phases that depend on each other; each writes its weights and losses to a work folder, so it can
be done in shares. With several GPUs the trainings of a phase run side by side.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from verdict3d.assets.damage import DEFECTS
from verdict3d.pretrain import generator as training
from verdict3d.pretrain.architectures import CONDITIONER, NETWORKS, PICTURE_PX
from verdict3d.pretrain.judge_measures import measure_judge
from verdict3d.pretrain.judge_pool import JudgePool
from verdict3d.pretrain.judged_rows import judged_rows
from verdict3d.pretrain.judges import train_judge
from verdict3d.pretrain.pool import DevicePool, Pool, PoolRecipe, fill_pools
from verdict3d.pretrain.progress import Budget, Log
from verdict3d.pretrain.rows import furniture_rows
from verdict3d.records import write_json
from verdict3d.trellis.checkpoint import MODEL_CLASSES
from verdict3d.trellis.conditioner import Conditioner, dinov2_config

SEED = 71
FURNITURE_ROWS, JUDGED_ROWS, HELD_OUT_ROWS, SURFACE_ROWS = 60_000, 20_000, 200, 12_000
SECONDS = {
    "pools": 150.0,
    "structure_vae": 60.0,
    "structure_flow": 400.0,
    "structure_flow_more": 300.0,
    "latent_vae": 240.0,
    "latent_flow": 200.0,
    "judges": 300.0,
}
"""Length of each training on one H200, and of the rendering before; ``--scale`` multiplies all of them."""
BATCH = {"structure_vae": 256, "structure_flow": 1024, "latent_vae": 24, "latent_flow": 192, "judges": 512}


def build(name: str) -> nn.Module:
    """Return an untrained network of the embedded generator by its pipeline name (or ``conditioner``)."""
    if name == "conditioner":
        return Conditioner(dinov2_config(**CONDITIONER))
    kind, arguments = NETWORKS[name]
    return MODEL_CLASSES[kind](**{**arguments, "use_fp16": False})


def load_network(work: Path, name: str, device: torch.device) -> nn.Module:
    """Return a trained network from the work folder, frozen, in float32."""
    network = build(name)
    state = load_file(work / f"{name}.safetensors")
    network.load_state_dict({key: value.float() for key, value in state.items()})
    return network.to(device).eval().requires_grad_(False)


def save_network(work: Path, name: str, network: nn.Module) -> None:
    """Write a network's weights in half precision: what ships is what later phases train on."""
    state = {key: value.detach().half().cpu().contiguous() for key, value in network.state_dict().items()}
    save_file(state, work / f"{name}.safetensors")


def resumed(work: Path, name: str, device: torch.device) -> nn.Module:
    """Return a network to train: from the work folder where an earlier share left it, else untrained."""
    if (work / f"{name}.safetensors").exists():
        return load_network(work, name, device).requires_grad_(True).train()
    return build(name).to(device)


def train_structure(work: Path, pools: Path, device: torch.device, scale: float) -> None:
    """Structure VAE, then conditioner and structure flow together."""
    pool = DevicePool(Pool(pools / "furniture"), ("conditions", "parts"), device)
    structures = training.Structures.over(pool)
    encoder, decoder = (
        build("sparse_structure_encoder").to(device),
        build("sparse_structure_decoder").to(device),
    )
    log = Log("structure_vae", 200)
    training.train_structure_vae(
        encoder, decoder, structures, scale * SECONDS["structure_vae"], BATCH["structure_vae"], log
    )
    save_network(work, "sparse_structure_encoder", encoder)
    save_network(work, "sparse_structure_decoder", decoder)
    write_json(work / "structure_vae.json", log.rows)
    conditioner, flow = build("conditioner").to(device), build("sparse_structure_flow_model").to(device)
    _train_structure_flow(work, structures, conditioner, flow, scale, learn_conditioner=True)
    save_network(work, "conditioner", conditioner)


def train_structure_more(work: Path, pools: Path, device: torch.device, scale: float) -> None:
    """Structure flow again, from where it was, with the conditioner frozen."""
    pool = DevicePool(Pool(pools / "furniture"), ("conditions", "parts"), device)
    flow = load_network(work, "sparse_structure_flow_model", device).requires_grad_(True).train()
    conditioner = load_network(work, "conditioner", device)
    _train_structure_flow(
        work, training.Structures.over(pool), conditioner, flow, scale, learn_conditioner=False
    )


def _train_structure_flow(
    work: Path,
    structures: training.Structures,
    conditioner: nn.Module,
    flow: nn.Module,
    scale: float,
    learn_conditioner: bool,
) -> None:
    name = "structure_flow" if learn_conditioner else "structure_flow_more"
    encoder = load_network(work, "sparse_structure_encoder", structures.pool.device)
    log = Log(name, 250)
    training.train_structure_flow(
        conditioner,
        flow,
        encoder,
        structures,
        scale * SECONDS[name],
        BATCH["structure_flow"],
        log,
        learn_conditioner,
    )
    save_network(work, "sparse_structure_flow_model", flow)
    write_json(work / f"{name}.json", log.rows)


def train_latents(work: Path, pools: Path, device: torch.device, scale: float) -> None:
    """Structured-latent VAE with its mesh decoder, then the latent flow."""
    pool = DevicePool(Pool(pools / "furniture"), ("conditions", "features", "parts"), device)
    structures = training.Structures.over(pool)
    structures.refresh()
    conditioner = load_network(work, "conditioner", device)
    features = training.Features(conditioner, device)
    encoder, decoder, flow = (
        resumed(work, name, device) for name in ("slat_encoder", "slat_decoder_mesh", "slat_flow_model")
    )
    surfaces = training.Surfaces.over(pool, min(SURFACE_ROWS, pool.rows))
    log = Log("latent_vae", 50)
    training.train_latent_vae(
        encoder,
        decoder,
        features,
        structures,
        surfaces,
        scale * SECONDS["latent_vae"],
        BATCH["latent_vae"],
        log,
    )
    save_network(work, "slat_encoder", encoder)
    save_network(work, "slat_decoder_mesh", decoder)
    write_json(work / "latent_vae.json", log.rows)
    del surfaces
    encoder.eval().requires_grad_(False)
    latents = training.Latents.over(encoder, features, structures, pool.rows)
    write_json(work / "latent_statistics.json", {"mean": latents.mean.tolist(), "std": latents.std.tolist()})
    log = Log("latent_flow", 100)
    training.train_latent_flow(
        flow, latents, conditioner, structures, scale * SECONDS["latent_flow"], BATCH["latent_flow"], log
    )
    save_network(work, "slat_flow_model", flow)
    write_json(work / "latent_flow.json", log.rows)


def train_one_judge(work: Path, pools: Path, device: torch.device, scale: float, family: str) -> None:
    """Train one judge on damaged meshes; write it and its measures on unseen objects."""
    torch.manual_seed(JUDGES[family].seed)
    pool, held_out = judge_pools(Pool(pools / family), HELD_OUT_ROWS)
    log, budget = Log(family, 100), Budget(1e-3, scale * SECONDS["judges"])
    judge = train_judge(family, pool, budget, BATCH["judges"], JUDGES[family].seed, device, log)
    judge.save(work / JUDGES[family].folder)
    measures = measure_judge(judge, held_out)
    print(family, json.dumps(measures), flush=True)
    write_json(work / f"{family}.json", {"losses": log.rows, "measures": measures, "steps": budget.step})


def judge_pools(pool: Pool, held_out: int) -> tuple[JudgePool, JudgePool]:
    """Split the ready rows of a pool into what a judge learns from and the last ``held_out`` objects."""
    ready = pool.ready()
    parts = []
    for rows in (slice(0, ready - held_out), slice(ready - held_out, ready)):
        arrays = {name: torch.from_numpy(np.array(array[rows])) for name, array in pool.arrays.items()}
        valid = torch.ones_like(arrays["quality"], dtype=torch.bool)
        parts.append(JudgePool(arrays["references"], arrays["montages"], arrays["quality"], valid))
    return parts[0], parts[1]


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
    "structure_more": (train_structure_more, 0),
    "latents": (train_latents, 0),
    **{f"judge-{family}": (partial(train_one_judge, family=family), 1) for family in JUDGES},
}
"""Each phase and the GPU it prefers when there are several."""


def pool_recipes(pools: Path, names: set[str], workers: int, scale: float) -> list[PoolRecipe]:
    """Return what has to be rendered for some phases."""
    furniture = bool(names & {"structure", "structure_more", "latents"})
    families = [family for family in JUDGES if f"judge-{family}" in names]
    share = max(1, workers // (furniture + 2 * len(families)))
    recipes = []
    if furniture:
        settings = {"seed": SEED, "size_px": PICTURE_PX, "conditions": 4}
        count = int(scale * FURNITURE_ROWS)
        recipes.append(PoolRecipe(str(pools / "furniture"), count, share, furniture_rows, settings))
    for family in families:
        data = JUDGES[family]
        settings = {"seed": data.seed, "size_px": 144, "candidates": 4, "defects": data.defects}
        settings["montage_view_px"] = 112
        count = int(scale * JUDGED_ROWS)
        recipes.append(PoolRecipe(str(pools / family), count, 2 * share, judged_rows, settings))
    return recipes


def run_side_by_side(names: list[str], work: Path, pools: Path, scale: float) -> None:
    """Run phases as processes; where one fails the others still end, and then the command fails."""
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
    parser = argparse.ArgumentParser(prog="python -m flows.pretrain", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of weights and losses; resumed from")
    parser.add_argument("--pools", type=Path, help="folder of the rendered pools (default: a temporary one)")
    parser.add_argument(
        "--phases",
        nargs="+",
        default=["structure", "structure_more+latents", "+".join(f"judge-{family}" for family in JUDGES)],
        help=f"in order; a+b runs side by side; known: {', '.join(PHASES)}",
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="multiplies the trainings' length and the pools"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="rendering processes")
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    names = {name for phase in options.phases for name in phase.split("+")}
    with ExitStack() as stack:
        pools = options.pools or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fill_pools(
            pool_recipes(pools, names, options.workers, options.scale), options.scale * SECONDS["pools"]
        )
        for phase in options.phases:
            run_side_by_side(phase.split("+"), options.work, pools, options.scale)


if __name__ == "__main__":
    main()
