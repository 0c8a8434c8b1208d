"""Meshes with known defects and their pictures: what the controls of the audit are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tasks.making.batches import RESUME_ROOT, Finished, resuming, run_batches
from tasks.making.describing import open_renderer
from tasks.making.helpers import naming_death, open_helpers
from tasks.paths import CONTROLS, start_folder
from verdict3d.config import Params
from verdict3d.errors import ItemFailure
from verdict3d.mesh.damage import damage
from verdict3d.mesh.equivalents import EQUIVALENTS
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import Mesh, mesh_digest, normalize
from verdict3d.mesh.recolouring import recolour
from verdict3d.provenance import code_of, digest_file
from verdict3d.randomness import numpy_generator
from verdict3d.records.files import link_file
from verdict3d.records.pairs import Shown
from verdict3d.render.montage_files import write_montages

BATCH = 8
Modes = tuple[tuple[str, int], ...]
"""Modes of montages, each with a number of view sets."""


@dataclass(frozen=True)
class Specimen:
    """One mesh to make and draw.

    Attributes:
        id: Unique name; names the files.
        source: Mesh file it is made from.
        change: What is done to it: a kind of damage, a name in ``EQUIVALENTS``, ``recoloured``; None for
            nothing.
        key: What its randomness depends on besides the seed.
        modes: What to draw, and from how many view sets.
        grade: Grade of the damage, 1 to 5; None for what is not damage.
    """

    id: str
    source: str
    change: str | None
    key: str
    modes: Modes
    grade: int | None = None


class SpecimenWorker:
    """Has specimens made and drawn by helper processes.

    Args:
        seed: The seed of the run.
        view_px: Side of one of a montage's four views, in pixels.
        root: The project's folder, which sources are relative to.
    """

    def __init__(self, seed: int, view_px: int, root: Path) -> None:
        self._show = partial(show_specimen, seed=seed, view_px=view_px, root=root)
        self._helpers = open_helpers()
        self._thread = ThreadPoolExecutor(1)

    def __call__(self, items: Sequence[Specimen], folder: Path) -> Future[Sequence[Shown]]:
        """Begin one batch.

        Returns:
            A side of a pair for each item, in order, once the montages that it names are in ``folder``.
        """
        with naming_death():
            begun = [self._helpers.submit(self._show, item, folder=folder) for item in items]
        return self._thread.submit(_wait, begun)

    def close(self) -> None:
        """End the helpers."""
        self._thread.shutdown()
        self._helpers.shutdown(cancel_futures=True)


def _wait(begun: Sequence[Future[Shown]]) -> Sequence[Shown]:
    with naming_death():
        return [one.result() for one in begun]


def show_specimen(item: Specimen, *, seed: int, view_px: int, root: Path, folder: Path) -> Shown:
    """Make and draw a specimen into ``folder``; return the side of a pair that it can be, files named there.

    A failure is recorded, not raised.
    """
    try:
        mesh, renderer = make_specimen(item, seed, root), open_renderer(view_px)
        pictures = {mode: renderer.montages(mesh, mode, views) for mode, views in item.modes}
    except ItemFailure as failure:
        return Shown(mesh_digest=None, montages={}, failure=failure.reason, truth=None)
    names = {mode: f"{item.id}.{mode}.png" for mode in pictures}
    for mode, picture in pictures.items():
        write_montages(folder / names[mode], picture)
    return Shown(mesh_digest=mesh_digest(mesh), montages=names, failure=None, truth=None)


def make_specimen(item: Specimen, seed: int, root: Path) -> Mesh:
    """Return a specimen's mesh, the same whenever it is made.

    Args:
        item: The specimen.
        seed: The seed of the run.
        root: The project's folder, which sources are relative to.

    Raises:
        ItemFailure: The source cannot be read, or has no vertex colours to change (``no_colors``).
    """
    mesh = read_mesh(root / item.source)
    rng = numpy_generator(seed, "control", item.key)
    if item.change is None:
        return mesh
    if item.grade is not None:
        return damage(normalize(mesh), item.change, item.grade, rng)
    return recolour(mesh) if item.change == "recoloured" else EQUIVALENTS[item.change](mesh, rng)


@contextmanager
def draw_specimens(params: Params, specimens: Sequence[Specimen], root: Path) -> Iterator[dict[str, Shown]]:
    """Make and draw ``specimens`` into ``data/controls`` and yield the side of a pair that each can be.

    Finished batches survive a kill until the block has succeeded.

    Args:
        params: Seed and ``judges.view_px``.
        specimens: What to make; ids are unique.
        root: The project's folder.

    Yields:
        The sides, by specimen id.
    """
    identity = {
        "specimens": [asdict(specimen) for specimen in specimens],
        "sources": {path: digest_file(root / path) for path in sorted({one.source for one in specimens})},
        "seed": params.seed,
        "view_px": params.judges.view_px,
        "code": code_of(__name__),
    }
    with resuming("controls", identity, root / RESUME_ROOT) as folder:
        results = run_batches(
            specimens,
            partial(SpecimenWorker, params.seed, params.judges.view_px, root),
            Shown,
            folder=folder,
            batch_size=BATCH,
            description="controls",
        )
        start_folder(root / CONTROLS)
        yield {one.id: _place(result, root) for one, result in zip(specimens, results, strict=True)}


def _place(result: Finished[Shown], root: Path) -> Shown:
    """Put a specimen's pictures among the stage's outputs and return its side of a pair."""
    shown = result.record
    montages = {}
    for mode, name in (shown.montages or {}).items():
        target = CONTROLS / "montages" / mode / name.replace(f".{mode}.", ".")
        link_file(result.folder / name, root / target)
        montages[mode] = target.as_posix()
    return shown.model_copy(update={"montages": montages})
