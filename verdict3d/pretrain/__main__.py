"""Make the embedded checkpoints from a seed.

The recipe runs in phases. Each goes on from what is in the work folder, so the command may be interrupted and
repeated, and ends with the same weights. All steps and rows are counted: the same numbers come out of a fast
and a slow machine, bit for bit on the same kind of CPU. With several GPUs the trainings of a phase run side
by side; without one everything works too, slowly.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from verdict3d.config import load_params
from verdict3d.device import pick_device
from verdict3d.errors import Verdict3DError
from verdict3d.furniture.catalogue import World
from verdict3d.pretrain.recipe import Recipe
from verdict3d.pretrain.sequence import ORDER, make_checkpoints
from verdict3d.pretrain.workshop import Workshop


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options and run the recipe."""
    whole = ["+".join(names) for names in ORDER]
    parser = argparse.ArgumentParser(
        prog="python -m verdict3d.pretrain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--work", type=Path, required=True, help="folder of weights and losses")
    parser.add_argument("--pools", type=Path, help="folder of the training rows (default: WORK/pools)")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        default=Path("data/checkpoints"),
        help="folder that is published to; what is there is replaced (default: %(default)s)",
    )
    parser.add_argument(
        "--phases",
        nargs="+",
        default=whole,
        help="phases to run, in order; a+b run side by side, a,b one after the other "
        f"(default: {' '.join(whole)})",
    )
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the numbers of steps and rows")
    parser.add_argument(
        "--world",
        choices=get_args(World),
        default=Recipe().world,
        help="world of furniture that all objects come from (default: %(default)s)",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="processes that make rows")
    options = parser.parse_args(arguments)
    shop = Workshop(
        replace(Recipe(), world=options.world).scale(options.scale),
        load_params("params.yaml"),
        options.work,
        options.pools or options.work / "pools",
        options.checkpoints,
        pick_device("auto"),
    )
    try:
        make_checkpoints(shop, [phase.split("+") for phase in options.phases], options.workers)
    except Verdict3DError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
