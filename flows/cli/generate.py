"""The command ``verdict3d generate``: meshes from photos."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from verdict3d.errors import Verdict3DError


class Format(StrEnum):
    """Mesh files in a folder of outputs."""

    glb = "glb"
    ply = "ply"
    obj = "obj"


def register_generate(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        epilog="Examples:  verdict3d generate photo.png -o chair.glb   |   "
        "verdict3d generate photos/ 'more/*.png' -o meshes/ --num-samples 4"
    )(generate)


def generate(
    photos: Annotated[list[str], typer.Argument(help="Photos, folders of them, or patterns.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Mesh file (.glb, .ply, .obj) for one mesh, else a folder.")
    ],
    arm: Annotated[str | None, typer.Option(help="Use the trained adapter of this arm.")] = None,
    num_samples: Annotated[int, typer.Option(min=1, help="Meshes of each photo, seeds counting up.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise; same seed and photo, same mesh.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, help="Of both samplers; else as configured.")] = None,
    guidance: Annotated[
        float | None, typer.Option(min=0.0, help="Of both samplers; else as configured.")
    ] = None,
    background: Annotated[
        str | None, typer.Option(help="Model that removes the background of opaque photos, such as u2net.")
    ] = None,
    mesh_format: Annotated[Format, typer.Option("--format", help="Of meshes in a folder.")] = Format.glb,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default as in params.yaml.")] = None,
) -> None:
    """Make meshes from photos. A folder gets a manifest and a contact sheet, and keeps what it has."""
    from flows.chain.workspace import find_project
    from flows.products.photo_meshes import Wish, make_meshes
    from verdict3d.config import load_params

    project = find_project()
    params = load_params(project / "params.yaml")
    if device:
        changed = params.generator.model_copy(update={"device": device})
        params = params.model_copy(update={"generator": changed})
    if background:
        changed_photos = params.photos.model_copy(update={"background": background})
        params = params.model_copy(update={"photos": changed_photos})
    wish = Wish(arm, seed, num_samples, steps, guidance, f".{mesh_format.value}")
    failed = make_meshes(photos, output, wish, params, project, typer.echo)
    if failed:
        raise Verdict3DError(f"{failed} mesh(es) could not be made")
