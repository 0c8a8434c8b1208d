"""Generate a list of items with one generator: mesh, montage and measures against the true mesh for each.

Base (``tasks.generate``), arms (``tasks.evaluate``) and champion (``tasks.challenge``) all go through
here, ours or not, with the same photos, seeds and measures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from PIL import Image

from tasks.making.batches import RESUME_ROOT, Finished, resuming, run_batches
from tasks.making.describing import draw, measure, sample_truth, write
from tasks.making.helpers import naming_death, open_helpers
from tasks.making.machine import list_visible_gpus
from tasks.making.shared_meshes import SharedMesh, sharing
from tasks.paths import start_folder
from verdict3d.config import Params
from verdict3d.config_generators import AnyGenerator, SurfaceKind
from verdict3d.config_judges import JudgeParams, JudgesParams
from verdict3d.device import settle_torch
from verdict3d.errors import ItemFailure
from verdict3d.generators.generator import Generator, Request
from verdict3d.judge.modes import TEXTURE_MODE, TEXTURE_VIEWS, list_modes
from verdict3d.making.base import find_generator_dependencies
from verdict3d.mesh.accuracy import Surface
from verdict3d.mesh.mesh import MeshOrFailure
from verdict3d.provenance import code_of, digest_file
from verdict3d.randomness import seed_for
from verdict3d.records.files import link_file
from verdict3d.records.generations import Generation, Steps
from verdict3d.records.generators import GENERATOR
from verdict3d.records.names import Regime, Split
from verdict3d.records.record import RecordPart, write_record, write_rows


@dataclass(frozen=True)
class GenerationItem:
    """One mesh to generate.

    Attributes:
        id: Unique name; names the files.
        asset: Asset id.
        category: Its category.
        split: Its split.
        regime: Regime of the condition picture.
        role: What the generation is for; see :mod:`tasks.generate`.
        number: Which of several equal generations this is, from 0.
        seed: Seed of the noise.
        picture: Path of the condition picture (RGBA).
        latents_picture: Path of the picture that the latent flow is conditioned on.
        truth: Path of the asset's mesh.
        steps: Sampler steps; None where the generator is not ours.
        sample: Which of the base's meshes of this picture it is, from 0.
    """

    id: str
    asset: str
    category: str
    split: Split
    regime: Regime
    role: str
    number: int
    seed: int
    picture: str
    latents_picture: str
    truth: str
    steps: Steps | None
    sample: int


def list_drawn_modes(modes: Mapping[str, int], split: str, surface: SurfaceKind) -> dict[str, int]:
    """Return what is drawn of a mesh: modes with the number of view sets.

    These are what the judges look at; held-out meshes that have something on them are also drawn in colour.
    """
    colour = {TEXTURE_MODE: TEXTURE_VIEWS} if split == "heldout" and surface != "none" else {}
    return {**colour, **modes}


def choose_texture_judge(judge: JudgeParams) -> JudgeParams:
    """Return the judge that looks at what :func:`list_drawn_modes` has in colour."""
    return judge.model_copy(update={"mode": TEXTURE_MODE, "views": TEXTURE_VIEWS})


class GenerationWorker:
    """Generates batches with one generator; helper processes draw, measure and write what it made.

    Args:
        generator: What makes the meshes.
        params: The base seed and the size of the montages.
        modes: Montages to draw, with the number of view sets.
        root: What the items' paths are relative to.
    """

    def __init__(self, generator: Generator, params: Params, modes: Mapping[str, int], root: Path) -> None:
        self.generator = generator
        self.params = params
        self.modes = modes
        self.root = root
        # networks on the processor want all cores, and so do the helpers: there they take turns
        self._overlaps = generator.record.kind != "trellis" or bool(list_visible_gpus())
        self._helpers = open_helpers()
        self._threads = ThreadPoolExecutor(2)
        self._begin_truth = lru_cache(maxsize=64)(self._submit_truth)

    def __call__(self, items: Sequence[GenerationItem], folder: Path) -> Future[Sequence[Generation]]:
        """Generate one batch; all its items have the same numbers of steps.

        Returns:
            The rows, once the files that they name are in ``folder``; beside a GPU the next batch may be
            generated before.
        """
        with naming_death():
            truths = [self._begin_truth(item.truth, self._seed_points(item)) for item in items]
        made = self.generator.generate([self._request(item) for item in items])
        described = self._threads.submit(self._describe, items, made, truths, folder)
        if not self._overlaps:
            wait([described])
        return described

    def close(self) -> None:
        """End the helpers."""
        self._threads.shutdown()
        self._helpers.shutdown(cancel_futures=True)

    def _request(self, item: GenerationItem) -> Request:
        other = None if item.latents_picture == item.picture else self._read(item.latents_picture)
        return Request(
            self._read(item.picture),
            item.seed,
            Path(item.picture).stem,
            item.regime,
            item.sample,
            other,
            item.steps,
        )

    def _read(self, path: str) -> Image.Image:
        return Image.open(self.root / path).convert("RGBA")

    def _submit_truth(self, path: str, seed: int) -> Future[Surface | ItemFailure]:
        return self._helpers.submit(sample_truth, self.root / path, seed)

    def _seed_points(self, item: GenerationItem) -> int:
        return seed_for(self.params.seed, "truth_points", item.asset)

    def _describe(
        self,
        items: Sequence[GenerationItem],
        made: Sequence[MeshOrFailure],
        truths: Sequence[Future[Surface | ItemFailure]],
        folder: Path,
    ) -> Sequence[Generation]:
        """Let the helpers draw, measure and write a batch, all at once, and return its rows."""
        with naming_death(), ExitStack() as stack:
            ends = [
                partial(_describe_failure, mesh)
                if isinstance(mesh, ItemFailure)
                else self._begin(item, stack.enter_context(sharing(mesh)), truth.result(), folder)
                for item, mesh, truth in zip(items, made, truths, strict=True)
            ]
            found = [end() for end in ends]
        return [self._start_row(item).model_copy(update=one) for item, one in zip(items, found, strict=True)]

    def _begin(
        self, item: GenerationItem, mesh: SharedMesh, truth: Surface | ItemFailure, folder: Path
    ) -> Callable[[], dict[str, Any]]:
        """Begin one mesh; return what waits for it and gives the fields of its row.

        A failure is recorded, not raised.
        """
        views = list_drawn_modes(self.modes, item.split, self.generator.record.surface)
        names = {mode: f"{item.id}.{mode}.png" for mode in views}
        files = {mode: folder / name for mode, name in names.items()}
        drawn = self._helpers.submit(draw, mesh, views, files, self.params.judges.view_px)
        measured = self._helpers.submit(measure, mesh, truth, self._seed_points(item))
        written = self._helpers.submit(write, mesh, folder / f"{item.id}.glb")

        def end() -> dict[str, Any]:
            failure, digest, found = drawn.result(), written.result(), measured.result()
            for problem in (failure, found):
                if isinstance(problem, ItemFailure):
                    for file in (folder / f"{item.id}.glb", *files.values()):
                        file.unlink(missing_ok=True)
                    return _describe_failure(problem)
            return {"mesh": f"{item.id}.glb", "mesh_digest": digest, "montages": names, "truth": found}

        return end

    def _start_row(self, item: GenerationItem) -> Generation:
        """Return the row of an item of which nothing was made yet."""
        return Generation(
            id=item.id,
            asset=item.asset,
            category=item.category,
            split=item.split,
            regime=item.regime,
            role=item.role,
            number=item.number,
            seed=item.seed,
            condition=item.picture,
            generator=self.generator.record.digest,
            steps=item.steps,
            failure=None,
            failure_message=None,
            mesh=None,
            mesh_digest=None,
            montage=None,
            montages=None,
            truth=None,
        )


def _describe_failure(failure: ItemFailure) -> dict[str, Any]:
    """Return the fields of the row of an item that failed."""
    return {"failure": failure.reason, "failure_message": str(failure)}


def _start_worker(
    make_generator: Callable[[], Generator], params: Params, modes: Mapping[str, int], root: Path
) -> GenerationWorker:
    settle_torch()
    return GenerationWorker(make_generator(), params, modes, root)


@contextmanager
def generating(
    items: Sequence[GenerationItem],
    make_generator: Callable[[], Generator],
    *,
    params: Params,
    root: Path,
    stage: str,
    out: Path,
    adapter: RecordPart | None = None,
    outside: AnyGenerator | None = None,
) -> Iterator[list[Generation]]:
    """Generate ``items`` into the folder ``out`` and yield their rows.

    Finished batches survive ``kill -9`` until the block has succeeded, so the block is the rest of the stage.

    Writes ``meshes/<id>.glb``, ``montages/<mode>/<id>.png``, ``generations.jsonl``, with a row an item in
    order, and ``generator.json``, the record of the generator.

    Args:
        items: The manifest, in order.
        make_generator: Loads the generator; called once in each process, and only when something is left to
            generate. Picklable.
        params: All parameters; the sections ``generator``, ``generate`` and ``judges`` are read.
        root: The project's top folder.
        stage: Name for the progress bar and the resume folder.
        out: Folder below ``root``, relative to it, emptied first.
        adapter: What else its meshes depend on, as ``verdict3d.asking.preferences`` finds it.
        outside: The generator where it is not the configured one, with or without an adapter on it.
    """
    modes = list_modes(params.judges)
    made_by = find_generator_dependencies(outside or params.generator, root)
    identity = {
        "items": [asdict(item) | {"steps": item.steps and item.steps.model_dump()} for item in items],
        "files": {
            path: digest_file(root / path)
            for path in {path for item in items for path in (item.picture, item.latents_picture, item.truth)}
        },
        "base": made_by.model_dump(),
        "adapter": adapter and adapter.model_dump(),
        "modes": modes,
        "view_px": params.judges.view_px,
        "seed": params.seed,
        "batch_size": params.generate.batch_size,
        "machine": settle_torch(),
        "code": code_of(__name__),
    }
    with resuming(stage, identity, root / RESUME_ROOT) as folder:
        results = run_batches(
            items,
            partial(_start_worker, make_generator, params, modes, root),
            Generation,
            folder=folder,
            batch_size=params.generate.batch_size,
            description=stage,
            group_by=lambda item: item.steps and (item.steps.structure, item.steps.latents),
        )
        start_folder(root / out)
        rows = [_place(result, root, out, params.judges) for result in results]
        write_rows(root / out / "generations.jsonl", rows)
        write_record(root / out / GENERATOR, made_by.record)
        yield rows


def _place(result: Finished[Generation], root: Path, out: Path, judges: JudgesParams) -> Generation:
    """Put the files of one generation among the stage's outputs and return its row."""
    row = result.record
    if row.mesh is None or row.montages is None:
        return row
    judge = judges.evaluation if row.split == "heldout" else judges.training
    montages = {
        mode: _link(result.folder / name, root, out / "montages" / mode / f"{row.id}.png")
        for mode, name in row.montages.items()
    }
    mesh = _link(result.folder / row.mesh, root, out / "meshes" / f"{row.id}.glb")
    return row.model_copy(update={"mesh": mesh, "montage": montages[judge.mode], "montages": montages})


def _link(source: Path, root: Path, target: Path) -> str:
    """Give a finished file its place in the outputs, and return that place."""
    link_file(source, root / target)
    return target.as_posix()
