"""Single files through the same parts as the chain: draw a mesh, judge two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from verdict3d.config import JudgeParams
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.mesh.axes import Up
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import Mesh, mesh_digest, normalize
from verdict3d.records.files import replacing
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Camera, Rig

RIG_COLUMNS = 8


def render_file(
    mesh_path: Path,
    output: Path,
    *,
    view: str,
    mode: str,
    size_px: int,
    yaw_deg: float,
    elevation_deg: float,
    up: Up = "auto",
) -> list[str]:
    """Draw a mesh file into a PNG.

    Args:
        mesh_path: GLB, glTF, OBJ, PLY or STL file.
        output: PNG file to write.
        view: ``condition`` (one view, transparent), ``montage`` (the judge's 2x2) or ``rig`` (all 24 views).
        mode: ``normal``, ``clay``, ``rgb`` or ``splat``.
        size_px: Side of one view.
        yaw_deg: Yaw of the condition view.
        elevation_deg: Elevation of the condition view.
        up: Axis of the file that points up.

    Returns:
        What was changed or guessed while reading the mesh.

    Raises:
        Verdict3DError: The mesh cannot be read or drawn, or ``output`` is no PNG.
    """
    if output.suffix.lower() != ".png":
        raise Verdict3DError(f"{output}: pictures are written as .png")
    mesh = _read(mesh_path, up)
    renderer = Renderer()
    picture: NDArray[np.uint8]
    if view == "condition":
        picture = renderer.render(normalize(mesh), Camera(yaw_deg, elevation_deg), mode, size_px)
    elif view == "montage":
        picture = renderer.montage(mesh, mode, size_px)
    else:
        tiles = renderer.rig_views(mesh, mode, size_px).reshape(-1, RIG_COLUMNS, size_px, size_px, 3)
        picture = tiles.swapaxes(1, 2).reshape(-1, RIG_COLUMNS * size_px, 3)
    with replacing(output) as temporary:
        Image.fromarray(picture).save(temporary)
    return _find_notes(mesh_path, mesh)


def judge_files(
    reference: Path,
    first: Path,
    second: Path,
    params: JudgeParams,
    rig: Rig,
    root: Path,
    up: Up = "auto",
) -> dict[str, Any]:
    """Ask a judge which of two mesh files is the better mesh of the object in a picture.

    Args:
        reference: Picture of the object.
        first: Mesh X.
        second: Mesh Y.
        params: The judge.
        rig: Draws what it sees.
        root: The project's folder, which the judge's directory is relative to.
        up: Axis of both files that points up.

    Returns:
        The verdict's row (m1, m2, d, b, r, outcome from the side of X, ...) with what was asked, and in
        ``notes`` what was changed or guessed while reading the meshes.

    Raises:
        Verdict3DError: A file or the judge cannot be used.
    """
    from verdict3d.judge.loading import load_judge
    from verdict3d.judge.panel import make_requests, read_picture
    from verdict3d.judge.verdict import Verdict

    picture = read_picture(reference)
    meshes = [_read(path, up) for path in (first, second)]
    renderer, views = Renderer(rig), rig.set_digests[: params.views]
    x, y = (list(renderer.montages(mesh, params.mode, params.views)) for mesh in meshes)
    digests = (mesh_digest(meshes[0]), mesh_digest(meshes[1]))
    requests = make_requests(picture, (x, y), digests, views)
    judge = load_judge(params, root)
    same = all(request.same for request in requests)
    verdict = Verdict.same() if same else Verdict(tuple(judge.compare(requests)))
    return {
        "reference": str(reference),
        "x": str(first),
        "y": str(second),
        "judge": params.model,
        "judge_digest": judge.digest,
        "panel": judge.identity.panel,
        "notes": [*_find_notes(first, meshes[0]), *_find_notes(second, meshes[1])],
        **verdict.row(),
    }


def _find_notes(path: Path, mesh: Mesh) -> list[str]:
    return [f"{path}: {note.kind}: {note.text}" for note in mesh.notes]


def _read(path: Path, up: Up) -> Mesh:
    try:
        return read_mesh(path, up_axis=up)
    except ItemFailure as failure:
        raise Verdict3DError(f"{path}: {failure.reason}: {failure}") from failure


def describe_verdict(row: dict[str, Any]) -> str:
    """Return a verdict's row for people."""
    if row["outcome"] == "invalid":
        return f"no verdict: {row['reason']}: {row['message']}"
    answer = {
        "win": f"better: {row['x']}",
        "loss": f"better: {row['y']}",
        "same": "the same: both files hold one mesh, or two that look alike; nothing was asked",
        "flip": "no winner: the two orders do not agree on one of them",
        "close": "no winner: too close, the preference is within its error",
    }[row["outcome"]]
    if row["outcome"] == "same":
        return answer
    error = "" if row["se"] is None else f", standard error {row['se']:.3f}"
    lines: Sequence[str] = (
        answer,
        f"  margin with {row['x']} first   {row['m1']:+.3f}",
        f"  margin with {row['y']} first   {row['m2']:+.3f}",
        f"  preference for {row['x']}   d = {row['d']:+.3f}{error}",
        f"  bias towards the first slot   b = {row['b']:+.3f}",
        f"  reliability |d| - |b|   r = {row['r']:+.3f}",
        f"  means over view sets: {len(row['sets'])}",
        f"  judge {row['judge']}, panel {row['panel']}",
    )
    return "\n".join(lines)
