"""Make the embedded checkpoints from a seed on one GPU: ``python -m flows.pretrain --help``.

The recipe runs in phases that depend on each other; each writes its weights and losses to a work folder, so it can
be done in shares. With several GPUs the trainings of a phase run side by side.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from verdict3d.pretrain import generator as training
from verdict3d.pretrain.architectures import CONDITIONER, NETWORKS, PICTURE_PX
from verdict3d.pretrain.pool import DevicePool, Pool, filled_pool
from verdict3d.pretrain.progress import Log
from verdict3d.pretrain.rows import furniture_rows
from verdict3d.records import write_json
from verdict3d.trellis.checkpoint import MODEL_CLASSES
from verdict3d.trellis.conditioner import Conditioner, dinov2_config

SEED = 71
GENERATOR_POOL = {"rows": 60_000, "conditions": 4}
SECONDS = {
    "structure_vae": 60.0,
    "structure_flow": 420.0,
    "structure_flow_more": 420.0,
    "latent_vae": 200.0,
    "latent_flow": 220.0,
    "judges": 300.0,
}
"""Length of each training on one H200; ``--scale`` multiplies all of them."""
BATCH = {"structure_vae": 256, "structure_flow": 1024, "latent_vae": 48, "latent_flow": 192, "judges": 512}
SURFACE_ROWS = 12_000


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


def wait_for_rows(pool: DevicePool, rows: int) -> None:
    """Block until the pool's workers have made enough objects to start with."""
    while pool.refresh() < min(rows, pool.limit):
        time.sleep(0.5)


def train_structure(work: Path, pool_directory: str, device: torch.device, scale: float) -> None:
    """Structure VAE, then conditioner and structure flow together."""
    pool = DevicePool(Pool(pool_directory), ("conditions", "parts"), device)
    structures = training.Structures.over(pool)
    encoder, decoder = (
        build("sparse_structure_encoder").to(device),
        build("sparse_structure_decoder").to(device),
    )
    wait_for_rows(pool, 2_000)
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


def train_structure_more(work: Path, pool_directory: str, device: torch.device, scale: float) -> None:
    """Structure flow again, from where it was, with the conditioner frozen."""
    pool = DevicePool(Pool(pool_directory), ("conditions", "parts"), device)
    flow = load_network(work, "sparse_structure_flow_model", device).requires_grad_(True).train()
    wait_for_rows(pool, 8_000)
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


def train_latents(work: Path, pool_directory: str, device: torch.device, scale: float) -> None:
    """Structured-latent VAE with its mesh decoder, then the latent flow."""
    pool = DevicePool(Pool(pool_directory), ("conditions", "features", "parts"), device, limit=30_000)
    structures = training.Structures.over(pool)
    conditioner = load_network(work, "conditioner", device)
    features = training.Features(conditioner, device)
    encoder, decoder = build("slat_encoder").to(device), build("slat_decoder_mesh").to(device)
    wait_for_rows(pool, SURFACE_ROWS)
    structures.refresh()
    surfaces = training.Surfaces.over(pool, SURFACE_ROWS)
    log = Log("latent_vae", 100)
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
    statistics = training.latent_statistics(encoder.eval().requires_grad_(False), features, structures)
    write_json(
        work / "latent_statistics.json", {"mean": statistics[0].tolist(), "std": statistics[1].tolist()}
    )
    flow = build("slat_flow_model").to(device)
    log = Log("latent_flow", 200)
    training.train_latent_flow(
        flow,
        encoder,
        conditioner,
        features,
        structures,
        statistics,
        scale * SECONDS["latent_flow"],
        BATCH["latent_flow"],
        log,
    )
    save_network(work, "slat_flow_model", flow)
    write_json(work / "latent_flow.json", log.rows)


Task = tuple[str, Callable[..., None], tuple[Any, ...]]


def run_side_by_side(tasks: list[Task], scale: float) -> None:
    """Run trainings as processes, one GPU each in turn; a failure of one fails the phase after the others ended."""
    context = multiprocessing.get_context("spawn")
    devices = torch.cuda.device_count()
    processes = []
    for number, (name, function, arguments) in enumerate(tasks):
        device = torch.device("cuda", number % devices) if devices else torch.device("cpu")
        process = context.Process(target=_run_task, args=(function, arguments, device, scale), name=name)
        process.start()
        processes.append(process)
    for process in processes:
        process.join()
    failed = [process.name for process in processes if process.exitcode]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def _run_task(
    function: Callable[..., None], arguments: tuple[Any, ...], device: torch.device, scale: float
) -> None:
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(SEED)
    function(*arguments, device=device, scale=scale)


PHASES: dict[str, Callable[..., None]] = {
    "structure": train_structure,
    "structure_more": train_structure_more,
    "latents": train_latents,
}


def main(arguments: list[str] | None = None) -> None:
    """Run phases of the recipe."""
    parser = argparse.ArgumentParser(prog="python -m flows.pretrain", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of weights and losses; resumed from")
    parser.add_argument("--pool", type=Path, help="folder of the rendered pool (default: a temporary one)")
    parser.add_argument(
        "--phases",
        nargs="+",
        default=["structure", "structure_more+latents"],
        help=f"in order; a+b runs side by side; known: {', '.join(PHASES)}",
    )
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the length of every training")
    parser.add_argument(
        "--rows", type=int, default=GENERATOR_POOL["rows"], help="objects in the pool at most"
    )
    parser.add_argument(
        "--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2), help="rendering processes"
    )
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        directory = options.pool or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = {"seed": SEED, "size_px": PICTURE_PX, "conditions": GENERATOR_POOL["conditions"]}
        stack.enter_context(filled_pool(directory, options.rows, options.workers, furniture_rows, **settings))
        for phase in options.phases:
            tasks = [(name, PHASES[name], (options.work, str(directory))) for name in phase.split("+")]
            run_side_by_side(tasks, options.scale)


if __name__ == "__main__":
    main()
