"""Meshes from photos: what is to be made, what is made already, a manifest and a contact sheet of it all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from verdict3d.config import Params
from verdict3d.config_inputs import PhotosParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.mesh.files import write_mesh
from verdict3d.mesh.finishing import check_finish, finish_identity, finish_mesh
from verdict3d.mesh.mesh import Mesh, mesh_digest
from verdict3d.products.contact_sheet import draw_contact_sheet, pair_photos
from verdict3d.products.photo_plan import (
    OUTPUT_FORMATS,
    MeshOptions,
    PlannedMesh,
    find_photos,
    plan_meshes,
    without_originals,
)
from verdict3d.project import TRAIN
from verdict3d.provenance import code_of, digest_file, digest_json
from verdict3d.records.adapters import CARD
from verdict3d.records.files import read_json
from verdict3d.records.photo_meshes import PhotoMesh, PhotoMeshes
from verdict3d.records.record import parse_record, write_record

if TYPE_CHECKING:
    from verdict3d.trellis.photos import Photo

MANIFEST = "manifest.json"
CONTACT_SHEET = "contact-sheet.png"


def make_meshes(
    photos: Sequence[str],
    output: Path,
    options: MeshOptions,
    params: Params,
    project: Path,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Make the meshes of photos, a batch at a time; return a row of the manifest for each, as JSON values.

    Photos that cannot be used are refused before any network is loaded. In a folder, outputs that the
    manifest says are made of the same photo in the same way are kept, and failed ones are tried again; the
    manifest is written after every batch, the contact sheet at the end. A mesh that is made beside others
    than before may differ in the last bits of its vertices.

    Args:
        photos: Photos, folders of them, and patterns such as ``photos/*.png``.
        output: Mesh file for a single mesh, else a folder.
        options: How they are made.
        params: Which generator, its samplers, the batch size and what is done to photos.
        project: Where the generator and the adapters are.
        say: Called with one line for each mesh.

    Raises:
        Verdict3DError: Nothing to do, an arm that is not trained, or an output that cannot be written.
    """
    if options.arm is not None:
        require_arm(project, options.arm)
    found, originals = without_originals(find_photos(photos))
    for photo in originals:
        say(f"{photo}: left out for the photo of the same name that can be transparent")
    plans = plan_meshes(found, output, options)
    in_folder = output.suffix.lower() not in OUTPUT_FORMATS
    earlier = _read_manifest(output) if in_folder else {}
    rows: dict[str, PhotoMesh] = {}

    def keep(plan: PlannedMesh, row: PhotoMesh) -> None:
        rows[plan.target.name] = row
        say(_describe(plan, row))

    for plan, failure in _examine_photos(plans, params.photos, say):
        keep(plan, _write_row(plan, failure, way=""))
    refused = set(rows)
    way = _digest_way(options, params, project) if len(refused) < len(plans) else ""
    left: list[PlannedMesh] = []
    for plan in plans:
        row = earlier.get(plan.target.name)
        if plan.target.name not in refused and row and row.failure is None and _is_made(row, plan, way):
            rows[plan.target.name] = row
            say(f"{plan.target}: made before")
        else:
            left.append(plan)  # refused ones keep their places, on which the batches depend
    if len(rows) < len(plans):
        say(f"meshes to make: {len(plans) - len(rows)}; loading the generator")
        worker, size = _Worker(options, params, project, way), params.generate.batch_size
        with tqdm(total=len(plans) - len(rows), desc="generate", unit="mesh") as bar:
            for start in range(0, len(left), size):
                batch = [plan for plan in left[start : start + size] if plan.target.name not in refused]
                for plan, row in zip(batch, worker.make(batch), strict=True):
                    keep(plan, row)
                bar.update(len(batch))
                if in_folder:
                    _write_manifest(output, {**earlier, **rows}, options, params)
    if in_folder:
        _write_manifest(output, {**earlier, **rows}, options, params)
        made = [(plan.photo, plan.target, rows[plan.target.name].failure) for plan in plans]
        draw_contact_sheet(pair_photos(made), output / CONTACT_SHEET)
        say(f"{output / CONTACT_SHEET}")
    return [rows[plan.target.name].model_dump() for plan in plans]


def require_arm(project: Path, arm: str) -> None:
    """Check that an arm has a trained adapter.

    Raises:
        Verdict3DError: It has none; the message names the arms that have.
    """
    if not (project / TRAIN / arm / CARD).is_file():
        trained = sorted(card.parent.name for card in (project / TRAIN).glob(f"*/{CARD}"))
        there = f"there are: {', '.join(trained)}" if trained else "`verdict3d run` trains some"
        raise Verdict3DError(f"no adapter of an arm {arm!r} in {project / TRAIN}; {there}")


def _examine_photos(
    plans: Sequence[PlannedMesh], params: PhotosParams, say: Callable[[str], None]
) -> Iterator[tuple[PlannedMesh, ItemFailure]]:
    """Yield the meshes whose photos cannot be used, and why; say what is doubtful in others. No network."""
    from verdict3d.trellis.photos import PhotoReader

    reader, said = PhotoReader(params.model_copy(update={"background": None})), set[Path]()
    for plan in plans:
        found = reader.attempt(plan.photo)
        if isinstance(found, ItemFailure):
            if not (params.background and found.reason == "no_alpha"):
                yield plan, found
        elif found.warning and plan.photo not in said:
            said.add(plan.photo)
            say(f"warning: {plan.photo}: {found.warning}")


class _Worker:
    """The generator, loaded once."""

    def __init__(self, options: MeshOptions, params: Params, project: Path, way: str) -> None:
        from verdict3d.asking.preferences import make_search_tools
        from verdict3d.making.arms import load_arm
        from verdict3d.making.base import load_base
        from verdict3d.trellis.photos import PhotoReader

        self._way = way
        self._reader = PhotoReader(params.photos)
        self._finish = params.photos.finish
        check_finish(self._finish)
        params = params.model_copy(update={"generator": options.generator(params)})
        self._generator = (
            load_arm(params, project, options.arm, make_search_tools(params, project))
            if options.arm
            else load_base(params, project)
        )

    def make(self, batch: Sequence[PlannedMesh]) -> list[PhotoMesh]:
        """Make the meshes of a batch and write them; return a row each."""
        from verdict3d.generators.generator import Request

        read = [self._reader.attempt(plan.photo) for plan in batch]
        pairs = list(zip(batch, read, strict=True))
        requests = [
            Request(photo.image, plan.seed, plan.photo.stem, sample=plan.sample)
            for plan, photo in pairs
            if not isinstance(photo, ItemFailure)
        ]
        made = iter(self._generator.generate(requests))
        return [
            _write_row(plan, photo, self._way)
            if isinstance(photo, ItemFailure)
            else _write_row(plan, self._finish_mesh(next(made)), self._way, photo)
            for plan, photo in pairs
        ]

    def _finish_mesh(self, mesh: Mesh | ItemFailure) -> Mesh | ItemFailure:
        return mesh if isinstance(mesh, ItemFailure) else finish_mesh(mesh, self._finish)


def _write_row(
    plan: PlannedMesh, mesh: Mesh | ItemFailure, way: str, photo: Photo | None = None
) -> PhotoMesh:
    """Write a mesh and return its row in the manifest, or that of a failure."""
    row = PhotoMesh(
        photo=str(plan.photo),
        photo_digest=digest_file(plan.photo),
        seed=plan.seed,
        output=plan.target.name,
        output_digest=None,
        way=way,
        failure=None,
        message="",
        mesh_digest=None,
        vertices=None,
        faces=None,
        background=photo.background if photo else None,
        objects=photo.objects if photo else None,
        warning=photo.warning if photo else "",
    )
    if isinstance(mesh, ItemFailure):
        return row.model_copy(update={"failure": mesh.reason, "message": str(mesh)})
    plan.target.parent.mkdir(parents=True, exist_ok=True)
    write_mesh(mesh, plan.target)
    return row.model_copy(
        update={
            "output_digest": digest_file(plan.target),
            "mesh_digest": mesh_digest(mesh),
            "vertices": len(mesh.vertices),
            "faces": len(mesh.faces),
        }
    )


def _digest_way(options: MeshOptions, params: Params, project: Path) -> str:
    """Return one digest over everything but the photo and the seed that decides a mesh."""
    from verdict3d.asking.preferences import find_adapter_dependencies
    from verdict3d.making.base import find_generator_dependencies
    from verdict3d.trellis.background import identify_background

    arm = options.arm
    parts: dict[str, Any] = {
        "base": find_generator_dependencies(options.generator(params), project).model_dump(),
        "adapter": find_adapter_dependencies(params, project, project / TRAIN / arm).model_dump()
        if arm
        else None,
        "seed": params.seed if arm else None,  # of a search
        "photos": [*identify_background(params.photos.background), params.photos.objects],
        "finish": finish_identity(params.photos.finish),
        "code": code_of("verdict3d.trellis.photos", "verdict3d.mesh.files", "verdict3d.mesh.finishing"),
    }
    return digest_json(parts)


def _is_made(row: PhotoMesh, plan: PlannedMesh, way: str) -> bool:
    """Return whether the file a row speaks of is still there and would be made the same again."""
    same = (row.way, row.seed) == (way, plan.seed) and plan.target.is_file() and plan.photo.is_file()
    return (
        same and row.photo_digest == digest_file(plan.photo) and row.output_digest == digest_file(plan.target)
    )


def _read_manifest(output: Path) -> dict[str, PhotoMesh]:
    path = output / MANIFEST
    if not path.is_file():
        return {}
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != PhotoMeshes.SCHEMA:
        raise Verdict3DError(f"{path} is not a manifest of this program; choose another folder or remove it")
    return {row.output: row for row in parse_record(content, PhotoMeshes, str(path)).meshes}


def _write_manifest(output: Path, rows: dict[str, PhotoMesh], options: MeshOptions, params: Params) -> None:
    record = PhotoMeshes(
        generator=options.generator(params).model_dump(mode="json"),
        arm=options.arm,
        photos=params.photos.model_dump(mode="json"),
        meshes=[rows[name] for name in sorted(rows)],
    )
    write_record(output / MANIFEST, record)


def _describe(plan: PlannedMesh, row: PhotoMesh) -> str:
    if row.failure is not None:
        return f"{plan.photo}: {row.failure}: {row.message}"
    several = f", of {row.objects} separate objects" if row.objects and row.objects > 1 else ""
    return f"{plan.target}: {row.vertices} vertices, {row.faces} faces{several}"
