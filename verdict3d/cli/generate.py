"""The command ``verdict3d generate``: meshes from photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from verdict3d.cli.options import SINGLE, AsJson, choose_progress, print_json
from verdict3d.errors import Verdict3DError


def register_generate(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        rich_help_panel=SINGLE,
        epilog="Examples:  verdict3d generate photo.png -o chair.glb   |   "
        "verdict3d generate photos/ 'more/*.png' -o meshes/ --num-samples 4",
    )(generate)


def generate(
    photos: Annotated[list[str], typer.Argument(help="Photos, folders of photos, or patterns.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Mesh file (.glb, .ply, .obj) for one mesh, else a folder.")
    ],
    arm: Annotated[
        str | None, typer.Option(help="Use the trained adapter of this arm. Default: the base generator.")
    ] = None,
    num_samples: Annotated[
        int, typer.Option(min=1, help="Number of meshes for each photo; their seeds count up.")
    ] = 1,
    seed: Annotated[
        int, typer.Option(min=0, help="Noise seed; the same seed and photo give the same mesh.")
    ] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of our samplers. Default: params.yaml.")
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(min=0.0, help="Guidance of our samplers. Default: params.yaml.")
    ] = None,
    background: Annotated[
        str | None, typer.Option(help="Model that removes the background of opaque photos, such as u2net.")
    ] = None,
    mesh_format: Annotated[
        Literal["glb", "ply", "obj"],
        typer.Option("--format", help="File format of the meshes when the output is a folder."),
    ] = "glb",
    device: Annotated[
        Literal["auto", "cpu", "cuda"] | None,
        typer.Option(help="Device that our generator runs on. Default: params.yaml."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make meshes from photos. A folder gets a manifest and a contact sheet, and keeps the meshes it has."""
    from verdict3d.config import load_params
    from verdict3d.config_generators import require_trellis
    from verdict3d.products.photo_meshes import make_meshes
    from verdict3d.products.photo_plan import MeshOptions
    from verdict3d.project import find_project

    project = find_project()
    params = load_params(project / "params.yaml")
    if device:
        changed = require_trellis(params.generator).model_copy(update={"device": device})
        params = params.model_copy(update={"generator": changed})
    if background:
        changed_photos = params.photos.model_copy(update={"background": background})
        params = params.model_copy(update={"photos": changed_photos})
    options = MeshOptions(arm, seed, num_samples, steps, guidance, f".{mesh_format}")
    rows = make_meshes(photos, output, options, params, project, choose_progress(as_json))
    if as_json:
        print_json({"output": str(output), "meshes": rows})
    failed = sum(row["failure"] is not None for row in rows)
    if failed:
        raise Verdict3DError(f"{failed} of {len(rows)} mesh(es) could not be made")
