"""The phases in the order in which they depend on each other, and how they are run.

structure -> latents, and beside them decoder -> assemble -> judges -> publish
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch

from verdict3d.errors import Verdict3DError
from verdict3d.pretrain import phases
from verdict3d.pretrain.pool import PoolRecipe, fill_pools
from verdict3d.pretrain.publishing import publish
from verdict3d.pretrain.recipe import JUDGES
from verdict3d.pretrain.workshop import Workshop

Phase = Callable[[Workshop], None]
PoolRecipes = Callable[[Workshop], list[PoolRecipe]]


def do_nothing(shop: Workshop) -> list[PoolRecipe]:
    """Return no pools."""
    return []


PHASES: dict[str, tuple[Phase, PoolRecipes]] = {
    "structure": (phases.train_structure, phases.make_furniture_pool),
    "decoder": (phases.train_decoder, phases.make_grid_pool),
    "latents": (phases.train_latents, phases.make_furniture_pool),
    "assemble": (phases.assemble, do_nothing),
    **{
        f"judge-{family}": (
            partial(phases.train_one_judge, family=family),
            partial(phases.judge_pools, family=family),
        )
        for family in JUDGES
    },
    "publish": (publish, do_nothing),
}
"""Each phase and the pools it learns from."""

ORDER: tuple[tuple[str, ...], ...] = (
    ("structure,latents", "decoder"),
    ("assemble",),
    tuple(f"judge-{family}" for family in JUDGES),
    ("publish",),
)
"""The whole recipe; chains in brackets do not need each other, and a,b is first a and then b."""


def make_checkpoints(shop: Workshop, order: Sequence[Sequence[str]] = ORDER, workers: int = 1) -> None:
    """Run phases of the recipe.

    Args:
        shop: The run.
        order: Groups of chains, one after the other; those of a group do not need each other. A chain names
            a phase, or several with commas between, which follow each other.
        workers: Processes that make training rows.

    Raises:
        Verdict3DError: A phase is unknown or failed, or the work folder belongs to another recipe.
    """
    unknown = sorted({name for chains in order for name in list_phases(chains)} - set(PHASES))
    if unknown:
        raise Verdict3DError(f"no phase {', '.join(unknown)}; known: {', '.join(PHASES)}")
    shop.open()
    for chains in order:
        names = list_phases(chains)
        fill_pools(list({p.directory: p for name in names for p in PHASES[name][1](shop)}.values()), workers)
        if len(chains) > 1 and torch.cuda.device_count() > 1:
            _run_side_by_side(chains, shop)
        else:
            for chain in chains:
                _run(chain, shop)


def list_phases(chains: Sequence[str]) -> list[str]:
    """Return the phases of some chains."""
    return [name for chain in chains for name in chain.split(",")]


def _run_side_by_side(chains: Sequence[str], shop: Workshop) -> None:
    """Run chains as processes, each with a GPU; where one fails the others still end."""
    context = multiprocessing.get_context("spawn")
    processes = []
    for number, name in enumerate(chains):
        own = replace(shop, device=torch.device("cuda", number % torch.cuda.device_count()))
        processes.append(context.Process(target=_run, args=(name, own), name=name))
        processes[-1].start()
    for process in processes:
        process.join()
    failed = [process.name for process in processes if process.exitcode]
    if failed:
        raise Verdict3DError(f"failed, as told above: {', '.join(failed)}; what is done is kept")


def _run(chain: str, shop: Workshop) -> None:
    """Run the phases of one chain in this process."""
    if shop.device.type == "cuda":
        torch.cuda.set_device(shop.device)
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    for name in list_phases([chain]):
        print(f"phase {name}", flush=True)
        PHASES[name][0](shop)
