"""Pools of rendered furniture: worker processes fill memory-mapped arrays, training reads them.

A row depends only on (seed, purpose, index), and a training begins when all rows of its pools are there.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from verdict3d.errors import Verdict3DError
from verdict3d.records.files import read_json, write_json

PoolRow = dict[str, np.ndarray]
MakeRow = Callable[[int], PoolRow]
LAYOUT = "layout.json"
POLL_S = 2.0
"""Seconds between two looks at the rows that processes have made."""


class Pool:
    """Arrays of ``count`` rows on disk and a flag for each row that is written.

    Args:
        directory: Where the arrays lie; made by ``Pool.create``.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        layout: dict[str, Any] = read_json(self.directory / LAYOUT)
        self.count: int = layout["count"]
        self.arrays = {
            name: np.memmap(self.directory / name, dtype=dtype, mode="r+", shape=(self.count, *shape))
            for name, (shape, dtype) in layout["arrays"].items()
        }
        self._ready = np.memmap(self.directory / "ready", dtype=np.uint8, mode="r+", shape=(self.count,))

    @classmethod
    def create(cls, directory: str | Path, count: int, example: PoolRow) -> Pool:
        """Make an empty pool whose rows look like ``example``."""
        root = Path(directory)
        root.mkdir(parents=True, exist_ok=True)
        arrays = {name: (list(value.shape), str(value.dtype)) for name, value in example.items()}
        for name, (shape, dtype) in arrays.items():
            size = count * int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
            with (root / name).open("wb") as stream:
                stream.truncate(size)
        with (root / "ready").open("wb") as stream:
            stream.truncate(count)
        write_json(root / LAYOUT, {"count": count, "arrays": arrays})
        return cls(root)

    def put(self, index: int, row: PoolRow) -> None:
        """Write one row and mark it ready."""
        for name, value in row.items():
            if value.any():  # a new file holds zeros and takes no space for them
                self.arrays[name][index] = value
        self._ready[index] = 1

    def list_missing(self) -> list[int]:
        """Return the indices of the rows that are not written, ascending."""
        return [int(index) for index in np.flatnonzero(self._ready == 0)]

    def is_done(self) -> int:
        """Return how many rows are written."""
        return int((self._ready != 0).sum())


@dataclass(frozen=True)
class PoolRecipe:
    """How one pool is made.

    Attributes:
        directory: Folder of the arrays; rows that are there already are kept.
        count: Rows.
        factory: Importable function; each process calls it once with ``settings`` and gets the row maker.
        settings: JSON-able keyword arguments of ``factory``.
    """

    directory: Path
    count: int
    factory: Callable[..., MakeRow]
    settings: dict[str, Any] = field(default_factory=dict)


def fill_pools(recipes: Sequence[PoolRecipe], workers: int) -> None:
    """Make all missing rows of some pools.

    Args:
        recipes: The pools.
        workers: Processes that share the rows; one works inside this process.

    Raises:
        Verdict3DError: A pool lies there with another number of rows, or a process failed.
    """
    for recipe in recipes:
        _create(recipe)
    if not any(Pool(recipe.directory).list_missing() for recipe in recipes):
        return
    if workers == 1:
        _fill(recipes, 0, 1)
        return
    context = multiprocessing.get_context("spawn")
    shares = [(recipes, worker, workers) for worker in range(workers)]
    processes = [context.Process(target=_fill, args=share, daemon=True) for share in shares]
    for number, process in enumerate(processes):
        with own_gpu(number):
            process.start()
    with tqdm(total=sum(recipe.count for recipe in recipes), desc="rows", unit="row") as bar:
        for process in processes:
            while process.is_alive():
                process.join(POLL_S)
                bar.update(sum(Pool(recipe.directory).is_done() for recipe in recipes) - bar.n)
    failed = sum(process.exitcode != 0 for process in processes)
    if failed:
        raise Verdict3DError(
            f"{failed} of {workers} processes that make training rows failed, as told above; the rows they "
            "made are kept, so run the same command again when the cause is mended"
        )


@contextmanager
def own_gpu(worker: int) -> Iterator[None]:
    """Let a process that is started inside see one of the GPUs only; processes take turns at them."""
    seen, count = os.environ.get("CUDA_VISIBLE_DEVICES"), torch.cuda.device_count()
    if seen is None and count > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(worker % count)
    try:
        yield
    finally:
        if seen is None:
            os.environ.pop("CUDA_VISIBLE_DEVICES", None)


def _create(recipe: PoolRecipe) -> None:
    """Make the pool with its first row, or check that the one that is there has as many rows."""
    if not (recipe.directory / LAYOUT).exists():
        first = recipe.factory(**recipe.settings)(0)
        Pool.create(recipe.directory, recipe.count, first).put(0, first)
    found = Pool(recipe.directory).count
    if found != recipe.count:
        raise Verdict3DError(
            f"the pool {recipe.directory} has {found} rows, but {recipe.count} are wanted; remove it, or "
            "choose another folder"
        )


def _fill(recipes: Sequence[PoolRecipe], worker: int, workers: int) -> None:
    """Make this worker's share of the missing rows, on one thread: the bits of a row may depend on it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for recipe in recipes:
            pool = Pool(recipe.directory)
            own = [index for index in pool.list_missing() if index % workers == worker]
            if own:
                make_row = recipe.factory(**recipe.settings)
                for index in own:
                    pool.put(index, make_row(index))
    finally:
        torch.set_num_threads(threads)


class DevicePool:
    """A full pool, copied to a device.

    Args:
        pool: Where rows come from.
        names: Arrays to hold.
        device: Torch device.
        block: Rows that are copied at once.
    """

    def __init__(self, pool: Pool, names: Sequence[str], device: torch.device, block: int = 1024) -> None:
        self.device, self.rows = device, pool.count
        self.arrays: dict[str, torch.Tensor] = {}
        for name in names:
            source = pool.arrays[name]
            kind = torch.from_numpy(np.empty(0, source.dtype)).dtype
            array = torch.empty(source.shape, dtype=kind, device=device)
            for start in range(0, self.rows, block):
                rows = torch.from_numpy(np.array(source[start : start + block]))
                array[start : start + block] = rows.to(device)
            self.arrays[name] = array
