"""Pools of rendered furniture: worker processes fill memory-mapped arrays, training reads them.

Rows depend only on (seed, purpose, index); how many are ready at a step depends on the machine.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from verdict3d.records.files import read_json, write_json

Row = dict[str, np.ndarray]
MakeRow = Callable[[int], Row]


class Pool:
    """Arrays of ``count`` rows on disk and a flag for each row that is written.

    Args:
        directory: Where the arrays lie; made by ``Pool.create``.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        layout: dict[str, Any] = read_json(self.directory / "layout.json")
        self.count: int = layout["count"]
        self.arrays = {
            name: np.memmap(self.directory / name, dtype=dtype, mode="r+", shape=(self.count, *shape))
            for name, (shape, dtype) in layout["arrays"].items()
        }
        self._ready = np.memmap(self.directory / "ready", dtype=np.uint8, mode="r+", shape=(self.count,))

    @classmethod
    def create(cls, directory: str | Path, count: int, example: Row) -> Pool:
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
        write_json(root / "layout.json", {"count": count, "arrays": arrays})
        return cls(root)

    def put(self, index: int, row: Row) -> None:
        """Write one row and mark it ready."""
        for name, value in row.items():
            self.arrays[name][index] = value
        self._ready[index] = 1

    def has(self, index: int) -> bool:
        """Say whether a row is written."""
        return bool(self._ready[index])

    def ready(self) -> np.ndarray:
        """Return the indices of the rows that are written, ascending."""
        return np.flatnonzero(self._ready)


def _fill(directory: str, factory: Callable[..., MakeRow], settings: str, worker: int, workers: int) -> None:
    torch.set_num_threads(1)
    pool = Pool(directory)
    make_row = factory(**json.loads(settings))
    for index in range(worker, pool.count, workers):
        if not pool.has(index):
            pool.put(index, make_row(index))


@dataclass(frozen=True)
class PoolRecipe:
    """How one pool is made.

    Args:
        directory: Folder of the arrays; rows that are there already are kept.
        count: Rows.
        workers: Processes.
        factory: Importable function; called once in each process with ``settings``, returns the row maker.
        settings: JSON-able keyword arguments of ``factory``.
    """

    directory: str
    count: int
    workers: int
    factory: Callable[..., MakeRow]
    settings: dict[str, Any] = field(default_factory=dict)


def fill_pools(recipes: list[PoolRecipe], seconds: float) -> None:
    """Fill pools until all are full or the time is over; not while training, they share a GPU badly."""
    context = multiprocessing.get_context("spawn")
    processes = []
    for recipe in recipes:
        if not (Path(recipe.directory) / "layout.json").exists():
            Pool.create(recipe.directory, recipe.count, recipe.factory(**recipe.settings)(0))
        settings = json.dumps(recipe.settings)
        for worker in range(recipe.workers):
            arguments = (recipe.directory, recipe.factory, settings, worker, recipe.workers)
            processes.append(context.Process(target=_fill, args=arguments, daemon=True))
    for process in processes:
        process.start()
    end = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
    for process in processes:
        process.terminate()
        process.join()
    for recipe in recipes:
        print(f"{recipe.directory}: {len(Pool(recipe.directory).ready())} of {recipe.count} rows", flush=True)


class DevicePool:
    """The ready rows of a pool, copied to a device.

    Args:
        pool: Where rows come from.
        names: Arrays to hold.
        device: Torch device.
    """

    def __init__(self, pool: Pool, names: tuple[str, ...], device: torch.device, block: int = 1024) -> None:
        self.device = device
        ready = pool.ready()
        self.rows = len(ready)
        self.arrays = {}
        for name in names:
            source = pool.arrays[name]
            kind = torch.from_numpy(np.empty(0, source.dtype)).dtype
            array = torch.empty((self.rows, *source.shape[1:]), dtype=kind, device=device)
            for start in range(0, self.rows, block):
                rows = torch.from_numpy(source[ready[start : start + block]])
                array[start : start + block] = rows.to(device)
            self.arrays[name] = array
