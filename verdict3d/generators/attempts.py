"""One mesh at a time, by whatever is given a photo, a seed and a place for the mesh: tries, side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from verdict3d.config_generators import RunParams
from verdict3d.errors import ItemFailure
from verdict3d.generators.generator import Request
from verdict3d.generators.outputs import read_output
from verdict3d.mesh.mesh import Mesh, MeshOrFailure

Run = Callable[[Path, int, Path], None]
"""Makes the mesh of (photo, seed) at a place, or raises an ``ItemFailure``."""
SEEDS = 2**31
"""Outside generators get seeds below this: not every program takes larger ones."""


def make_each(requests: Sequence[Request], settings: RunParams, run: Run) -> list[MeshOrFailure]:
    """Make the mesh of each request, in order; what fails is tried again as often as ``settings`` say."""
    with ThreadPoolExecutor(settings.at_once) as threads:
        return list(threads.map(lambda request: _make(request, settings, run), requests))


def _make(request: Request, settings: RunParams, run: Run) -> MeshOrFailure:
    outcome = _try(request, settings, run)
    for _ in range(1, settings.tries):
        if isinstance(outcome, Mesh):
            break
        outcome = _try(request, settings, run)
    if isinstance(outcome, ItemFailure) and settings.tries > 1:
        return ItemFailure(outcome.reason, f"{outcome} (the last of {settings.tries} tries)")
    return outcome


def _try(request: Request, settings: RunParams, run: Run) -> MeshOrFailure:
    with tempfile.TemporaryDirectory(prefix="verdict3d-") as folder:
        photo = Path(folder, "photo", f"{request.stem}.png")
        output = Path(folder, "mesh", f"{request.stem}{settings.suffix}")
        photo.parent.mkdir()
        output.parent.mkdir()
        request.image.save(photo)
        try:
            run(photo, request.seed % SEEDS, output)
        except ItemFailure as failure:
            return failure
        return read_output(output, settings)
