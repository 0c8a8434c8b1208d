"""Meshes from photos: what is to be made, what is made already, a manifest and a contact sheet of it all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from flows.products.contact_sheet import draw_contact_sheet
from tasks.paths import TRAIN
from verdict3d.config import Params, SamplerParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.mesh.files import write_mesh
from verdict3d.mesh.finishing import check_finish, finish_identity, finish_mesh
from verdict3d.mesh.mesh import Mesh, mesh_digest
from verdict3d.provenance import digest_directory, digest_file, digest_json
from verdict3d.records.files import Row, read_json, write_json

PHOTOS = (".png", ".webp", ".tif", ".tiff")
"""Photo formats that can be transparent: all that is looked for where no background is removed."""

OPAQUE_PHOTOS = (*PHOTOS, ".jpg", ".jpeg", ".bmp", ".gif")

OUTPUT_FORMATS = (".glb", ".ply", ".obj")
MANIFEST = "manifest.json"
CONTACT_SHEET = "contact-sheet.png"
SCHEMA = "verdict3d/photo-meshes/1"


@dataclass(frozen=True)
class Task:
    """One mesh to make.

    Args:
        photo: Where it is made from.
        seed: Of the noise.
        target: Mesh file.
    """

    photo: Path
    seed: int
    target: Path


@dataclass(frozen=True)
class Wish:
    """How meshes are to be made.

    Args:
        arm: Arm whose trained adapter is used, None for the base generator.
        seed: Of the first sample of every photo; the next ones count up.
        samples: Meshes of each photo.
        steps: Of both samplers; None: as configured.
        guidance: Strength of both samplers; None: as configured.
        suffix: Of mesh files in a folder, such as ``.glb``.
    """

    arm: str | None = None
    seed: int = 0
    samples: int = 1
    steps: int | None = None
    guidance: float | None = None
    suffix: str = ".glb"

    def samplers(self, params: Params) -> tuple[SamplerParams, SamplerParams]:
        """Return the structure's and the latents' sampler."""
        given = {"steps": self.steps, "guidance": self.guidance}
        changes = {name: value for name, value in given.items() if value is not None}
        generator = params.generator
        return generator.structure.model_copy(update=changes), generator.latents.model_copy(update=changes)


def make_meshes(
    photos: Sequence[str], output: Path, wish: Wish, params: Params, project: Path, say: Callable[[str], None]
) -> int:
    """Make the meshes of photos, a batch at a time; return how many failed.

    In a folder, outputs that the manifest says are made of the same photo in the same way are kept, and
    failed ones are tried again; the manifest is written after every batch, the contact sheet at the end. A
    mesh that is made beside others than before may differ in the last bits of its vertices.

    Args:
        photos: Photos, folders of them, and patterns such as ``photos/*.png``.
        output: Mesh file for a single mesh, else a folder.
        wish: How they are made.
        params: Which generator, its samplers, the batch size and what is done to photos.
        project: Where the generator and the adapters are.
        say: Called with one line for each mesh.

    Raises:
        Verdict3DError: Nothing to do, or an output that cannot be written.
    """
    wanted = PHOTOS if params.photos.background is None else OPAQUE_PHOTOS
    tasks = plan_tasks(find_photos(photos, wanted), output, wish)
    in_folder = output.suffix.lower() not in OUTPUT_FORMATS
    way = _way(wish, params, project)
    earlier = _read_manifest(output) if in_folder else {}
    rows: dict[str, Row] = {}
    left: list[Task] = []
    for task in tasks:
        row = earlier.get(task.target.name)
        if row and row["failure"] is None and _is_made(row, task, way):
            rows[task.target.name] = row
            say(f"{task.target}: made before")
        else:
            left.append(task)
    if left:
        worker = _Worker(wish, params, project)
        size = params.generate.batch_size
        batches = [left[start : start + size] for start in range(0, len(left), size)]
        for batch in tqdm(batches, desc="generate", unit="batch", disable=len(batches) < 2):
            for task, row in zip(batch, worker.make(batch), strict=True):
                rows[task.target.name] = {**row, "way": way}
                say(_told(task, row))
            if in_folder:
                _write_manifest(output, {**earlier, **rows}, wish, params)
    if in_folder:
        made = [(task.photo, task.target, rows[task.target.name]["failure"]) for task in tasks]
        draw_contact_sheet(made, output / CONTACT_SHEET)
        say(f"{output / CONTACT_SHEET}")
    return sum(row["failure"] is not None for row in rows.values())


def find_photos(named: Sequence[str], suffixes: Sequence[str] = PHOTOS) -> list[Path]:
    """Return the photos of files, folders and patterns, each once, in their order; of folders by suffix.

    Raises:
        Verdict3DError: A name stands for nothing.
    """
    found: list[Path] = []
    for name in named:
        path = Path(name)
        if path.is_dir():
            some = sorted(one for one in path.iterdir() if one.suffix.lower() in suffixes)
            if not some:
                raise Verdict3DError(f"no photo in {path}; looked for are {', '.join(suffixes)}")
        elif path.exists():
            some = [path]
        else:
            fixed = Path(path.anchor or ".")
            parts = path.relative_to(path.anchor) if path.anchor else path
            some = sorted(one for one in fixed.glob(str(parts)) if one.is_file())
            if not some:
                raise Verdict3DError(f"{name}: no such file or folder, and as a pattern it fits nothing")
        found.extend(some)
    return list(dict.fromkeys(found))


def plan_tasks(photos: Sequence[Path], output: Path, wish: Wish) -> list[Task]:
    """Return what is to be made: photos in their order, of each the samples.

    Raises:
        Verdict3DError: Several meshes for one file, a format that is not written, or equal names.
    """
    if output.suffix and not output.is_dir():
        if output.suffix.lower() not in OUTPUT_FORMATS:
            raise Verdict3DError(f"{output}: meshes are written as {', '.join(OUTPUT_FORMATS)}")
        count = len(photos) * wish.samples
        if count > 1:
            raise Verdict3DError(f"{output} names a file; for {count} meshes give a folder")
        return [Task(photos[0], wish.seed, output)]
    twice = [name for name, count in Counter(photo.stem for photo in photos).items() if count > 1]
    if twice:
        names = ", ".join(sorted(twice)[:5])
        raise Verdict3DError(f"several photos are named {names}; their meshes would be too")
    numbers = [f"-{number}" for number in range(wish.samples)] if wish.samples > 1 else [""]
    return [
        Task(photo, wish.seed + count, output / f"{photo.stem}{number}{wish.suffix}")
        for photo in photos
        for count, number in enumerate(numbers)
    ]


class _Worker:
    """The generator, loaded once."""

    def __init__(self, wish: Wish, params: Params, project: Path) -> None:
        from tasks.asking.preferences import search_tools
        from tasks.making.arms import load_adapted
        from tasks.making.base import load_base
        from verdict3d.trellis.photos import PhotoReader

        self._reader = PhotoReader(params.photos)
        self._finish = params.photos.finish
        check_finish(self._finish)
        self._pipeline = (
            load_adapted(params, project, wish.arm, search_tools(params, project))
            if wish.arm
            else load_base(params, project)
        )
        self._samplers = wish.samplers(params)

    def make(self, batch: Sequence[Task]) -> list[Row]:
        """Make the meshes of a batch and write them; return a row each."""
        read = [self._reader.attempt(task.photo) for task in batch]
        pairs = list(zip(batch, read, strict=True))
        images = [photo.image for _, photo in pairs if not isinstance(photo, ItemFailure)]
        seeds = [task.seed for task, photo in pairs if not isinstance(photo, ItemFailure)]
        made = iter(self._pipeline.generate(images, seeds, *self._samplers) if images else [])
        return [
            _row(task, photo)
            if isinstance(photo, ItemFailure)
            else {
                **_row(task, self._finished(next(made))),
                "background": photo.background,
                "objects": photo.objects,
            }
            for task, photo in pairs
        ]

    def _finished(self, mesh: Mesh | ItemFailure) -> Mesh | ItemFailure:
        return mesh if isinstance(mesh, ItemFailure) else finish_mesh(mesh, self._finish)


def _row(task: Task, mesh: Mesh | ItemFailure) -> Row:
    """Write a mesh and return its row in the manifest, or that of a failure."""
    row: Row = {"photo": str(task.photo), "seed": task.seed, "output": task.target.name}
    row["photo_digest"] = digest_file(task.photo)
    if isinstance(mesh, ItemFailure):
        return {**row, "failure": mesh.reason, "message": str(mesh), "output_digest": None}
    task.target.parent.mkdir(parents=True, exist_ok=True)
    write_mesh(mesh, task.target)
    return {
        **row,
        "failure": None,
        "message": "",
        "mesh_digest": mesh_digest(mesh),
        "output_digest": digest_file(task.target),
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
    }


def _way(wish: Wish, params: Params, project: Path) -> str:
    """Return one digest over everything but the photo and the seed that decides a mesh."""
    from tasks.asking.certificates import with_chosen_panels
    from tasks.making.base import conditioner_directory, generator_directory
    from verdict3d.trellis.background import background_identity

    judge = with_chosen_panels(params, project, ["training"]).judges.training if wish.arm else None
    conditioner = conditioner_directory(params, project)
    parts: list[Any] = [
        digest_directory(generator_directory(params, project)),
        None if conditioner is None else digest_directory(conditioner),
        digest_directory(project / TRAIN / wish.arm) if wish.arm else None,
        [params.seed, judge.model_dump(mode="json")] if judge else None,  # for a search
        [sampler.model_dump(mode="json") for sampler in wish.samplers(params)],
        [*background_identity(params.photos.background), params.photos.objects],
        finish_identity(params.photos.finish),
    ]
    return digest_json(parts)


def _is_made(row: Row, task: Task, way: str) -> bool:
    """Return whether the file a row speaks of is still there and would be made the same again."""
    same = (row["way"], row["seed"]) == (way, task.seed) and task.target.is_file() and task.photo.is_file()
    return (
        same
        and row["photo_digest"] == digest_file(task.photo)
        and row["output_digest"] == digest_file(task.target)
    )


def _read_manifest(output: Path) -> dict[str, Row]:
    path = output / MANIFEST
    if not path.is_file():
        return {}
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise Verdict3DError(f"{path} is not a manifest of this program; choose another folder or remove it")
    return {row["output"]: row for row in content["meshes"]}


def _write_manifest(output: Path, rows: dict[str, Row], wish: Wish, params: Params) -> None:
    structure, latents = (sampler.model_dump(mode="json") for sampler in wish.samplers(params))
    photos = params.photos.model_dump(mode="json")
    head = {"schema": SCHEMA, "generator": params.generator.model, "arm": wish.arm, "photos": photos}
    samplers = {"structure": structure, "latents": latents}
    write_json(output / MANIFEST, {**head, **samplers, "meshes": [rows[name] for name in sorted(rows)]})


def _told(task: Task, row: Row) -> str:
    if row["failure"] is not None:
        return f"{task.photo}: {row['failure']}: {row['message']}"
    several = f", of {row['objects']} separate objects" if row["objects"] > 1 else ""
    return f"{task.target}: {row['vertices']} vertices, {row['faces']} faces{several}"
