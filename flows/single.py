"""Single files through the same parts as the chain: make a mesh, draw one, judge two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from verdict3d.assets.mesh import Mesh, mesh_digest, read_mesh, write_mesh
from verdict3d.config import JudgeParams, Params
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.records import replacing
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera

PHOTOS = (".png", ".webp", ".tif", ".tiff")
"""Photo formats that can be transparent: the background must have been removed."""

RIG_COLUMNS = 8
OUTPUT_FORMATS = (".glb", ".ply", ".obj")


def generate_files(
    photos: Path,
    output: Path,
    *,
    params: Params,
    project: Path,
    arm: str | None,
    seed: int,
    say: Callable[[str], None],
) -> int:
    """Generate a mesh from a photo, or one from each photo of a folder; return how many failed.

    Args:
        photos: An RGBA photo or a folder of them.
        output: Mesh file for one photo (.glb, .ply, .obj), folder for a folder.
        params: Which generator, its samplers and the batch size.
        project: Where the generator and the adapters are.
        arm: Arm whose trained adapter is used, None for the base generator.
        seed: Seed of the noise, the same for every photo.
        say: Called with one line for each photo.

    Raises:
        Verdict3DError: Nothing to do, or an output that cannot be written.
    """
    from tasks.arms import load_adapted
    from tasks.base import load_base
    from tasks.preferring import search_tools
    from verdict3d.trellis.preprocess import read_image

    pairs = _photo_outputs(photos, output)
    tools = search_tools(params, project)
    pipeline = load_adapted(params, project, arm, tools) if arm else load_base(params, project)
    failed = 0
    size = params.generate.batch_size
    for batch in (pairs[start : start + size] for start in range(0, len(pairs), size)):
        read = [_attempt(read_image, photo) for photo, _ in batch]
        images = [image for image in read if isinstance(image, Image.Image)]
        generator = params.generator
        made = iter(
            pipeline.generate(images, [seed] * len(images), generator.structure, generator.latents)
            if images
            else []
        )
        for (photo, target), image in zip(batch, read, strict=True):
            mesh = image if isinstance(image, ItemFailure) else next(made)
            if isinstance(mesh, ItemFailure):
                failed += 1
                say(f"{photo}: {mesh.reason}: {mesh}")
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                write_mesh(mesh, target)
                say(f"{target}: {len(mesh.vertices)} vertices, {len(mesh.faces)} faces")
    return failed


def _photo_outputs(photos: Path, output: Path) -> list[tuple[Path, Path]]:
    """Return (photo, mesh file) for everything to be made."""
    if not photos.exists():
        raise Verdict3DError(f"{photos}: there is no such file or folder")
    if photos.is_dir():
        found = sorted(path for path in photos.iterdir() if path.suffix.lower() in PHOTOS)
        if not found:
            raise Verdict3DError(f"no photo in {photos}; readable are {', '.join(PHOTOS)}")
        if output.suffix:
            raise Verdict3DError(f"{output} names a file; for a folder of photos give a folder")
        return [(path, output / f"{path.stem}.glb") for path in found]
    if output.is_dir():
        return [(photos, output / f"{photos.stem}.glb")]
    if output.suffix.lower() not in OUTPUT_FORMATS:
        raise Verdict3DError(f"{output}: meshes are written as {', '.join(OUTPUT_FORMATS)}")
    return [(photos, output)]


def _attempt(read: Callable[[Path], Image.Image], path: Path) -> Image.Image | ItemFailure:
    try:
        return read(path)
    except ItemFailure as failure:
        return failure


def render_file(
    mesh_path: Path, output: Path, *, view: str, mode: str, size_px: int, yaw_deg: float, elevation_deg: float
) -> None:
    """Draw a mesh file into a PNG.

    Args:
        mesh_path: GLB, OBJ, PLY or STL file.
        output: PNG file to write.
        view: ``condition`` (one view, transparent), ``montage`` (the judge's 2x2) or ``rig`` (all 24 views).
        mode: ``normal``, ``clay`` or ``rgb``.
        size_px: Side of one view.
        yaw_deg: Of the condition view.
        elevation_deg: Of the condition view.

    Raises:
        Verdict3DError: The mesh cannot be read or drawn, or ``output`` is no PNG.
    """
    if output.suffix.lower() != ".png":
        raise Verdict3DError(f"{output}: pictures are written as .png")
    mesh = _read(mesh_path)
    renderer = Renderer()
    picture: NDArray[np.uint8]
    if view == "condition":
        from verdict3d.assets.mesh import normalize

        picture = renderer.render(normalize(mesh), Camera(yaw_deg, elevation_deg), mode, size_px)
    elif view == "montage":
        picture = renderer.montage(mesh, mode, size_px)
    else:
        tiles = renderer.rig_views(mesh, mode, size_px).reshape(-1, RIG_COLUMNS, size_px, size_px, 3)
        picture = tiles.swapaxes(1, 2).reshape(-1, RIG_COLUMNS * size_px, 3)
    with replacing(output) as temporary:
        Image.fromarray(picture).save(temporary)


def judge_files(reference: Path, first: Path, second: Path, params: JudgeParams) -> dict[str, Any]:
    """Ask a judge which of two mesh files is the better mesh of the object in a picture.

    Args:
        reference: Picture of the object.
        first: Mesh X.
        second: Mesh Y.
        params: The judge.

    Returns:
        The verdict's row (m1, m2, d, b, r, outcome from the side of X, ...) with what was asked.

    Raises:
        Verdict3DError: A file or the judge cannot be used.
    """
    from verdict3d.judge.loading import load_judge
    from verdict3d.judge.panel import PairRequest, Panel, read_picture

    picture = read_picture(reference)
    meshes = [_read(path) for path in (first, second)]
    renderer = Renderer()
    panel = Panel(picture, *(renderer.montage(mesh, params.mode) for mesh in meshes))
    x, y = (mesh_digest(mesh) for mesh in meshes)
    request = PairRequest.of(panel, x, y, renderer.rig.digest)
    judge = load_judge(params)
    (verdict,) = judge.compare([request])
    return {
        "reference": str(reference),
        "x": str(first),
        "y": str(second),
        "judge": params.model,
        "judge_digest": judge.digest,
        **verdict.row(),
    }


def _read(path: Path) -> Mesh:
    try:
        return read_mesh(path)
    except ItemFailure as failure:
        raise Verdict3DError(f"{path}: {failure.reason}: {failure}") from failure


def describe_verdict(row: dict[str, Any]) -> str:
    """Return a verdict's row for people."""
    if row["outcome"] == "invalid":
        return f"no verdict: {row['reason']}: {row['message']}"
    winner = {"win": row["x"], "loss": row["y"]}.get(row["outcome"])
    answer = f"better: {winner}" if winner else "a tie: the two orders do not agree on one of them"
    lines: Sequence[str] = (
        answer,
        f"  margin with {row['x']} first   {row['m1']:+.3f}",
        f"  margin with {row['y']} first   {row['m2']:+.3f}",
        f"  preference for {row['x']}   d = {row['d']:+.3f}",
        f"  bias towards the first slot   b = {row['b']:+.3f}",
        f"  reliability |d| - |b|   r = {row['r']:+.3f}",
        f"  judge {row['judge']}",
    )
    return "\n".join(lines)
